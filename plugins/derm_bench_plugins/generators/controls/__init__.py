"""Controls: generators that train nothing. They separate the effect of a GAN's images from the effect of any images.

    duplicate       real training images, drawn again: the effect of more updates on the same images
    blur            the same, blurred by a Gaussian: the effect of their low frequencies
    bottleneck      the same, resized to the side `size` and back to the stored size: the cost of that resolution
    shuffled-label  the same, with labels drawn from the training prior: the effect of images without a class
    more-real       images of the reserve: the effect of as many new real images, an upper bound for any generator
    noise           uniform pixels: the effect of images without content

An image is drawn a second time only after all images of its class have been drawn. The source ids are the drawn images.
"""
