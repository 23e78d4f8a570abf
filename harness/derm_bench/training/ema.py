"""Exponential moving averages of weights (Polyak and Juditsky 1992; for GANs, Yazıcı et al. 2019)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn


class Ema:
    """A moving average `net` of the network `source`: average <- decay * average + (1 - decay) * weights, buffers
    copied.

    With `warm_up`, the decay of update t is at most (1 + t) / (10 + t), so that the random initial weights soon lose
    their influence. (torch.optim.swa_utils.AveragedModel is not used because it waits for the device at every update,
    which a CUDA graph cannot record.)
    """

    def __init__(self, source: nn.Module, decay: float, *, warm_up: bool = False) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"the decay of an average must be in [0, 1), not {decay}")
        self.source, self.decay, self.warm_up = source, decay, warm_up
        self.net = copy.deepcopy(source).eval().requires_grad_(False)
        device = next(source.parameters()).device
        self.updates = torch.zeros((), device=device)

    @torch.no_grad()
    def update(self) -> None:
        """Add the current weights to the average, with one kernel for all of them."""
        self.updates += 1
        weight = self._weight()
        own: list[torch.Tensor] = list(self.net.parameters())
        theirs: list[torch.Tensor] = list(self.source.parameters())
        if isinstance(weight, torch.Tensor):  # average += weight * (value - average)
            gap = torch._foreach_sub(theirs, own)
            torch._foreach_mul_(gap, weight)
            torch._foreach_add_(own, gap)
        else:
            torch._foreach_lerp_(own, theirs, weight)
        buffers = list(self.net.buffers())
        if buffers:
            torch._foreach_copy_(buffers, list(self.source.buffers()))

    def _weight(self) -> torch.Tensor | float:
        """Return the weight of the current weights in this update; as a tensor if it changes."""
        if self.warm_up:
            return 1 - ((1 + self.updates) / (10 + self.updates)).clamp(max=self.decay)
        return 1 - self.decay

    def state_dict(self) -> dict[str, Any]:
        return {"net": self.net.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.net.load_state_dict(state["net"])
        self.updates.copy_(state["updates"])


class HalfLifeEma(Ema):
    """A moving average in which a weight counts half after `half_life` updates, as in StyleGAN2 (Karras et al. 2018,
    appendix A). With `ramp`, the half-life of update t is at most `ramp` t, so that a short fit forgets its beginning.
    """

    def __init__(self, source: nn.Module, half_life: float, *, ramp: float = 0.0) -> None:
        super().__init__(source, 0.5 ** (1 / half_life))
        self.half_life, self.ramp = half_life, ramp

    def _weight(self) -> torch.Tensor | float:
        if not self.ramp:
            return 1 - self.decay
        return 1 - 0.5 ** (1 / (self.ramp * self.updates).clamp(max=self.half_life))
