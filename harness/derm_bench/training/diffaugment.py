"""DiffAugment: differentiable augmentation of all images that a discriminator sees (Zhao et al. 2020, NeurIPS).

The discriminator of a GAN that is trained on a few hundred images memorises them. If reals and fakes alike are
augmented before D sees them, in the updates of both players, D cannot; and since the transforms are differentiable, the
gradient of G's update passes through them, so that G is not taught to make augmented images. In a training step:

    augment = DiffAugment(("color", "translation", "cutout"), engine.stream("diffaugment"))
    real, fake = discriminate(augment(images)), discriminate(augment(fake.detach()))   # update of D
    logits = discriminate(augment(fake))                                               # update of G

| policy | in the paper | here |
|---|---|---|
| color | brightness in [-.5, .5], contrast in [.5, 1.5], saturation in [0, 2] | brightness, saturation, contrast |
| translation | within [-1/8, 1/8] of the size, padded with zeros | whole pixels, of each axis separately |
| cutout | a random square of half of the size is masked | its centre is uniform; a part may lie outside of the image |

Zero is mid-grey in images in [-1,1]. Values are not clipped, as clipping would stop gradients, so that `color` may
leave [-1,1]. All transforms can be differentiated twice, as gradient penalties require, and do not wait for the device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch

from derm_bench.training.augment import uniform

TRANSLATION = 1 / 8
CUTOUT = 1 / 2


class DiffAugment:
    """Images float32 or bfloat16 [N,C,S,S], with 0 as mid-grey -> images float32 [N,C,S,S] with newly drawn parameters.

    policies: some of `color`, `translation`, `cutout`, applied in this order; with none, images are returned as they
    are. draws: the generator of all random numbers, on the device of the images. Each image has parameters of its own,
    and each call draws new ones, so that reals and fakes are augmented independently. Raises ValueError for another
    name, and for a name that is listed twice.
    """

    def __init__(self, policies: Sequence[str], draws: torch.Generator) -> None:
        for name in policies:
            if name not in POLICIES:
                raise ValueError(f"DiffAugment has no policy '{name}': use {', '.join(POLICIES)}")
        if len(set(policies)) < len(policies):
            raise ValueError(f"a policy of DiffAugment is listed twice in {', '.join(policies)}")
        self.policies = [policy for name, policy in POLICIES.items() if name in policies]
        self.draws = draws

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        if not self.policies:
            return images
        wide = images.float()
        for policy in self.policies:
            wide = policy(wide, self.draws)
        if images.is_contiguous(memory_format=torch.channels_last):
            wide = wide.contiguous(memory_format=torch.channels_last)
        return wide


def color(images: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    """Change brightness, saturation and contrast: float32 [N,C,H,W] -> the same shape.

    Brightness is added. Saturation scales the distance of each pixel to its mean over channels, contrast the distance
    to the mean of the image, so that brightness alone changes the mean of an image.
    """
    brightness, saturation, contrast = (
        uniform(len(images), low, high, draws).view(-1, 1, 1, 1)
        for low, high in ((-0.5, 0.5), (0.0, 2.0), (0.5, 1.5))
    )
    images = images + brightness
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * saturation
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return mean + (images - mean) * contrast


def translation(images: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    """Shift each image by whole pixels, up to an eighth of its side in both directions; what is moved in is 0."""
    for axis in (2, 3):
        length = images.shape[axis]
        most = round(length * TRANSLATION)
        shift = torch.randint(-most, most + 1, (len(images), 1), generator=draws, device=draws.device)
        images = _shifted(images, shift, axis)
    return images


def cutout(images: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
    """Set a square of half the side to 0, with a centre that is uniform over the image."""
    n, _, height, width = images.shape
    hidden = torch.ones((), dtype=torch.bool, device=images.device)
    for length, shape in ((height, (n, 1, height, 1)), (width, (n, 1, 1, width))):
        side = round(length * CUTOUT)
        centre = torch.randint(0, length + 1, (n, 1), generator=draws, device=draws.device)
        place = torch.arange(length, device=draws.device) - (centre - side // 2)
        hidden = hidden & ((place >= 0) & (place < side)).view(shape)
    return images.masked_fill(hidden, 0.0)


def _shifted(images: torch.Tensor, shift: torch.Tensor, axis: int) -> torch.Tensor:
    """Shift each image along an axis by `shift` int64 [N,1]. Pixels are gathered, which can be differentiated twice."""
    length = images.shape[axis]
    source = torch.arange(length, device=shift.device) - shift  # [N,length]
    shape = (len(images), 1, length, 1) if axis == 2 else (len(images), 1, 1, length)
    outside = ((source < 0) | (source >= length)).view(shape)
    index = source.clamp(0, length - 1).view(shape).expand(images.shape)
    return images.gather(axis, index).masked_fill(outside, 0.0)


POLICIES: Mapping[str, Callable[[torch.Tensor, torch.Generator], torch.Tensor]] = {
    "color": color,
    "translation": translation,
    "cutout": cutout,
}
