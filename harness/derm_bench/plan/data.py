"""Plans what has to do with data: which images, which split, and the stage that decodes them."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from derm_bench.errors import UserError
from derm_bench.matrix.model import Cell, DatasetEntry, Matrix
from derm_bench.plan import costs
from derm_bench.plan.book import StageBook, transform_paths
from derm_bench.plan.keys import split_paths
from derm_bench.plan.split import PlannedSplit, Selection, plan_split, select
from derm_bench.specs import Task, create

SHOWN = 4  # images a class whose preprocessing is drawn


class DataPlanner:
    """Describes each data set, splits it and plans its decoding, once for all cells."""

    def __init__(self, matrix: Matrix, book: StageBook) -> None:
        self.matrix = matrix
        self.book = book
        self.plan = book.plan
        self.entries = {entry.label: entry for entry in matrix.datasets}
        # The place of each in the matrix.
        self._places: dict[str, tuple[str | int, ...]] = {
            entry.label: ("datasets", k) for k, entry in enumerate(matrix.datasets)
        }
        self._selections: dict[str, Selection] = {}
        self._fingerprints: dict[str, Mapping[str, str]] = {}
        self._views: dict[tuple[str, int, float], dict[str, Any]] = {}
        # What the data set says of its licence.
        self.licences: dict[str, str] = {}

    def other(self, entry: DatasetEntry, like: DatasetEntry, place: tuple[str | int, ...]) -> str:
        """The label of a data set that is no cell's; size, resize and preprocess are those of `like` unless written.
        An equal one of the matrix serves."""
        inherited = {
            name: getattr(like, name)
            for name in ("size", "resize", "preprocess")
            if name not in entry.model_fields_set
        }
        made = entry.model_copy(update={**inherited, "train_fraction": (1.0,)})
        for label, known in self.entries.items():
            if known.model_copy(update={"label": made.label, "train_fraction": (1.0,)}) == made:
                return label
        label = f"{entry.label} (init)"
        while label in self.entries:
            label += "'"
        self.entries[label], self._places[label] = made.model_copy(update={"label": label}), place
        return label

    def selection(self, label: str) -> Selection:
        """The images of a data set that the matrix uses."""
        if label not in self._selections:
            entry = self.entries[label]
            dataset = create(
                self.book.plugins.get("dataset", entry.name), entry.options, Task((), entry.size)
            )
            try:
                description = dataset.describe(entry.options)
                chosen = select(description, entry.classes, entry.limit, entry.split.group, entry.split.seed)
                digests = dataset.fingerprint(entry.options)
            except UserError as error:
                raise self._located(error, label) from error
            self._fingerprints[label] = {name: digests[name] for name in chosen.ids}
            self.licences[label] = description.licence
            self.plan.terms[label] = {"licence": description.licence, "citation": description.citation}
            self._selections[label] = chosen
        return self._selections[label]

    def split(self, label: str, seed: int) -> PlannedSplit:
        """The split of a data set under a split seed; its CSV becomes plan data."""
        if (label, seed) not in self.plan.splits:
            allow = "missing_class" in self.matrix.protocol.allow
            selection = self.selection(label)
            try:
                planned = plan_split(selection, self.entries[label].split, seed, allow_missing=allow)
            except UserError as error:
                raise self._located(error, label) from error
            self.plan.splits[label, seed] = planned
            self.plan.data[planned.digest] = planned.csv
        return self.plan.splits[label, seed]

    def counts(self, cell: Cell) -> Counter[str]:
        """Real training images a class of a cell."""
        return self.split(cell.dataset, cell.split_seed).counts("train", cell.train_fraction)

    def images(self, cell: Cell, classes: Iterable[str] | None = None) -> int:
        """Real training images of a cell, of some classes or all."""
        counts = self.counts(cell)
        return sum(counts.values()) if classes is None else sum(counts[name] for name in classes)

    def view(self, label: str, seed: int, fraction: float) -> dict[str, Any]:
        """What every stage that reads training images states about them."""
        place = (label, seed, fraction)
        if place not in self._views:
            clean = self.entries[label].clean
            split = self.split(label, seed)
            self._views[place] = {
                "split": split.digest,
                "classes": split.classes,
                "size": self.entries[label].size,
                "fraction": fraction,
                "clean": {"duplicates": clean.duplicates, "blurred": clean.blurred},
                "select_on_test": split.select_on_test,
            }
        return self._views[place]

    def decode(self, label: str) -> str:
        """The decode stage of a data set: its images at the stored size, preprocessed."""
        if label not in self.plan.decodes:
            self.plan.decodes[label] = self._decode(self.entries[label], self.selection(label))
        return self.plan.decodes[label]

    def _decode(self, entry: DatasetEntry, selection: Selection) -> str:
        digests = self._fingerprints[entry.label]
        lines = [
            f"{name}\t{group}\t{label}\t{digests[name]}"
            for name, group, label in zip(selection.ids, selection.groups, selection.labels, strict=True)
        ]
        return self._reads(
            entry,
            "decode",
            "derm_bench.stages.decode:decode",
            f"decode {entry.label}",
            {"images": self._keep("\n".join(lines).encode()), "unreadable": entry.clean.unreadable},
            costs.decode(len(selection.ids)),
        )

    def add_sheets(self) -> None:
        """A stage for each data set of the matrix that is preprocessed: it draws a few training images of each class
        after each step."""
        for label, seed in self.plan.cell_splits():
            entry = self.entries[label]
            if entry.preprocess and label not in self.plan.sheets:
                split, digests = self.split(label, seed), self._fingerprints[label]
                shown = {
                    name: [
                        (split.ids[i], digests[split.ids[i]])
                        for i in _evenly(split.indices("train", classes=[name]))
                    ]
                    for name in split.classes
                }
                self.plan.sheets[label] = self._reads(
                    entry,
                    "analyse",
                    "derm_bench.stages.preprocessing:preprocessing",
                    f"draw the preprocessing of {label}",
                    {"shown": shown, "title": label, "licence": self.licences[label]},
                    costs.decode(len(split.classes) * SHOWN),
                )

    def _reads(
        self, entry: DatasetEntry, kind: str, function: str, title: str, more: Mapping[str, Any], cost: float
    ) -> str:
        """A stage that reads images of a data set and preprocesses them."""
        hashed, local = split_paths(entry.options)
        params = {
            "dataset": entry.name,
            # Where the files lie is not part of the identity: their digests are, in `images` or `shown`.
            "options": {name: value for name, value in hashed.items() if name not in local},
            "classes": self.selection(entry.label).classes,
            "size": entry.size,
            "resize": entry.resize,
            "preprocess": self.book.transforms(entry.preprocess),
        }
        return self.book.enter(
            kind,
            function,
            title,
            params | dict(more),
            {},
            [("dataset", entry.name), *(("transform", use.name) for use in entry.preprocess)],
            on_device=False,
            local={"paths": local, "transforms": transform_paths(entry.preprocess)},
            cost=cost,
        )

    def _keep(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self.plan.data[digest] = content
        return digest

    def _located(self, error: UserError, label: str) -> UserError:
        """An error of one data set, at its place in the matrix."""
        if error.file is not None:
            return error
        return self.matrix.error(error.message, (*self._places[label], *error.path), error.hint)


def _evenly(places: Sequence[int]) -> list[int]:
    """`SHOWN` of them, evenly taken."""
    n = min(SHOWN, len(places))
    return [places[k * len(places) // n] for k in range(n)]
