"""What a stage function is handed, and the images it reads through it."""

from __future__ import annotations

import csv
import functools
import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import torch

from derm_bench.hashed_options import merge_paths
from derm_bench.images import ImageSet, load_images, load_rows
from derm_bench.lazy import create
from derm_bench.splits import PARTS, PlannedSplit, read_split
from derm_bench.stage_names import DERIVED

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

    @functools.cached_property
    def decoded(self) -> Decoded:
        """The decoded images with the stage's split, cleaned."""
        clean = json.dumps(self.params.clean, sort_keys=True)
        return _decoded(
            self.inputs["decode"], self.data / self.params.split, tuple(self.params.classes), clean
        )

    def images(self, part: str, *, fraction: float = 1.0, classes: Sequence[str] | None = None) -> ImageSet:
        """The images of a part, at the stored size, labelled by `classes` (default all) in that order, with the named
        data that was derived from them."""
        if part == "val" and self.params.select_on_test:
            part = "test"
        parts, fraction = (PARTS, 1.0) if part == "all" else ((part,), fraction)
        derived = {
            name.removeprefix(DERIVED): folder
            for name, folder in self.inputs.items()
            if name.startswith(DERIVED)
        }
        return self.decoded.image_set(parts, fraction, classes, derived)

    def write_history(self, rows: Iterable[Sequence[Any]]) -> None:
        """Writes training curves as history.csv."""
        with (self.out / "history.csv").open("w", newline="") as handle:
            writer = csv.writer(handle, lineterminator="\n")
            writer.writerow(HISTORY_COLUMNS)
            writer.writerows(rows)


@dataclass(frozen=True)
class Decoded:
    """The output of a decode stage joined with a split. `dropped` names what cleaning set aside, and why."""

    folder: Path
    split: PlannedSplit
    index: Mapping[str, Any]
    position: Mapping[str, int]
    dropped: Mapping[str, str]

    @classmethod
    def load(cls, folder: Path, split: PlannedSplit, clean: Mapping[str, Any]) -> Decoded:
        index = json.loads((folder / "index.json").read_text())
        position = {name: i for i, name in enumerate(index["ids"])}
        return cls(folder, split, index, position, set_aside(split, index, position, clean))

    def image_set(
        self,
        parts: Sequence[str],
        fraction: float,
        classes: Sequence[str] | None,
        derived: Mapping[str, Path],
    ) -> ImageSet:
        """The images of some parts that were decoded and not set aside; `derived` are folders of named data."""
        names = tuple(classes) if classes is not None else self.split.classes
        where = sorted(
            i
            for part in parts
            for i in self.split.indices(part, fraction=fraction, classes=names)
            if self.split.ids[i] in self.position and self.split.ids[i] not in self.dropped
        )
        rows = [self.position[self.split.ids[i]] for i in where]
        return ImageSet(
            images=load_images(self.folder / "images.npy", rows),
            labels=torch.tensor([names.index(self.split.labels[i]) for i in where], dtype=torch.int64),
            classes=names,
            ids=tuple(self.split.ids[i] for i in where),
            groups=tuple(self.split.groups[i] for i in where),
            attributes={
                name: [column[row] for row in rows] for name, column in self.index["attributes"].items()
            },
            masks=load_images(self.folder / "masks.npy", rows) if self.index["masks"] else None,
            aux_labels={
                task: torch.tensor([column[row] for row in rows], dtype=torch.int64)
                for task, column in self.index["aux_labels"].items()
            },
            ordinal=self.index["ordinal"],
            data={name: load_rows(folder / "data.npy", rows) for name, folder in derived.items()},
        )


@functools.lru_cache(maxsize=2)
def _decoded(folder: Path, split: Path, classes: tuple[str, ...], clean: str) -> Decoded:
    """Kept by a warm worker from one stage to the next: both files are named by their content and never change."""
    return Decoded.load(folder, read_split(split.read_bytes(), classes), json.loads(clean))


def set_aside(
    split: PlannedSplit, index: Mapping[str, Any], position: Mapping[str, int], clean: Mapping[str, Any]
) -> dict[str, str]:
    """What cleaning drops after the split, by id: blurred images, and copies of which the one in test stays,
    else the one in val, else the first id. The split itself is not made anew."""
    dropped: dict[str, str] = {}
    blurred = clean.get("blurred")
    if blurred is not None:
        sharpness = index["sharpness"]
        dropped |= {name: "blurred" for name, row in position.items() if sharpness[row] < blurred}
    if clean.get("duplicates") == "drop":
        priority = {"test": 0, "val": 1}
        first: dict[str, str] = {}
        order = sorted(
            zip(split.ids, split.parts, strict=True), key=lambda item: (priority.get(item[1], 2), item[0])
        )
        for name, _ in order:
            if name in position and name not in dropped:
                kept = first.setdefault(index["digests"][position[name]], name)
                if kept != name:
                    dropped[name] = f"copy of {kept}"
    return dropped
