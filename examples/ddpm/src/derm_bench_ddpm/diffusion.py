"""The diffusion process: the cosine schedule (Nichol and Dhariwal 2021) and DDIM sampling (Song et al. 2021).

A step t from 1 to T mixes an image x_0 in [-1,1] with noise eps ~ N(0,1): x_t = a_t x_0 + s_t eps, where a_t is the
square root of alpha-bar_t and s_t that of 1 - alpha-bar_t; a_0 = 1. A network predicts v = a_t eps - s_t x_0 (Salimans
and Ho 2022), which is well defined at either end.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

import torch

Predict = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def cosine_alpha_bar(timesteps: int, offset: float = 0.008) -> torch.Tensor:
    """alpha-bar at t = 0..T, float64 [T+1] (Nichol and Dhariwal 2021, eq. 17), with each beta capped at 0.999."""
    t = torch.arange(timesteps + 1, dtype=torch.float64) / timesteps
    f = torch.cos((t + offset) / (1 + offset) * math.pi / 2) ** 2
    beta = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return torch.cat([torch.ones(1, dtype=torch.float64), (1 - beta).cumprod(0)])


class Diffusion:
    """The schedule's tables on a device, float32 [T+1]: `signal` is a_t, `noise` s_t.

    Tensors t are int64 [N], images float32 [N,3,H,W].
    """

    def __init__(self, timesteps: int, device: str = "cpu") -> None:
        alpha_bar = cosine_alpha_bar(timesteps)
        self.timesteps = timesteps
        self.signal = alpha_bar.sqrt().float().to(device)
        self.noise = (1 - alpha_bar).sqrt().float().to(device)

    def at(self, t: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """a_t and s_t, [N,1,1,1]."""
        return self.signal[t].view(-1, 1, 1, 1), self.noise[t].view(-1, 1, 1, 1)

    def mix(
        self, images: torch.Tensor, eps: torch.Tensor, t: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """x_t (Ho et al. 2020, eq. 4), and the v that belongs to it."""
        a, s = self.at(t)
        return a * images + s * eps, a * eps - s * images

    def loss(self, predicted: torch.Tensor, v: torch.Tensor, t: torch.Tensor, min_snr: float) -> torch.Tensor:
        """Squared error of v, where an error of x_0 weighs min(SNR_t, `min_snr`) (Hang et al. 2023): for v that is
        min(SNR, min_snr) / (SNR + 1) = min(a^2, min_snr s^2)."""
        weight = torch.minimum(self.signal[t] ** 2, min_snr * self.noise[t] ** 2)
        return (weight * (predicted.float() - v).square().mean((1, 2, 3))).mean()

    def ddim(self, predict: Predict, x: torch.Tensor, steps: int) -> torch.Tensor:
        """Images from noise `x` in `steps` steps, eta 0 (Song et al. 2021, eq. 12); `predict(x_t, t)` gives v.

        Estimates of x_0 are clamped to [-1,1], so that guidance does not leave the range of pixels.
        """
        times = torch.linspace(self.timesteps, 0, min(steps, self.timesteps) + 1).round().long().tolist()
        for now, then in itertools.pairwise(times):
            t = torch.full((len(x),), now, device=x.device)
            (a, s), v = self.at(t), predict(x, t).float()
            image = (a * x - s * v).clamp(-1, 1)
            eps = (x - a * image) / s
            x = self.signal[then] * image + self.noise[then] * eps
        return x
