"""Controls: generators that train nothing, to tell what a GAN's images do from what any images do.

    duplicate       real training images drawn again: what more updates on the same images do
    blur            the same, through a Gaussian: what their low frequencies do
    bottleneck      the same, down to the side `size` and back to the stored one: what its resolution costs
    shuffled-label  the same, labels drawn from the training prior: what images without a class do
    more-real       images of the reserve: what as many new real images would do, the bound for any generator
    noise           uniform pixels: what images without content do

An image is drawn again only when all of its class were drawn. Source ids name the images.
"""
