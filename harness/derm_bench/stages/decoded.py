"""The images that a stage reads: decoded images with their split, cleaning and derived data."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from derm_bench.errors import UserError
from derm_bench.images import ImageSet, load_images, load_rows
from derm_bench.splits import PARTS, PlannedSplit, read_split
from derm_bench.stage_names import DERIVED

if TYPE_CHECKING:
    from derm_bench.plan import params as p
    from derm_bench.stages.context import StageContext


def images_of(
    context: StageContext, part: str, *, fraction: float = 1.0, classes: Sequence[str] | None = None
) -> ImageSet:
    """The images of a part (train, val, test, reserve, or all), at the stored size, with the named data derived from
    them. Labels are indices into `classes` (default: all classes)."""
    params: p.View = context.params
    if part == "val" and params.select_on_test:
        part = "test"
    parts, fraction = (PARTS, 1.0) if part == "all" else ((part,), fraction)
    derived = {
        name.removeprefix(DERIVED): folder
        for name, folder in context.inputs.items()
        if name.startswith(DERIVED)
    }
    return decoded_of(context).image_set(parts, fraction, classes, derived)


def decoded_of(context: StageContext) -> Decoded:
    """The decoded images of a stage, with its split and cleaning."""
    params: p.View = context.params
    clean = json.dumps(params.clean, sort_keys=True)
    split = context.planned(params.split)
    return _decoded(context.inputs["decode"], split, tuple(params.classes), clean)


@dataclass(frozen=True)
class Decoded:
    """The output of a decode stage with a split and the rules of cleaning. `position` is the row of each image."""

    folder: Path
    split: PlannedSplit
    clean: Mapping[str, Any]
    index: Mapping[str, Any]
    position: Mapping[str, int]

    @classmethod
    def load(cls, folder: Path, split: PlannedSplit, clean: Mapping[str, Any]) -> Decoded:
        index = json.loads((folder / "index.json").read_text())
        return cls(folder, split, clean, index, {name: i for i, name in enumerate(index["ids"])})

    @functools.cached_property
    def files(self) -> Mapping[str, Any]:
        """Columns with a row per image: `digests` of pixels, `contents` (digests of files), `sharpness`; `headers` are
        columns themselves. Most stages need none of them, and they take most of the time of reading."""
        found: dict[str, Any] = json.loads((self.folder / "files.json").read_text())
        return found

    @functools.cached_property
    def dropped(self) -> Mapping[str, str]:
        """The reason for each image that cleaning removed, by id."""
        return set_aside(self)

    def image_set(
        self,
        parts: Sequence[str],
        fraction: float,
        classes: Sequence[str] | None,
        derived: Mapping[str, Path],
    ) -> ImageSet:
        """The decoded images of some parts, without those that cleaning removed; `derived` are folders of named
        data. Raises UserError if a class has planned images and none of them is left."""
        names = tuple(classes) if classes is not None else self.split.classes
        planned = [i for part in parts for i in self.split.indices(part, fraction=fraction, classes=names)]
        where = sorted(
            i for i in planned if self.split.ids[i] in self.position and self.split.ids[i] not in self.dropped
        )
        self._refuse_emptied(parts, planned, where)
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

    def _refuse_emptied(self, parts: Sequence[str], planned: Sequence[int], left: Sequence[int]) -> None:
        """Raises UserError for classes without images. With one class fewer, scores would look better than they are."""
        labels = self.split.labels
        emptied = {labels[i] for i in planned} - {labels[i] for i in left}
        if emptied:
            gone = [self.split.ids[i] for i in planned if labels[i] in emptied]
            reasons = Counter(
                self.dropped[name].split(" of ")[0] if name in self.dropped else "unreadable" for name in gone
            )
            raise UserError(
                f"no image of {', '.join(map(repr, sorted(emptied)))} is left in {', '.join(parts)} after decoding: "
                + ", ".join(f"{n} {why}" for why, n in sorted(reasons.items())),
                hint="repair the images, change `clean`, or leave the class out with `classes`",
            )


@functools.lru_cache(maxsize=4)
def _decoded(folder: Path, split: bytes, classes: tuple[str, ...], clean: str) -> Decoded:
    """Cached between the stages of a worker: the folder is named by its content and never changes."""
    return Decoded.load(folder, read_split(split, classes), json.loads(clean))


def set_aside(decoded: Decoded) -> dict[str, str]:
    """The images that cleaning drops after the split, with the reason, by id: blurred images, and all but one of
    several equal images. The image in test is kept, or else the one in val, or else the first id. The split is not
    changed."""
    split, position, clean = decoded.split, decoded.position, decoded.clean
    dropped: dict[str, str] = {}
    blurred = clean.get("blurred")
    if blurred is not None:
        sharpness = decoded.files["sharpness"]
        dropped |= {name: "blurred" for name, row in position.items() if sharpness[row] < blurred}
    if clean.get("duplicates") == "drop":
        priority = {"test": 0, "val": 1}
        first: dict[str, str] = {}
        order = sorted(
            zip(split.ids, split.parts, strict=True), key=lambda item: (priority.get(item[1], 2), item[0])
        )
        for name, _ in order:
            if name in position and name not in dropped:
                kept = first.setdefault(decoded.files["digests"][position[name]], name)
                if kept != name:
                    dropped[name] = f"copy of {kept}"
    return dropped
