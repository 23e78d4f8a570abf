"""What a stage function is handed. This module is under the key of every stage."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from derm_bench.hashed_options import merge_paths
from derm_bench.lazy import create

if TYPE_CHECKING:
    from derm_bench.protocols import Task
    from derm_bench.run import Precision
    from derm_bench.training.curves import Watch

HISTORY_COLUMNS = ("step", "images", "epoch", "split", "metric", "value")


class PluginLookup(Protocol):
    """The plugins that a worker has, as stages see them."""

    def get(self, kind: str, name: str) -> Any:
        """The spec of a plugin."""
        ...

    def options(self, kind: str, name: str, values: Mapping[str, Any]) -> Any:
        """Values as the plugin's whole options model."""
        ...


class Device(NamedTuple):
    """Where a stage computes: a torch device string, the precision of forward passes, and threads on the CPU."""

    name: str
    precision: Precision
    threads: int


class Checkpoints(NamedTuple):
    """The folder in which a stage keeps what it needs to go on after an interruption (None: it keeps nothing), and the
    seconds between two checkpoints."""

    folder: Path | None = None
    seconds: float = 60.0


NO_CHECKPOINTS = Checkpoints()


class Ended(NamedTuple):
    """How an optional input has ended: its status, its error in words, and its folder where it is done."""

    status: str
    error: str
    folder: Path | None


@dataclass(frozen=True)
class StageContext:
    """All that a stage function gets.

    params: the record of the stage's kind. local: places of files, by what names them. inputs: folders of finished
    stages by name. optional: how each stage ended that this one runs after whatever became of it. out: an empty folder
    to write into. data: the folder of plan-level data. report: takes progress as `{"done", "total", "values"}`. watch:
    makes what may stop a training of so many updates.
    """

    params: Any
    local: Mapping[str, Any]
    inputs: Mapping[str, Path]
    out: Path
    data: Path
    machine: Device
    plugins: PluginLookup
    optional: Mapping[str, Ended] = field(default_factory=dict)
    report: Callable[[Mapping[str, Any]], None] = field(default=lambda _: None)
    checkpoints: Checkpoints = NO_CHECKPOINTS
    watch: Callable[[int], Watch] | None = None

    @property
    def device(self) -> str:
        return self.machine.name

    @property
    def precision(self) -> Precision:
        return self.machine.precision

    def options(self, kind: str, name: str) -> Any:
        """The options of the stage's plugin, as its model, with paths put back."""
        values = merge_paths(self.params.options, self.local.get("paths", {}))
        return self.plugins.options(kind, name, values)

    def metric(self, use: Mapping[str, Any], local: Mapping[str, str], task: Task) -> Any:
        """The object of a metric as the parameters name it; its files are where `local` says."""
        spec = self.plugins.get("metric", use["name"])
        return create(spec, self.metric_options(use, local), task)

    def metric_options(self, use: Mapping[str, Any], local: Mapping[str, str]) -> Any:
        """The options of a metric, as its model."""
        return self.plugins.options("metric", use["name"], merge_paths(use["options"], local))

    def transforms(self, uses: Iterable[Any], task: Task, phase: str) -> list[Any]:
        """The transforms of one phase among `uses`, in order, made; files that they name are where `local` says."""
        made = []
        places = itertools.chain(self.local.get("transforms", ()), itertools.repeat({}))
        for use, paths in zip(uses, places, strict=False):
            name, given = (
                (use["name"], merge_paths(use["options"], paths))
                if isinstance(use, Mapping)
                else (use.name, use.options)
            )
            spec = self.plugins.get("transform", name)
            if spec.phase == phase:
                ready = isinstance(given, spec.options)
                made.append(
                    create(spec, given if ready else self.plugins.options("transform", name, given), task)
                )
        return made

    def write_history(self, rows: Iterable[Sequence[Any]]) -> None:
        """Writes training curves as history.csv."""
        with (self.out / "history.csv").open("w", newline="") as handle:
            writer = csv.writer(handle, lineterminator="\n")
            writer.writerow(HISTORY_COLUMNS)
            writer.writerows(rows)
