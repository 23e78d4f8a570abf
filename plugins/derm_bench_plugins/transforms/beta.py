"""Draws for mixing (Beta distribution, chance) from a torch.Generator, without waiting for the device."""

from __future__ import annotations

import torch
from scipy.special import betaincinv

POINTS = 4096


class Beta:
    """Beta(alpha, alpha), sampled by its quantile function at 4,097 points with linear interpolation.

    torch's own Beta takes no generator, and rejection sampling would have to read values, which waits for the queue of
    the GPU.
    """

    def __init__(self, alpha: float, device: str = "cpu") -> None:
        shares = torch.linspace(0, 1, POINTS + 1, dtype=torch.float64)
        quantiles = torch.from_numpy(betaincinv(alpha, alpha, shares.numpy()))
        self.quantiles = quantiles.float().to(device)

    def __call__(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """Draw float32 [n] in [0,1], on the generator's device."""
        quantiles = self.quantiles.to(generator.device)
        place = torch.rand(n, generator=generator, device=generator.device) * POINTS
        below = place.floor().long().clamp_(max=POINTS - 1)
        return torch.lerp(quantiles[below], quantiles[below + 1], place - below)


def happens(p: float, generator: torch.Generator) -> torch.Tensor:
    """Return a bool scalar on the generator's device that is true with probability `p`. At 1, nothing is drawn, so that
    the stream of random numbers is that of a transform without this option."""
    if p >= 1:
        return torch.ones((), dtype=torch.bool, device=generator.device)
    return torch.rand((), generator=generator, device=generator.device) < p
