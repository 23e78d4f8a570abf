"""Health of a generator's training: discriminators that died or overpower, samples that collapsed or are noise."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

import torch

WARM_UP = 100  # updates that are not judged
STRETCH = 300  # updates that a fault lasts, at least, before it counts; a tenth of long budgets
LONGEST = 2000
DEAD = 1e-3  # |d_real - d_fake| below it at every update
OVERPOWERING = 1e-3  # d_real above 1 - it and d_fake below it, in the mean
COLLAPSED = 0.05  # mean distance among samples, as a share of that among real images
ALIKE = 0.25  # the same at 4x4 pixels: below it, samples are one image under noise or a pattern, or nearly so
UNLIKE = (
    2.0  # median distance to the nearest real image, in that of real images: above it, they look like none
)
COARSE = 4
JUDGED = 64  # images a side


class DiscriminatorWatch:
    """Watches `d_real` and `d_fake`, the mean probabilities "real" that D gives to real and fake images, of every
    update in order.

    Values outside [0,1] are those of a critic, on which nothing is known: it is not judged.
    """

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.stretch = min(max(STRETCH, budget // 10), LONGEST)
        self._real: tuple[int, float] | None = None
        self._recent: deque[tuple[float, float]] = deque(maxlen=self.stretch)
        self._dead_for = 0
        self._critic = False

    def see(self, step: int, name: str, value: float) -> str | None:
        """Takes a logged value; the fault where D is now known to be dead, in words."""
        if name not in ("d_real", "d_fake") or self._critic:
            return None
        self._critic = not 0 <= value <= 1
        if name == "d_real":
            self._real = (step, value)
            return None
        if self._real is None or self._real[0] != step:
            return None
        return self._pair(step, self._real[1], value)

    def _pair(self, step: int, real: float, fake: float) -> str | None:
        self._recent.append((real, fake))
        dead = step > WARM_UP and abs(real - fake) < DEAD and not self._critic
        self._dead_for = self._dead_for + 1 if dead else 0
        if self._dead_for < self.stretch:
            return None
        return (
            f"the discriminator is dead: d_real and d_fake differ by less than {DEAD} at every update from "
            f"{step - self._dead_for + 1} to {step} of {self.budget} (d_real {real:.4g}, d_fake {fake:.4g})"
        )

    def at_end(self) -> str | None:
        """The fault where D overpowers G at the end of training, in words."""
        if self._critic or len(self._recent) < self.stretch:
            return None
        real, fake = self.means()
        if real <= 1 - OVERPOWERING or fake >= OVERPOWERING:
            return None
        return (
            f"the discriminator overpowers the generator: over the last {self.stretch} of {self.budget} updates "
            f"d_real is {real:.6f} and d_fake {fake:.3g} in the mean"
        )

    def means(self) -> tuple[float, float]:
        """Mean d_real and d_fake over the last stretch; (nan, nan) where they were not logged."""
        n = len(self._recent)
        if not n:
            return float("nan"), float("nan")
        return sum(real for real, _ in self._recent) / n, sum(fake for _, fake in self._recent) / n

    def summary(self) -> dict[str, float]:
        """Of the last stretch: d_real and d_fake; empty where they were not logged or D is a critic."""
        if self._critic or not self._recent:
            return {}
        real, fake = self.means()
        return {"d_real": real, "d_fake": fake}

    def state(self) -> dict[str, Any]:
        return {
            "real": self._real,
            "recent": list(self._recent),
            "dead_for": self._dead_for,
            "critic": self._critic,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self._real, self._dead_for, self._critic = state["real"], state["dead_for"], state["critic"]
        self._recent = deque(state["recent"], maxlen=self.stretch)


@dataclass(frozen=True)
class Likeness:
    """How samples lie among themselves and to real images, in what real images do: 1 is as they do.

    distance_ratio: mean distance of two samples, pixel by pixel. coarse_ratio: the same at 4x4 pixels, where noise and
    fine patterns vanish. nearest_ratio: median distance of a sample to its nearest real image, in the median distance
    of a real image to its nearest other one. Of 64 images a side.
    """

    distance_ratio: float
    coarse_ratio: float
    nearest_ratio: float

    @property
    def collapsed(self) -> bool:
        """Whether the samples are nearly one image, pixel by pixel."""
        return self.distance_ratio < COLLAPSED

    def flags(self) -> list[str]:
        """What is wrong with the samples, a sentence each; none where nothing is."""
        found = []
        if self.coarse_ratio < ALIKE:
            found.append(
                f"at {COARSE}x{COARSE} pixels the samples lie {self.coarse_ratio:.2g} times as far apart as training "
                "images: nearly one image, whatever noise or pattern is on it"
            )
        if self.nearest_ratio > UNLIKE:
            found.append(
                f"the samples lie {self.nearest_ratio:.2g} times as far from the nearest training image as training "
                "images lie from each other: noise, or nothing like them"
            )
        return found


def likeness(samples: torch.Tensor, real: torch.Tensor) -> Likeness | None:
    """Of samples uint8 [n,3,S,S] and real images uint8 [m,3,S,S]. None where there is nothing to compare: real images
    that do not differ, or fewer than two on a side (fewer than three real ones have no spread of neighbours)."""
    if len(samples) < 2 or len(real) < 3:
        return None
    ours, theirs = _judged(samples), _judged(real)
    spread = _mean_distance(theirs)
    coarse = _mean_distance(_coarse(theirs))
    among = torch.cdist(theirs.flatten(1), theirs.flatten(1)).fill_diagonal_(math.inf).amin(dim=1).median()
    if min(spread, coarse, float(among)) == 0:
        return None
    across = torch.cdist(ours.flatten(1), theirs.flatten(1)).amin(dim=1).median()
    return Likeness(
        _mean_distance(ours) / spread, _mean_distance(_coarse(ours)) / coarse, float(across / among)
    )


def _judged(images: torch.Tensor) -> torch.Tensor:
    """Images spread evenly over the set, 64 at most, float32 in [0,1]."""
    rows = torch.linspace(0, len(images) - 1, min(len(images), JUDGED)).round().long()
    return images.cpu()[rows].float() / 255


def _coarse(images: torch.Tensor) -> torch.Tensor:
    """Means over the cells of a 4x4 grid."""
    return torch.nn.functional.adaptive_avg_pool2d(images, min(COARSE, images.shape[-1]))


def _mean_distance(images: torch.Tensor) -> float:
    """Of all pairs."""
    return float(torch.nn.functional.pdist(images.flatten(1)).mean())
