"""Notes the pace of a stage from its own progress, so that forecasts can tell start-up time from work."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any


class Pace:
    """A function that takes progress, passes it on and notes the first and the last amount of work that is done."""

    def __init__(self, report: Callable[[Mapping[str, Any]], None], began: float) -> None:
        self._report, self._began = report, began
        self._points: list[list[float]] = []

    def __call__(self, progress: Mapping[str, Any]) -> None:
        done = progress.get("done")
        if isinstance(done, int | float) and done > 0:
            del self._points[1:]
            self._points.append([float(done), round(time.perf_counter() - self._began, 4)])
        self._report(progress)

    def fields(self) -> dict[str, Any]:
        """The field of the record: `pace`, two points [work done, seconds since the start], of which the first includes
        the start-up; empty if there was no progress between two points."""
        if len(self._points) < 2 or self._points[1][0] <= self._points[0][0]:
            return {}
        return {"pace": [list(point) for point in self._points]}
