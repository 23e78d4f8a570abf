"""What a data set says of itself: classes, counts, groups, attributes, splits, licence, and what looks wrong."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from derm_bench.dataset_parts import create_dataset
from derm_bench.errors import UserError
from derm_bench.inspection.files import file_facts
from derm_bench.inspection.recognition import Reader
from derm_bench.matrix.model import DatasetEntry, Split
from derm_bench.plan.refusals import refuse_taken
from derm_bench.plan.split import plan_split, select
from derm_bench.plugins import Plugins
from derm_bench.plugins.culprit import blaming
from derm_bench.protocols import Dataset, DatasetDescription, Task
from derm_bench.specs import DatasetSpec

FEW_IMAGES, FEW_GROUPS, LARGE_GROUP = 30, 10, 0.1
MOST_VALUES = 6
MOST_NAMES = 100
SIDE = 64


@dataclass(frozen=True)
class Inspection:
    """A data set that was looked at. `facts` are JSON values; `dataset` reads its images."""

    name: str
    dataset: Dataset
    description: DatasetDescription
    facts: dict[str, Any]


def inspect_entry(entry: DatasetEntry, spec: DatasetSpec, plugins: Plugins) -> Inspection:
    """Describe a data set of a matrix, without reading pixels. Raises UserError if it cannot be described."""
    with blaming(spec, plugins, "create(options, task)"):
        dataset = create_dataset(spec, entry.options, Task((), SIDE), plugins)
    with blaming(spec, plugins, "describe(options)"):
        found = dataset.describe(entry.options)
    paths: Mapping[str, Any] = {}
    if (ask := getattr(dataset, "paths", None)) is not None:
        with blaming(spec, plugins, "paths(options)"):
            paths = ask(entry.options)
    files, classes = file_facts(paths, found.ids), _classes(found)
    facts = {
        "dataset": entry.name,
        "images": len(found.ids),
        "classes": classes,
        "groups": _groups(found),
        "attributes": {name: _attribute(column) for name, column in found.attributes.items()},
        "tasks": {
            name: len({label for label in labels if label}) for name, labels in found.aux_labels.items()
        },
        "given_split": _given(found),
        "masks": found.masks,
        "ordinal": found.ordinal,
        "licence": found.licence,
        "citation": found.citation,
        "files": files,
        "notes": [
            {"text": note.text, "count": len(note.names), "names": list(note.names[:MOST_NAMES])}
            for note in found.notes
        ],
        "problems": [*_problems(found, entry, classes), *_problems_of_files(files)],
    }
    return Inspection(entry.name, dataset, found, facts)


def template_of(entry: DatasetEntry, spec: DatasetSpec, plugins: Plugins) -> str:
    """The table to fill in that a data set makes by its method `template(options)`. Raises UserError if it has none."""
    with blaming(spec, plugins, "create(options, task)"):
        dataset = create_dataset(spec, entry.options, Task((), SIDE), plugins)
    if (ask := getattr(dataset, "template", None)) is None:
        raise UserError(
            f"the data set '{entry.name}' needs no labels from a person, so there is no table to fill in",
            hint="`alopecia` is one that does; --dataset NAME reads the folder with it",
        )
    with blaming(spec, plugins, "template(options)"):
        return str(ask(entry.options))


def _classes(found: DatasetDescription) -> dict[str, dict[str, int]]:
    """The number of images and of groups of each class, in the order of classes."""
    images = Counter(found.labels)
    groups: dict[str, set[str]] = defaultdict(set)
    for label, group in zip(found.labels, found.groups or found.ids, strict=True):
        groups[label].add(group)
    return {name: {"images": images[name], "groups": len(groups[name])} for name in found.classes}


def _groups(found: DatasetDescription) -> dict[str, Any] | None:
    if found.groups is None:
        return None
    sizes = Counter(found.groups)
    return {"groups": len(sizes), "largest": max(sizes.values(), default=0)}


def _attribute(column: Sequence[Any]) -> dict[str, Any]:
    """How many values of a column are known, and their range if they are numbers, else the most common ones."""
    known = [value for value in column if not _is_missing(value)]
    facts: dict[str, Any] = {"known": len(known), "different": len(set(known))}
    if known and all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        return facts | {"min": min(known), "max": max(known)}
    return facts | {"values": dict(Counter(map(str, known)).most_common(MOST_VALUES))}


def _is_missing(value: Any) -> bool:
    return value is None or value in ("", "unknown") or (isinstance(value, float) and math.isnan(value))


def _given(found: DatasetDescription) -> dict[str, dict[str, int]] | None:
    """The number of images of each class in each part of the data set's own split."""
    if found.given_split is None:
        return None
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for part, label in zip(found.given_split, found.labels, strict=True):
        counts[part or "none"][label] += 1
    return {part: {name: counts[part][name] for name in found.classes} for part in sorted(counts)}


