"""What StyleGAN2 and R3GAN share: samples come from an average of G, and the class is a row of targets."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from derm_bench.training.gan_plugin import NoiseGenerator, normal, one_hot_of


class AveragedGan(NoiseGenerator):
    """`generator` is the moving average of the weights of `trained`. `classes` is their number, 0 for an unconditional
    GAN; `options` has `z_dim`."""

    options: Any
    classes: int
    trained: nn.Module
    generator: nn.Module
    discriminator: nn.Module

    def prior(self, n: int, noise: torch.Generator) -> torch.Tensor:
        """Draw z ~ N(0,1), float32 [n,z_dim]."""
        return normal(n, self.options.z_dim, noise)

    def targets(self, label: int | None, like: torch.Tensor) -> torch.Tensor | None:
        """The class of each row of `like`, one-hot float32 [n,K]; None for an unconditional GAN."""
        return one_hot_of(label, len(like), self.classes, like.device) if self.classes else None

    def render(self, z: torch.Tensor, label: int | None) -> torch.Tensor:
        images: torch.Tensor = self.generator(z, self.targets(label, z))
        return images

    @torch.inference_mode()
    def realness(self, images: torch.Tensor, label: int | None) -> torch.Tensor:
        """Return D's logits, [n]. Only their differences have a meaning."""
        scores: torch.Tensor = self.discriminator.eval()(images, self.targets(label, images))
        return scores

    def parts(self) -> dict[str, nn.Module]:
        """Return the networks. `generator` is the moving average of the weights, from which samples are drawn."""
        return {"generator": self.generator, "discriminator": self.discriminator}
