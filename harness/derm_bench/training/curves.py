"""Training curves: values are buffered on the device, read in bulk, and checked for NaN and infinity."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from itertools import islice
from typing import Any, Protocol

import torch

from derm_bench.errors import Diverged

POINTS = 500  # maximum number of rows per metric in history.csv; longer runs are averaged over windows
READ_EVERY = 50  # updates between two reads of the device
TAIL = 200  # number of rows of the curves that Diverged carries


class Watch(Protocol):
    """Monitors the curves of a training and may stop it. It receives every logged value once, in order of updates."""

    def see(self, step: int, name: str, value: float) -> str | None:
        """Receive a value of update `step`. If a message is returned, the training stops with Diverged."""
        ...

    def at_end(self) -> str | None:
        """Called after the last value. If a message is returned, the training fails with Diverged."""
        ...

    def summary(self) -> dict[str, float]:
        """Return figures for the result of the stage, by name."""
        ...

    def state(self) -> dict[str, Any]:
        """Return all state that `see` changes, as plain values for a checkpoint."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Restore the output of `state`."""
        ...


@dataclass(frozen=True)
class Point:
    """A row of history.csv, without `images` and `epoch`, which are computed from the step."""

    step: int
    split: str
    metric: str
    value: float


@dataclass
class _Window:
    values: list[float] = field(default_factory=list)
    step: int = 0


class Curves:
    """Means of logged values over windows of `budget / 500` updates, at least one update. NaN and infinite values stop
    the training, and so may `watch`."""

    def __init__(self, budget: int, watch: Watch | None = None) -> None:
        self.budget, self.watch = budget, watch
        self.window = -(-budget // POINTS)
        self.points: list[Point] = []
        self.latest: dict[str, float] = {}
        self._waiting: list[tuple[int, tuple[str, ...], list[float] | torch.Tensor]] = []
        self._open: dict[str, _Window] = {}
        self._read_at = 0

    def add(self, step: int, values: dict[str, float | torch.Tensor]) -> None:
        """Buffer scalars of update `step`. They are copied from the device every 50 updates, and by `read`."""
        numbers = {k: float(v) for k, v in values.items() if not isinstance(v, torch.Tensor)}
        tensors = {
            k: v.detach().float().reshape(()) for k, v in values.items() if isinstance(v, torch.Tensor)
        }
        if numbers:
            self._waiting.append((step, tuple(numbers), list(numbers.values())))
        if tensors:  # copied by one kernel, as the plugin may overwrite them in the next update
            self._waiting.append((step, tuple(tensors), torch.stack(list(tensors.values()))))
        if step - self._read_at >= READ_EVERY:
            self.read()

    def read(self) -> None:
        """Move buffered values into the curves. Raises Diverged at the first NaN or infinite value, and if the watch
        returns a message."""
        waiting, self._waiting = self._waiting, []
        rows = _to_floats([values for _, _, values in waiting])
        for (step, names, _), row in zip(waiting, rows, strict=True):
            self._read_at = max(self._read_at, step)
            for name, value in zip(names, row, strict=True):
                self._take(step, name, value)

    def add_point(self, step: int, split: str, metric: str, value: float) -> None:
        """Add a point without averaging, such as a validation score."""
        self.points.append(Point(step, split, metric, value))

    def close(self) -> None:
        """Read the remaining values and close partial windows. Raises Diverged as `read` does."""
        self.read()
        for name, window in self._open.items():
            self._emit(name, window)
        if self.watch is not None:
            self._stop_at(self.watch.at_end())

    def tail(self) -> list[list[int | str | float]]:
        """Return the last 200 rows `[step, metric, value]`. Validation metrics are named `val_<metric>`."""
        rows = [(p.step, p.metric if p.split == "train" else f"val_{p.metric}", p.value) for p in self.points]
        rows += [(w.step, name, _mean(w.values)) for name, w in self._open.items() if w.values]
        return [list(row) for row in sorted(rows, key=lambda row: row[0])[-TAIL:]]

    def state(self) -> dict[str, Any]:
        """Return the values that were read so far, without buffered values."""
        return {
            "points": [list(astuple(point)) for point in self.points],
            "open": {name: [window.values, window.step] for name, window in self._open.items()},
            "latest": self.latest,
            "watch": None if self.watch is None else self.watch.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the output of `state`."""
        self.points = [Point(*row) for row in state["points"]]
        self._open = {name: _Window(values, step) for name, (values, step) in state["open"].items()}
        self.latest = dict(state["latest"])
        if self.watch is not None and state["watch"] is not None:
            self.watch.load_state(state["watch"])
        self._waiting.clear()

    def _take(self, step: int, name: str, value: float) -> None:
        if not math.isfinite(value):
            self._stop_at(f"{name} is {value} at update {step} of {self.budget}")
        self.latest[name] = value
        window = self._open.setdefault(name, _Window())
        window.values.append(value)
        window.step = step
        if step % self.window == 0:
            self._emit(name, window)
        if self.watch is not None:
            self._stop_at(self.watch.see(step, name, value))

    def _stop_at(self, fault: str | None) -> None:
        if fault is not None:
            raise Diverged(fault, curve=self.tail())

    def _emit(self, name: str, window: _Window) -> None:
        if window.values:
            self.points.append(Point(window.step, "train", name, _mean(window.values)))
            window.values = []


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def _to_floats(rows: list[list[float] | torch.Tensor]) -> list[list[float]]:
    """Convert rows to floats, with one transfer for all tensors."""
    tensors = [row for row in rows if isinstance(row, torch.Tensor)]
    read = iter(torch.cat(tensors).tolist() if tensors else [])
    return [row if isinstance(row, list) else list(islice(read, len(row))) for row in rows]