# --------------------------------------------------------------------------------- what looks wrong


def _problems(
    found: DatasetDescription, entry: DatasetEntry, classes: Mapping[str, Mapping[str, int]]
) -> Iterator[str]:
    yield from _refused(lambda: refuse_taken(found.classes))
    if len(found.classes) < 2:
        yield "a classifier needs at least two classes"
    for name, counts in classes.items():
        if counts["images"] < FEW_IMAGES or counts["groups"] < FEW_GROUPS:
            yield (
                f"class '{name}' is small: {counts['images']} images in {counts['groups']} groups, from which val and "
                "test are taken too"
            )
    if found.groups is None:
        yield (
            "no groups are known: if two images show the same lesion or patient, one may be in training and the other "
            "in test"
        )
    else:
        yield from _problems_of_groups(found, found.groups)
    if not found.licence:
        yield "the licence is not stated: find out what it permits before you publish images or samples"
    elif "NC" in found.licence.upper().replace("-", " ").split():
        yield f"the licence ({found.licence}) does not permit commercial use, of samples either"
    yield from _refused(lambda: _plan(found, entry))


def _problems_of_groups(found: DatasetDescription, groups: Sequence[str]) -> Iterator[str]:
    labels: dict[str, set[str]] = defaultdict(set)
    for group, label in zip(groups, found.labels, strict=True):
        labels[group].add(label)
    mixed = [group for group, several in labels.items() if len(several) > 1]
    if mixed:
        yield f"{len(mixed):,} groups have images of several classes, for example '{mixed[0]}'"
    (largest, count), *_ = Counter(groups).most_common(1) or [("", 0)]
    if count > max(1, LARGE_GROUP * len(groups)):
        yield f"the group '{largest}' has {count:,} of {len(groups):,} images, which no split can divide"


def _problems_of_files(files: Mapping[str, Any] | None) -> Iterator[str]:
    if files and files["unreadable"]:
        broken = files["unreadable"]
        yield f"{len(broken):,} of {files['looked_at']:,} files are no readable images, for example {broken[0]}"


def _plan(found: DatasetDescription, entry: DatasetEntry) -> None:
    """Split the data set as the entry says, or by its own split if it says nothing, to see whether that is possible."""
    selection = select(found, entry.classes, entry.limit, entry.split.group, entry.split.seed)
    split = entry.split
    if split == Split() and splits_as_given(_given(found)):
        split = Split(method="given")
    plan_split(selection, split, split.seed)


def _refused(check: Callable[[], object]) -> Iterator[str]:
    try:
        check()
    except UserError as error:
        yield error.message + (f" ({error.hint})" if error.hint else "")


def entry_of(reader: Reader) -> DatasetEntry:
    """The entry of a matrix that reads what a reader reads, with all defaults."""
    return DatasetEntry(name=reader.name, label=reader.name, options=reader.validated())


def splits_as_given(given: Mapping[str, Mapping[str, int]] | None) -> bool:
    """Whether a data set's own split, `given_split` of its facts, has images of every class in train and test."""
    parts = [(given or {}).get(part, {}) for part in ("train", "test")]
    return all(min(counts.values(), default=0) > 0 for counts in parts)
