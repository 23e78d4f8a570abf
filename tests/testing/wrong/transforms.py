"""A right image transform, and one wrong in each way."""

import torch


class Right:
    """Darkens each image by a factor of its own."""

    def __init__(self, options, task):
        self.amount = options.amount

    def __call__(self, images, generator):
        return images * self.factor(len(images), generator)

    def factor(self, n, generator):
        return 1 - self.amount * torch.rand(n, 1, 1, 1, generator=generator)


class Range(Right):
    def factor(self, n, generator):
        return 1 + super().factor(n, generator)


class Shape(Right):
    def __call__(self, images, generator):
        return super().__call__(images, generator)[..., 1:, 1:]


class Alike(Right):
    def factor(self, n, generator):
        return super().factor(1, generator)


class InPlace(Right):
    def __call__(self, images, generator):
        return images.mul_(self.factor(len(images), generator))


class OwnSeed(Right):
    def factor(self, n, generator):
        return super().factor(n, torch.Generator().manual_seed(torch.seed()))


class Scalar(Right):
    """Its spec names an option that is not there."""
