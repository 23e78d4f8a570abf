"""TensorBoard: one run per stage with its training curves, and one run per arm with its final scores.

The writer is that of tensorboard, which needs neither torch nor TensorFlow.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derm_bench import hookimpl
from derm_bench.errors import UserError
from derm_bench_plugins.trackers import plain, scores

try:
    from tensorboard.summary import Writer
except ImportError as error:
    raise UserError(
        f"the tracker 'tensorboard' needs the package tensorboard ({error})",
        hint="pip install 'derm-bench[tensorboard]'",
    ) from error


class TensorBoardTracker:
    """Writes event files below `place`, by default `tensorboard/` in the run directory.

    To view them, run `tensorboard --logdir PLACE`.
    """

    def __init__(self, place: str | None) -> None:
        self._place = Path(place) if place else None
        self._folder = Path()
        self._writers: dict[str, Any] = {}

    @hookimpl
    def derm_bench_run_start(self, out: Path) -> None:
        self._folder = self._place or out / "tensorboard"

    @hookimpl
    def derm_bench_log(self, stage: str, key: str, step: int, values: Mapping[str, float]) -> None:
        writer = self._writer(stage, key)
        for name, value in values.items():
            writer.add_scalar(name, value, step)

    @hookimpl
    def derm_bench_stage_finish(self, record: Mapping[str, Any]) -> None:
        """Add seconds and memory to stages that logged values. Other stages would only lengthen the list of runs."""
        writer = self._writers.pop(record["key"], None)
        if writer is None:
            return
        for name in ("seconds", "peak_memory_mb", "peak_device_mb"):
            if record.get(name) is not None:
                writer.add_scalar(f"stage/{name}", record[name], 0)
        writer.close()

    @hookimpl
    def derm_bench_run_finish(self, out: Path) -> None:
        for score in scores(out):
            self._writer(score.arm, score.arm).add_scalar(score.metric, score.mean, 0)
        for writer in self._writers.values():
            writer.close()

    def _writer(self, name: str, key: str) -> Any:
        """Return the writer of a run. Its folder includes the start of the key, because stages may share a title."""
        if key not in self._writers:
            folder = plain(name) if key == name else f"{plain(name).replace('/', '_')} {key[:8]}"
            self._writers[key] = Writer(str(self._folder / folder))
        return self._writers[key]
