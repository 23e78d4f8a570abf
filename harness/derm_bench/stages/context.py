"""The argument of a stage function. This module is part of the key of every stage."""

from __future__ import annotations

import csv
import hashlib
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from derm_bench.errors import UserError
from derm_bench.hashed_options import merge_paths
from derm_bench.lazy import create

if TYPE_CHECKING:
    from derm_bench.protocols import Task
    from derm_bench.run import Precision
    from derm_bench.training.curves import Watch

HISTORY_COLUMNS = ("step", "images", "epoch", "split", "metric", "value")


class PluginLookup(Protocol):
    """Access of a stage to the plugins of its worker."""

    def get(self, kind: str, name: str) -> Any:
        """The spec of a plugin."""
        ...

    def options(self, kind: str, name: str, values: Mapping[str, Any]) -> Any:
        """`values` as the options model of the plugin."""
        ...


class Device(NamedTuple):
    """The device of a stage: a torch device string, the precision of forward passes, and the number of CPU threads."""

    name: str
    precision: Precision
    threads: int


class Checkpoints(NamedTuple):
    """The folder in which a stage saves checkpoints, to continue after an interruption (None: it saves none), and the
    seconds between two checkpoints."""

    folder: Path | None = None
    seconds: float = 60.0


NO_CHECKPOINTS = Checkpoints()


class Ended(NamedTuple):
    """The outcome of an optional input: its status, its error message, and its folder if it is done."""

    status: str
    error: str
    folder: Path | None


@dataclass(frozen=True)
class StageContext:
    """The argument of a stage function.

    params: the parameters, as the record of the stage's kind. local: paths of files, by what refers to them. inputs:
    folders of finished stages, by name. optional: the outcome of each optional input, by name. out: an empty folder for
    the output. data: the folder of plan-level data. report: a function that takes progress as
    `{"done", "total", "values"}`. watch: a function that takes the number of updates of a training and the
    names of its discriminator's outputs, and returns the `Watch` that may stop it.
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
    watch: Callable[[int, tuple[str, str]], Watch] | None = None

    @property
    def device(self) -> str:
        return self.machine.name

    @property
    def precision(self) -> Precision:
        return self.machine.precision

    def planned(self, digest: str) -> bytes:
        """Reads plan-level data, such as a split, by its digest. Raises UserError if its content differs."""
        content = (self.data / digest).read_bytes()
        if hashlib.sha256(content).hexdigest() != digest:
            raise UserError(
                f"{self.data / digest} differs from its digest",
                hint="start the run again: it sets the file aside and stores it again",
            )
        return content

    def options(self, kind: str, name: str) -> Any:
        """The options of the stage's plugin, as its model, with the paths of files restored."""
        values = merge_paths(self.params.options, self.local.get("paths", {}))
        return self.plugins.options(kind, name, values)

    def metric(self, use: Mapping[str, Any], local: Mapping[str, str], task: Task) -> Any:
        """Creates the metric that `use` describes; `local` has the paths of its files."""
        spec = self.plugins.get("metric", use["name"])
        return create(spec, self.metric_options(use, local), task)

    def metric_options(self, use: Mapping[str, Any], local: Mapping[str, str]) -> Any:
        """The options of a metric, as its options model."""
        return self.plugins.options("metric", use["name"], merge_paths(use["options"], local))

    def transforms(self, uses: Iterable[Any], task: Task, phase: str) -> list[Any]:
        """Creates the transforms of one phase among `uses`, in order; `local` has the paths of their files."""
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
