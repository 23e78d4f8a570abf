"""Several data sets as one. Ids and groups begin with the label of the data set that they are from, which the attribute
`source` holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from derm_bench.label_maps import read_label_maps
from derm_bench.specs import DatasetDescription, Note

if TYPE_CHECKING:
    from derm_bench.specs import RawImage, Task, Unreadable
    from derm_bench_plugins.datasets.specs.union import UnionOptions

SOURCE = "source"


class Union:
    """The data sets in `task.inputs`, by label."""

    def __init__(self, options: UnionOptions, task: Task) -> None:
        self.options, self.parts = options, task.inputs

    def describe(self, options: UnionOptions) -> DatasetDescription:
        found = {use.label: self.parts[use.label].describe(use.options) for use in options.of}
        maps = self._maps(options, found)
        kept, notes = self._kept(options, found, maps)
        classes = dict.fromkeys(
            maps[label][name]
            for label, each in found.items()
            for name in each.classes
            if maps[label].get(name)
        )

        def column(of: Callable[[DatasetDescription, str], Sequence[Any] | None]) -> list[Any]:
            return _column(found, kept, of)

        names = dict.fromkeys(name for each in found.values() for name in each.attributes)
        tasks = dict.fromkeys(name for each in found.values() for name in each.aux_labels)
        attributes = {_renamed(name): _alike(column(partial(_attribute, name))) for name in names}
        grouped = any(each.groups is not None for each in found.values())
        given = any(each.given_split is not None for each in found.values())
        return DatasetDescription(
            ids=column(lambda each, label: [f"{label}/{name}" for name in each.ids]),
            labels=column(lambda each, label: [maps[label].get(name) for name in each.labels]),
            classes=tuple(name for name in classes if name is not None),
            groups=column(lambda each, label: [f"{label}/{name}" for name in each.groups or each.ids])
            if grouped
            else None,
            attributes={**attributes, SOURCE: column(lambda each, label: [label] * len(each.ids))},
            given_split=[part or "" for part in column(lambda each, _: each.given_split)] if given else None,
            masks=all(each.masks for each in found.values()),
            licence=_licences([each.licence for each in found.values()]),
            citation="; ".join(dict.fromkeys(each.citation for each in found.values() if each.citation)),
            aux_labels={task: [word or "" for word in column(partial(_aux_label, task))] for task in tasks},
            ordinal=all(each.ordinal for each in found.values()),
            notes=[*(_of_part(label, note) for label, each in found.items() for note in each.notes), *notes],
        )

    def fingerprint(self, options: UnionOptions) -> Mapping[str, str]:
        return {
            f"{use.label}/{name}": digest
            for use in options.of
            for name, digest in self.parts[use.label].fingerprint(use.options).items()
        }

    def read(self, ids: Sequence[str]) -> Iterator[RawImage | Unreadable]:
        of: dict[str, list[str]] = {}
        for name in ids:
            label, _, inner = name.partition("/")
            of.setdefault(label, []).append(inner)
        reading = {label: iter(self.parts[label].read(names)) for label, names in of.items()}
        for name in ids:
            yield next(reading[name.partition("/")[0]])

    def _maps(
        self, options: UnionOptions, found: Mapping[str, DatasetDescription]
    ) -> Mapping[str, Mapping[str, str | None]]:
        labels = {label: list(each.classes) for label, each in found.items()}
        if options.label_map is None:
            return {label: {name: name for name in known} for label, known in labels.items()}
        return read_label_maps(options.label_map, labels)

    def _kept(
        self,
        options: UnionOptions,
        found: Mapping[str, DatasetDescription],
        maps: Mapping[str, Mapping[str, str | None]],
    ) -> tuple[dict[str, list[int]], list[Note]]:
        """The positions of the images of each data set that are kept, and notes about the others."""
        kept: dict[str, list[int]] = {}
        notes: list[Note] = []
        first: dict[str, str] = {}
        for label, each in found.items():
            mapped = [i for i, name in enumerate(each.labels) if maps[label].get(name) is not None]
            kept[label] = [
                i
                for i in mapped
                if "id" not in options.dedup or first.setdefault(each.ids[i], label) == label
            ]
            if len(mapped) < len(each.ids):
                left = len(each.ids) - len(mapped)
                notes.append(Note(f"{left} images of {label} are left out by the label map", warns=True))
            if len(kept[label]) < len(mapped):
                twice = len(mapped) - len(kept[label])
                text = f"{twice} images of {label} have ids of earlier data sets and are left out"
                notes.append(Note(text, warns=True))
        return kept, notes


def _licences(stated: Sequence[str]) -> str:
    """The licences of all parts: one that states none counts, since its images may not be passed on."""
    return "; ".join(dict.fromkeys(licence or "none stated" for licence in stated)) if any(stated) else ""


def _of_part(label: str, note: Note) -> Note:
    """The note of a part, which names it."""
    return replace(note, text=f"{label}: {note.text}")


def _column(
    found: Mapping[str, DatasetDescription],
    kept: Mapping[str, Sequence[int]],
    of: Callable[[DatasetDescription, str], Sequence[Any] | None],
) -> list[Any]:
    """The values of all kept images, from the column `of` each data set (None for one without it)."""
    values: list[Any] = []
    for label, each in found.items():
        given = of(each, label)
        values += [None if given is None else given[i] for i in kept[label]]
    return values


def _attribute(name: str, each: DatasetDescription, label: str) -> Sequence[Any] | None:
    return each.attributes.get(name)


def _aux_label(task: str, each: DatasetDescription, label: str) -> Sequence[str] | None:
    return each.aux_labels.get(task)


def _renamed(name: str) -> str:
    """The name of an attribute of a data set, which is not to be that of the data set itself."""
    return "original_source" if name == SOURCE else name


def _alike(values: list[Any]) -> list[Any]:
    """The values of an attribute, as texts if some data sets have texts."""
    if any(isinstance(value, str) for value in values):
        return [None if value is None else str(value) for value in values]
    return values
