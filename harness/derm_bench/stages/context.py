"""What a stage function is handed, and the images it reads through it."""

from __future__ import annotations

import csv
import functools
import itertools
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from derm_bench.hashed_options import merge_paths
from derm_bench.images import ImageSet
from derm_bench.matrix.options import compose_options
from derm_bench.plugins import Plugins
from derm_bench.run import Precision
from derm_bench.specs import Task, create
from derm_bench.splits import PlannedSplit, read_split
from derm_bench.training.checkpoints import SECONDS

HISTORY_COLUMNS = ("step", "images", "epoch", "split", "metric", "value")


@dataclass(frozen=True)
class StageContext:
    """The inputs of one stage. `inputs` are folders of finished stages by name, `out` an empty folder to write
    into, `data` the folder of plan-level data, `report` takes progress dicts. Without the stage's `key` nothing
    is kept for an interruption."""

    params: Mapping[str, Any]
    local: Mapping[str, Any]
    inputs: Mapping[str, Path]
    out: Path
    data: Path
    device: str
    precision: Precision
    threads: int
    plugins: Plugins
    report: Callable[[Mapping[str, Any]], None] = field(default=lambda _: None)
    key: str = ""
    checkpoint_seconds: float = SECONDS

    @property
    def checkpoints(self) -> Path | None:
        """Where this very stage keeps what it needs to go on after an interruption."""
        return self.data.parent / "checkpoints" / self.key if self.key else None

    def options(self, kind: str, name: str) -> Any:
        """The options of the stage's plugin, as its model, with paths put back."""
        hashed = self.params["options"]
        return compose_options(self.plugins.get(kind, name)).model_validate(
            merge_paths(hashed, self.local.get("paths", {}))
        )

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
                options = given if isinstance(given, spec.options) else spec.options.model_validate(given)
                made.append(create(spec, options, task))
        return made

    @functools.cached_property
    def decoded(self) -> Decoded:
        """The decoded images with the stage's split, cleaned."""
        clean = json.dumps(self.params["clean"], sort_keys=True)
        return _decoded(
            self.inputs["decode"], self.data / self.params["split"], tuple(self.params["classes"]), clean
        )

    def images(self, part: str, *, fraction: float = 1.0, classes: Sequence[str] | None = None) -> ImageSet:
        """The images of a part, at the stored size, labelled by `classes` (default all) in that order."""
        if part == "val" and self.params["select_on_test"]:
            part = "test"
        if part == "all":
            return self.decoded.image_set(["train", "val", "test", "reserve"], 1.0, classes)
        return self.decoded.image_set([part], fraction, classes)

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

    def image_set(self, parts: Sequence[str], fraction: float, classes: Sequence[str] | None) -> ImageSet:
        """The images of some parts that were decoded and not set aside."""
        names = tuple(classes) if classes is not None else self.split.classes
        where = sorted(
            i
            for part in parts
            for i in self.split.indices(part, fraction=fraction, classes=names)
            if self.split.ids[i] in self.position and self.split.ids[i] not in self.dropped
        )
        rows = [self.position[self.split.ids[i]] for i in where]
        return ImageSet(
            images=torch.from_numpy(_rows(self.folder / "images.npy", rows)),
            labels=torch.tensor([names.index(self.split.labels[i]) for i in where], dtype=torch.int64),
            classes=names,
            ids=tuple(self.split.ids[i] for i in where),
            groups=tuple(self.split.groups[i] for i in where),
            attributes={
                name: [column[row] for row in rows] for name, column in self.index["attributes"].items()
            },
            masks=torch.from_numpy(_rows(self.folder / "masks.npy", rows)) if self.index["masks"] else None,
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


def _rows(path: Path, rows: Sequence[int]) -> np.ndarray:
    """Some rows of a stored array, read through a memory map."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    return np.ascontiguousarray(array[np.asarray(rows, dtype=np.int64)])
