"""Base class of generators that turn noise into images: samples of one class, in chunks, as bytes."""

from __future__ import annotations

import torch

from derm_bench.images import ImageSet, Samples
from derm_bench.specs import SampleRequest
from derm_bench.training.module_plugin import ModulePlugin
from derm_bench.training.seeding import stream

CHUNK = 64  # samples per forward pass; at 256 px some activations then take a gigabyte each


class NoiseGenerator(ModulePlugin):
    """A generator whose samples depend on noise and a class alone. A subclass defines the noise (`prior`) and how an
    image is made from it (`render`). `device` is the device of the task."""

    device: str

    def prior(self, n: int, noise: torch.Generator) -> torch.Tensor:
        """Draw the noise of `n` images, float32 [n,...], from `noise` on its device."""
        raise TypeError(f"{type(self).__name__} must define prior()")

    def render(self, z: torch.Tensor, label: int | None) -> torch.Tensor:
        """Return images [n,3,S,S] in [-1,1] for noise `z` and class index `label` (None for an unconditional
        sample)."""
        raise TypeError(f"{type(self).__name__} must define render()")

    @torch.inference_mode()
    def sample(self, request: SampleRequest, train: ImageSet | None = None) -> Samples:
        """Return uint8 [n,3,S,S]. Eval mode is used, so that an image does not depend on the other images of its
        batch."""
        for part in self.parts().values():
            part.eval()
        z = self.prior(request.n, stream(request.seed, "sample")).to(self.device)
        chunks = [to_bytes(self.render(chunk, request.label)) for chunk in torch.split(z, CHUNK)]
        return Samples(torch.cat(chunks))


def normal(n: int, length: int, noise: torch.Generator) -> torch.Tensor:
    """Draw z ~ N(0,1), float32 [n,length]."""
    return torch.randn(n, length, generator=noise, device=noise.device)


def uniform(n: int, length: int, noise: torch.Generator) -> torch.Tensor:
    """Draw z ~ U(-1,1), float32 [n,length]."""
    return torch.rand(n, length, generator=noise, device=noise.device) * 2 - 1


PRIORS = {"normal": normal, "uniform": uniform}


def to_bytes(images: torch.Tensor) -> torch.Tensor:
    """Convert images in [-1,1], of any float type and device, to uint8 on the CPU, rounded and clipped."""
    return images.float().mul(127.5).add(127.5).round().clamp(0, 255).to(torch.uint8).cpu()


def one_hot_of(label: int | None, n: int, classes: int, device: str | torch.device) -> torch.Tensor:
    """Return one-hot targets float32 [n,classes] with the same class in all rows. Raises ValueError if `label` is
    None."""
    if label is None:
        raise ValueError("a conditional generator needs a class to sample from")
    targets = torch.zeros(n, classes, device=device)
    targets[:, label] = 1
    return targets
