"""Health checks of generator trainings: thresholds and messages about dead or overpowering discriminators and about
samples that collapsed or are noise. `derm_bench.fidelity.likeness` measures the samples."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

WARM_UP = 100  # first updates, which are ignored
STRETCH = 300  # updates that a fault must last before it is reported; for long budgets a tenth of the budget
LONGEST = 2000
DEAD = 1e-3  # |d_real - d_fake| is below this at every update
OVERPOWERING = 1e-3  # mean d_real is above 1 minus this, and mean d_fake below this
COLLAPSED = 0.05  # distance_ratio below which samples are nearly identical
ALIKE = 0.25  # coarse_ratio below which samples are nearly identical except for noise or a pattern
UNLIKE = 2.0  # nearest_ratio above which samples resemble no real image


class DiscriminatorWatch:
    """Monitors the mean probability of "real" that D gives to real and to fake images during a training (a
    `derm_bench.training.curves.Watch`). `names` are the names under which both are logged.

    Values outside [0,1] are the scores of a critic. There are no thresholds for these, so no fault is reported.
    """

    def __init__(self, budget: int, names: tuple[str, str] = ("d_real", "d_fake")) -> None:
        self.budget, self.names = budget, names
        self.stretch = min(max(STRETCH, budget // 10), LONGEST)
        self._real: tuple[int, float] | None = None
        self._recent: deque[tuple[float, float]] = deque(maxlen=self.stretch)
        self._dead_for = 0
        self._critic = False

    def see(self, step: int, name: str, value: float) -> str | None:
        """Receive a logged value. Returns a message once D is dead, that is, assigns real and fake images equal
        values."""
        if name not in self.names or self._critic:
            return None
        self._critic = not 0 <= value <= 1
        if name == self.names[0]:
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
        of_real, of_fake = self.names
        return (
            f"the discriminator is dead: {of_real} and {of_fake} differ by less than {DEAD} at every update from "
            f"{step - self._dead_for + 1} to {step} of {self.budget} ({of_real} {real:.4g}, {of_fake} {fake:.4g})"
        )

    def at_end(self) -> str | None:
        """Return a message if D overpowers G at the end of training, that is, is certain about nearly every image."""
        if self._critic or len(self._recent) < self.stretch:
            return None
        real, fake = self.means()
        if real <= 1 - OVERPOWERING or fake >= OVERPOWERING:
            return None
        return (
            f"the discriminator overpowers the generator: over the last {self.stretch} of {self.budget} updates "
            f"{self.names[0]} is {real:.6f} and {self.names[1]} {fake:.3g} on average"
        )

    def means(self) -> tuple[float, float]:
        """Return the means for real and for fake images over the last stretch; (nan, nan) if they were not logged."""
        n = len(self._recent)
        if not n:
            return float("nan"), float("nan")
        return sum(real for real, _ in self._recent) / n, sum(fake for _, fake in self._recent) / n

    def summary(self) -> dict[str, float]:
        """Return the means over the last stretch as `d_real` and `d_fake`; empty if they were not logged or D is a
        critic."""
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


def collapsed(figures: Mapping[str, float]) -> bool:
    """Return whether samples are nearly identical, from the figures of `derm_bench.fidelity.likeness`."""
    return figures["distance_ratio"] < COLLAPSED


def flags(figures: Mapping[str, float]) -> list[str]:
    """Return one message per problem of the samples, from the figures of `derm_bench.fidelity.likeness`."""
    found = []
    coarse, nearest = figures["coarse_ratio"], figures["nearest_ratio"]
    if coarse < ALIKE:
        found.append(
            f"at 4x4 pixels the samples are {coarse:.2g} times as far apart as training images: nearly identical, "
            "except for noise or a pattern"
        )
    if nearest > UNLIKE:
        found.append(
            f"the samples are {nearest:.2g} times as far from the nearest training image as training images are from "
            "each other: they are noise or resemble no training image"
        )
    return found
