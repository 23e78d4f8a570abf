"""The time that a run still takes, from the forecast of its stages and from what has happened since."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

PRIOR_SECONDS = 5.0
"""How many seconds of stages that have ended count as much as the forecast does."""
KNOWN_SHARE = 0.05
"""From this share of a stage on, its own pace says more than its forecast."""


class Eta:
    """Estimates the time left. seconds: the forecast of each stage to run, by key. workers: how many run at once. What
    the stages that have ended took corrects the forecast of the others."""

    def __init__(
        self, seconds: Mapping[str, float], workers: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._open = dict(seconds)
        self._workers, self._clock = max(1, workers), clock
        self._running: dict[str, tuple[float, float]] = {}  # key -> (began, share that is done)
        self._took = self._expected = 0.0

    def started(self, key: str) -> None:
        """A stage has begun."""
        self._running[key] = self._clock(), 0.0

    def progressed(self, key: str, done: float, total: float) -> None:
        """A running stage has done so much of its work."""
        if key in self._running and total > 0:
            self._running[key] = self._running[key][0], min(1.0, done / total)

    def finished(self, key: str, *, well: bool = True) -> None:
        """A stage has ended; `well`: it took the time of the whole stage."""
        began = self._running.pop(key, None)
        expected = self._open.pop(key, None)
        if well and began is not None and expected is not None:
            self._took += self._clock() - began[0]
            self._expected += expected

    def seconds(self) -> float:
        """The seconds that are left."""
        correction = (self._took + PRIOR_SECONDS) / (self._expected + PRIOR_SECONDS)
        left = [self._left(key, correction * expected) for key, expected in self._open.items()]
        if not left:
            return 0.0
        return max(sum(left) / min(self._workers, len(left)), *left)

    def _left(self, key: str, expected: float) -> float:
        if key not in self._running:
            return expected
        began, share = self._running[key]
        spent = self._clock() - began
        return spent * (1 - share) / share if share >= KNOWN_SHARE else max(0.0, expected - spent)

    def __str__(self) -> str:
        """The time left in words; empty if nothing is left."""
        if not self._open:
            return ""
        seconds = self.seconds()
        if seconds < 60:
            return "less than a minute left"
        if seconds < 5400:
            return f"about {seconds / 60:.0f} min left"
        return f"about {seconds / 3600:.1f} h left"
