"""A right image transform, and one of some phase wrong in each way."""

import torch
from torch.nn import functional as F


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


class Sums(Right):
    """A batch transform that adds labels."""

    def __call__(self, images, targets, generator):
        other = torch.randperm(len(images), generator=generator)
        return (images + images[other]) / 2, targets + targets[other]


class Targets(Right):
    """A batch transform that writes into the labels it is given."""

    def __call__(self, images, targets, generator):
        other = torch.randperm(len(images), generator=generator)
        return (images + images[other]) / 2, targets.add_(targets[other].clone()).div_(2)


class Statistics(Right):
    """A regulariser whose pass moves the running statistics of BatchNorm."""

    def __call__(self, model, batch):
        return model(batch.images * self.amount).square().mean()


class Gradients(Right):
    """A regulariser that leaves its gradients in the parameters."""

    def __call__(self, model, batch):
        weight = model[-1].weight
        weight.square().sum().backward()
        return weight.square().mean()


class Detached(Right):
    def __call__(self, model, batch):
        return F.softmax(model[-1].weight.detach(), dim=1).mean()


class Resized(Right):
    """Preprocessing that masks cannot follow."""

    def __call__(self, pixels):
        return pixels[2:-2, 2:-2].copy()
