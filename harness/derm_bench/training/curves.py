"""Training curves: values are buffered without waiting for the device, read in bulk, checked for NaN."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from derm_bench.errors import Diverged

POINTS = 500  # a metric's rows in history.csv, at most; longer runs are averaged over windows
READ_EVERY = 50  # updates between two reads of the device


@dataclass(frozen=True)
class Point:
    """A row of history.csv, less `images` and `epoch`, which follow from the step."""

    step: int
    split: str
    metric: str
    value: float


@dataclass
class _Window:
    values: list[float] = field(default_factory=list)
    step: int = 0


class Curves:
    """Means of logged values over windows of `budget / 500` updates, at least one update."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.window = -(-budget // POINTS)
        self.points: list[Point] = []
        self.latest: dict[str, float] = {}
        self._waiting: list[tuple[int, str, float | torch.Tensor]] = []
        self._open: dict[str, _Window] = {}
        self._read_at = 0

    def add(self, step: int, values: dict[str, float | torch.Tensor]) -> None:
        """Buffers scalars of update `step`; the device is read every 50 updates and by `read`."""
        for name, value in values.items():
            # a copy: under a captured step the next update overwrites the loss in place
            kept = value.detach().clone() if isinstance(value, torch.Tensor) else float(value)
            self._waiting.append((step, name, kept))
        if step - self._read_at >= READ_EVERY:
            self.read()

    def read(self) -> None:
        """Moves what is buffered into the curves. Raises Diverged at the first NaN or infinity."""
        waiting, self._waiting = self._waiting, []
        numbers = _to_floats([value for _, _, value in waiting])
        for (step, name, _), value in zip(waiting, numbers, strict=True):
            self._read_at = max(self._read_at, step)
            self._take(step, name, value)

    def add_point(self, step: int, split: str, metric: str, value: float) -> None:
        """A point as it is, such as a validation score."""
        self.points.append(Point(step, split, metric, value))

    def close(self) -> None:
        """Reads the rest and closes windows that are not full."""
        self.read()
        for name, window in self._open.items():
            self._emit(name, window)

    def _take(self, step: int, name: str, value: float) -> None:
        if not math.isfinite(value):
            raise Diverged(f"{name} is {value} at update {step} of {self.budget}")
        self.latest[name] = value
        window = self._open.setdefault(name, _Window())
        window.values.append(value)
        window.step = step
        if step % self.window == 0:
            self._emit(name, window)

    def _emit(self, name: str, window: _Window) -> None:
        if window.values:
            mean = math.fsum(window.values) / len(window.values)
            self.points.append(Point(window.step, "train", name, mean))
            window.values = []


def _to_floats(values: list[float | torch.Tensor]) -> list[float]:
    """All tensors in one transfer."""
    tensors = [value.float().reshape(()) for value in values if isinstance(value, torch.Tensor)]
    read = iter(torch.stack(tensors).tolist() if tensors else [])
    return [next(read) if isinstance(value, torch.Tensor) else value for value in values]
