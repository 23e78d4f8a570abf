"""Plans the data of a matrix: the images, the splits, and the stages that decode and derive data."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from derm_bench.dataset_parts import create_dataset, parts_of
from derm_bench.errors import UserError
from derm_bench.image_list import write_list
from derm_bench.lazy import load_object
from derm_bench.matrix.model import Cell, DatasetEntry, Matrix
from derm_bench.plan import params as p
from derm_bench.plan.audits import Outsiders, enter_audit, enter_outside_audit
from derm_bench.plan.book import Entry, StageBook
from derm_bench.plan.refusals import refuse_taken
from derm_bench.plan.split import Selection, divided_groups, missing_classes, plan_split, select
from derm_bench.plugins.culprit import blaming
from derm_bench.protocols import DatasetDescription, Task
from derm_bench.splits import PlannedSplit
from derm_bench.stage_names import DERIVED, DERIVED_SYNTHETIC


class DataPlanner:
    """Describes each data set, splits it and plans its decoding, once for all cells."""

    def __init__(self, matrix: Matrix, book: StageBook) -> None:
        self.matrix = matrix
        self.book = book
        self.plan = book.plan
        self.entries = {entry.label: entry for entry in matrix.datasets}
        # The location of each data set in the matrix.
        self._places: dict[str, tuple[str | int, ...]] = {
            entry.label: ("datasets", k) for k, entry in enumerate(matrix.datasets)
        }
        self._selections: dict[str, Selection] = {}
        self.fingerprints: dict[str, Mapping[str, str]] = {}
        self._views: dict[tuple[str, int, float], p.View] = {}
        # The licence of each data set.
        self.licences: dict[str, str] = {}
        # The values of the auxiliary tasks and attributes of a data set, by name.
        self._columns: dict[str, Mapping[str, Mapping[str, Any]]] = {}
        self._tasks: dict[str, tuple[str, ...]] = {}
        # The group of each image of a data set, where the data set knows it.
        self.known_groups: dict[str, Mapping[str, str]] = {}

    def other(
        self, entry: DatasetEntry, like: DatasetEntry, place: tuple[str | int, ...], word: str = "init"
    ) -> str:
        """The label of a data set that no cell uses, such as that of `init`. `size`, `resize` and `preprocess` default
        to those of `like`. If the matrix has an equal data set, its label is returned."""
        inherited = {
            name: getattr(like, name)
            for name in ("size", "resize", "preprocess")
            if name not in entry.model_fields_set
        }
        made = entry.model_copy(update={**inherited, "train_fraction": (1.0,)})
        for label, known in self.entries.items():
            if known.model_copy(update={"label": made.label, "train_fraction": (1.0,)}) == made:
                return label
        return self.add(made, f"{entry.label} ({word})", place)

    def add(self, entry: DatasetEntry, label: str, place: tuple[str | int, ...]) -> str:
        """Adds a data set that no cell is trained on, written at `place` in the matrix. Returns its label, which is
        `label` unless another data set has it."""
        while label in self.entries:
            label += "'"
        self.entries[label], self._places[label] = entry.model_copy(update={"label": label}), place
        return label

    def set_selection(self, label: str, selection: Selection) -> None:
        """Replaces the images of a data set that the matrix uses, before its decoding is planned."""
        digests = self.fingerprints[label]
        self.fingerprints[label] = {name: digests[name] for name in selection.ids}
        self._selections[label] = selection

    def selection(self, label: str) -> Selection:
        """The images of a data set that the matrix uses."""
        if label not in self._selections:
            entry = self.entries[label]
            spec, plugins = self.book.plugins.get("dataset", entry.name), self.book.plugins
            try:
                with blaming(spec, plugins, "create(options, task)"):
                    dataset = create_dataset(spec, entry.options, Task((), entry.size), plugins)
                with blaming(spec, plugins, "describe(options)"):
                    description = _described(dataset.describe(entry.options), entry.name)
                chosen = select(description, entry.classes, entry.limit, entry.split.group, entry.split.seed)
                refuse_taken(chosen.classes)
                with blaming(spec, plugins, "fingerprint(options)"):
                    digests = dataset.fingerprint(entry.options)
            except UserError as error:
                raise self._located(error, label) from error
            self.fingerprints[label] = {name: digests[name] for name in chosen.ids}
            self.licences[label] = description.licence
            groups = description.groups if description.groups is not None else ()
            self.known_groups[label] = dict(zip(description.ids, groups, strict=False))
            self.plan.terms[label] = {"licence": description.licence, "citation": description.citation}
            self.plan.notes[label] = [note for note in description.notes if not note.warns]
            self.plan.warnings += [f"{label}: {note.sentence()}" for note in description.notes if note.warns]
            self._columns[label] = {
                name: dict(zip(description.ids, column, strict=False))
                for name, column in {**description.attributes, **description.aux_labels}.items()
            }
            self._tasks[label] = tuple(description.aux_labels)
            self._selections[label] = chosen
        return self._selections[label]

    def columns(self, label: str) -> Mapping[str, Mapping[str, Any]]:
        """The values of each auxiliary task and attribute of a data set, by name and then by id."""
        self.selection(label)
        return self._columns[label]

    def split(self, label: str, seed: int) -> PlannedSplit:
        """The split of a data set under a split seed. Its CSV is added to the data of the plan."""
        if (label, seed) not in self.plan.splits:
            permits, selection = self.matrix.protocol.allow, self.selection(label)
            stated = self.entries[label].split
            try:
                planned = plan_split(
                    selection,
                    stated,
                    seed,
                    allow_missing="missing_class" in permits,
                    allow_ungrouped="ungrouped_split" in permits,
                )
            except UserError as error:
                raise self._located(error, label) from error
            where = f"{label}, split {seed}"
            self.plan.warnings += [
                f"permitted by missing_class: {where}: no image of '{name}' in {part}"
                for name, part in missing_classes(planned, stated)
            ]
            if divided := divided_groups(planned):
                message = f"{where}: {len(divided)} groups have images in several parts"
                self.plan.warnings.append(f"permitted by ungrouped_split: {message}")
            self.plan.splits[label, seed] = planned
            self.plan.data[planned.digest] = planned.csv
            view, known = self.view(label, seed, 1.0), self.known_groups[label]
            enter_audit(self.book, (label, seed), view, self.decode(label), known, self.licences[label])
        return self.plan.splits[label, seed]

    def audit_outside(self, cell: Cell, label: str, use: str, split: PlannedSplit) -> None:
        """Enters the audit of a data set that is used beside the split of a cell: as a test set, or as extra images of
        a generator."""
        own, seed = cell.dataset, cell.split_seed
        self.split(own, seed)
        others = Outsiders(label, use, split, self.cleaning(label))
        decodes = self.decode(own), self.decode(label)
        enter_outside_audit(
            self.book, (own, seed), self.view(own, seed, 1.0), decodes, others, self.known_groups[own]
        )

    def counts(self, cell: Cell) -> Counter[str]:
        """The number of real training images of a cell, per class."""
        return self.split(cell.dataset, cell.split_seed).counts("train", cell.train_fraction)

    def images(self, cell: Cell, classes: Iterable[str] | None = None) -> int:
        """The number of real training images of a cell, in `classes` or (None) in all classes."""
        counts = self.counts(cell)
        return sum(counts.values()) if classes is None else sum(counts[name] for name in classes)

    def view(self, label: str, seed: int, fraction: float) -> p.View:
        """The parameters that every stage which reads training images has in common."""
        place = (label, seed, fraction)
        if place not in self._views:
            split = self.split(label, seed)
            self._views[place] = p.View(
                split=split.digest,
                classes=split.classes,
                size=self.entries[label].size,
                fraction=fraction,
                clean=self.cleaning(label),
                select_on_test=split.select_on_test,
            )
        return self._views[place]

    def cleaning(self, label: str) -> dict[str, Any]:
        """The rules of a data set for the images that are dropped once their pixels are known."""
        entry = self.entries[label]
        drops = entry.clean.duplicates == "drop" or "pixels" in getattr(entry.options, "dedup", ())
        return {"duplicates": "drop" if drops else "keep", "blurred": entry.clean.blurred}

    def viewed(self, cell: Cell) -> dict[str, Any]:
        """The view of a cell as a dict, from which the parameters of stages are built."""
        return p.as_dict(self.view(cell.dataset, cell.split_seed, cell.train_fraction))

    def place(self, label: str) -> tuple[str | int, ...]:
        """The key path of a data set's classes in the matrix, for messages."""
        return (*self._places[label], "classes")

    def decode(self, label: str) -> str:
        """The stage that decodes a data set into preprocessed images of the stored size."""
        if label not in self.plan.decodes:
            entry, selection = self.entries[label], self.selection(label)
            digests = self.fingerprints[label]
            contents = [digests[name] for name in selection.ids]
            listed = zip(selection.ids, selection.groups, selection.labels, contents, strict=True)
            images = self.keep(write_list(listed))
            params = p.Decode(
                **self.reading(label),
                images=images,
                unreadable=entry.clean.unreadable,
                aux_labels=self._aux_labels(label),
            )
            self.plan.decodes[label] = self.book.enter("decode", params, self.reader(label))
        return self.plan.decodes[label]

    def _aux_labels(self, label: str) -> str | None:
        """The digest of the labels of the auxiliary tasks that the description of a data set has, if it has any."""
        ids, columns = self.selection(label).ids, self.columns(label)
        labels = {task: [columns[task][name] for name in ids] for task in self._tasks[label]}
        return hashlib.sha256(json.dumps(labels).encode()).hexdigest() if labels else None

    def reading(self, label: str) -> dict[str, Any]:
        """The parameters of a stage that reads images of a data set and preprocesses them. They hold the digests of
        files, not their paths."""
        entry = self.entries[label]
        return {
            "dataset": entry.name,
            "options": self.book.hashed(entry.options, folders=False).values,
            "classes": self.selection(label).classes,
            "size": entry.size,
            "resize": entry.resize,
            "preprocess": self.book.transforms(entry.preprocess),
        }

    def reader(self, label: str) -> Entry:
        """The entry of a stage that reads images of a data set and preprocesses them."""
        entry = self.entries[label]
        spec = self.book.plugins.get("dataset", entry.name)
        parts = dict.fromkeys(("dataset", name) for name in parts_of(spec, entry.options, self.book.plugins))
        return Entry(
            plugins=[("dataset", entry.name), *parts, *(("transform", use.name) for use in entry.preprocess)],
            words={"label": entry.label},
            local={
                "paths": self.book.hashed(entry.options, folders=False).paths,
                "transforms": self.book.transform_paths(entry.preprocess),
            },
        )

    def derived(
        self, label: str, kind: str, use: Any, samples: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """The inputs with the named data that a plugin derives from the images of a data set, and from the `samples` of
        each class that it is trained on. Each is one stage, shared by all plugins that need the same data."""
        spec = self.book.plugins.get(kind, use.name)
        with blaming(spec, self.book.plugins, "derives(options)"):
            wanted = load_object(spec.derives)(use.options) if spec.derives else {}
        found = {}
        for name, made in wanted.items():
            params = p.Derive(
                function=made.function, options=dict(made.options), size=self.entries[label].size
            )
            sources = {f"{DERIVED}{name}": ({"decode": self.decode(label)}, label)} | {
                f"{DERIVED_SYNTHETIC}{name}/{of_class}": ({"sample": key}, f"{of_class}, synthetic")
                for of_class, key in (samples or {}).items()
            }
            for place, (inputs, title) in sources.items():
                entry = Entry(inputs=inputs, words={"name": name, "label": title}, code=(made.function,))
                found[place] = self.book.enter("derive", params, entry)
        return found

    def keep(self, content: bytes) -> str:
        """Adds a file to the data of the plan and returns its digest."""
        digest = hashlib.sha256(content).hexdigest()
        self.plan.data[digest] = content
        return digest

    def _located(self, error: UserError, label: str) -> UserError:
        """Adds the location in the matrix to an error of a data set."""
        if error.file is not None:
            return error
        return self.matrix.error(error.message, (*self._places[label], *error.path), error.hint)


def _described(value: object, name: str) -> DatasetDescription:
    """What `describe` has returned. Raises UserError if it is no description, or not of as many labels as images."""
    if not isinstance(value, DatasetDescription):
        raise UserError(
            f"'{name}': describe() returned {type(value).__name__}, expected a DatasetDescription"
        )
    if len(value.labels) != len(value.ids):
        raise UserError(
            f"'{name}': describe() returned {len(value.ids)} ids and {len(value.labels)} labels, one of each per image"
        )
    return value
