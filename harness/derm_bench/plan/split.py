"""Plans the split into train, val, test and reserve from the ids, labels and groups of images.

The order comes from SHA-256 ranks and not from a random generator, so a split is the same for every library version.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from derm_bench.errors import UserError
from derm_bench.matrix.model import PerClass, Split
from derm_bench.matrix.names import class_problems
from derm_bench.plain_text import is_unicode, printable
from derm_bench.protocols import DatasetDescription
from derm_bench.splits import PlannedSplit, group_counts, rank_groups

Amount = float | PerClass
MISSING = frozenset({"", "nan", "na", "n/a", "none", "null", "unknown", "-"})
"""Words, in small letters, that stand for a missing value in a column of groups."""

MAX_NAME = 5_000
"""The largest number of characters of the name of an image or group; paths have at most 4,096 bytes."""


@dataclass(frozen=True)
class Selection:
    """The images of a data set that a matrix uses, with merged classes: parallel lists, sorted by id."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    classes: tuple[str, ...]
    given: tuple[str, ...] = ()


def select(
    description: DatasetDescription,
    classes: Mapping[str, Sequence[str]] | None,
    limit: PerClass,
    group: str,
    seed: int,
) -> Selection:
    """The images of the requested classes, with classes merged and the number of images limited by whole groups."""
    _refuse_names(description)
    merged = _merge(description, classes)
    names = tuple(classes) if classes is not None else tuple(description.classes)
    source_groups = _groups(description, group)
    order = sorted(
        (i for i, label in enumerate(description.labels) if label in merged), key=lambda i: description.ids[i]
    )
    selection = Selection(
        tuple(description.ids[i] for i in order),
        tuple(merged[description.labels[i]] for i in order),
        tuple(source_groups[i] for i in order),
        names,
        tuple(description.given_split[i] for i in order) if description.given_split is not None else (),
    )
    if limit.per_class is None:
        return selection
    targets = _per_class(limit.per_class, names)
    kept = _fill(group_counts(selection, range(len(selection.ids))), targets, f"limit/{seed}")
    return _keep(selection, [i for i, name in enumerate(selection.groups) if name in kept])


def plan_split(
    selection: Selection,
    split: Split,
    seed: int,
    *,
    allow_missing: bool = False,
    allow_ungrouped: bool = False,
) -> PlannedSplit:
    """Assigns every image to a part. `seed` is the split seed (with kfold, the fold).

    The amounts of test, val and reserve are shares of the whole selection, or counts per class. They are met exactly if
    whole groups permit it, otherwise from below. Raises UserError if a class would be missing from a part
    (`missing_classes`), or if the split that a data set provides divides groups (`divided_groups`).
    """
    if split.method == "given":
        parts = _given(selection, split)
    elif split.method == "kfold":
        parts = _kfold(selection, split, seed)
    else:
        parts = _random(selection, split, seed)
    planned = PlannedSplit(
        selection.ids,
        selection.labels,
        selection.groups,
        tuple(parts),
        selection.classes,
        split.val == "test",
    )
    if not allow_missing:
        _refuse_missing(planned, split)
    if not allow_ungrouped:
        _refuse_divided(planned)
    return planned


def missing_classes(planned: PlannedSplit, split: Split) -> list[tuple[str, str]]:
    """(class, part) of each class without images in train, in test, or in a requested val or reserve."""
    needed = ["train", "test"]
    needed += [part for part in ("val", "reserve") if _is_wanted(getattr(split, part))]
    present = set(zip(planned.labels, planned.parts, strict=True))
    return [place for place in _product(planned.classes, needed) if place not in present]


def divided_groups(planned: PlannedSplit) -> list[str]:
    """The groups with images in several parts. Only a split that a data set provides has any."""
    parts: dict[str, str] = {}
    divided: dict[str, None] = {}
    for group, part in zip(planned.groups, planned.parts, strict=True):
        if parts.setdefault(group, part) != part:
            divided[group] = None
    return list(divided)


# ------------------------------------------------------------------------------------ selection


def _refuse_names(description: DatasetDescription) -> None:
    """Raises UserError for names of a data set that tables cannot hold: classes, ids and groups."""
    for _, why in class_problems(description.classes):
        raise UserError(why, hint="rename the class in the data set")
    for what, names in (("image", description.ids), ("group", description.groups or ())):
        for name in names:
            if len(name) > MAX_NAME or not (name.isascii() or name.isprintable() or is_unicode(name)):
                raise UserError(
                    f"the data set has the {what} {printable(name[:40])!r}",
                    hint=f"names of images and groups are valid Unicode of at most {MAX_NAME:,} characters",
                )


def _merge(description: DatasetDescription, classes: Mapping[str, Sequence[str]] | None) -> dict[str, str]:
    """The class of each source label. Raises UserError for unknown labels and labels in two classes."""
    if classes is None:
        return {label: label for label in description.classes}
    merged: dict[str, str] = {}
    for name, sources in classes.items():
        for source in sources:
            if source not in description.classes:
                raise UserError(
                    f"the data set has no class '{source}'",
                    path=("classes", name),
                    hint="it has " + ", ".join(description.classes),
                )
            if source in merged:
                raise UserError(
                    f"'{source}' is merged into both '{merged[source]}' and '{name}'", path=("classes", name)
                )
            merged[source] = name
    return merged


def _groups(description: DatasetDescription, group: str) -> Sequence[str]:
    """The group of each image. `auto` uses the groups of the data set, `none` makes every image its own group; any
    other value is the name of an attribute."""
    if group == "auto":
        return description.groups if description.groups is not None else description.ids
    if group == "none":
        return description.ids
    if group not in description.attributes:
        raise UserError(
            f"the data set has no column '{group}' to group by",
            path=("split", "group"),
            hint="it has " + (", ".join(description.attributes) or "none") + "; or auto, none",
        )
    column = description.attributes[group]
    return [
        name if _is_missing(value) else str(value)
        for value, name in zip(column, description.ids, strict=True)
    ]


def _is_missing(value: Any) -> bool:
    """Whether a value of a column says that nothing is known. Such images are no group: each stands alone."""
    return value is None or value != value or str(value).strip().lower() in MISSING


def _keep(selection: Selection, where: Sequence[int]) -> Selection:
    return Selection(
        tuple(selection.ids[i] for i in where),
        tuple(selection.labels[i] for i in where),
        tuple(selection.groups[i] for i in where),
        selection.classes,
        tuple(selection.given[i] for i in where) if selection.given else (),
    )


# ---------------------------------------------------------------------------------- assignment


def _random(selection: Selection, split: Split, seed: int) -> list[str]:
    return _assign(
        selection, split, ("test", "val", "reserve"), ["train"] * len(selection.ids), f"split/{seed}"
    )


def _kfold(selection: Selection, split: Split, fold: int) -> list[str]:
    """Uses fold `fold` as the test set. Groups are assigned, in rank order, to the fold with the fewest images of their
    classes."""
    counts_of = group_counts(selection, range(len(selection.ids)))
    if len(counts_of) < split.folds:
        raise UserError(
            f"{split.folds} folds of {len(counts_of)} groups: a fold would be empty",
            path=("split", "folds"),
            hint="images of one group (lesion or patient) stay in one fold; use fewer folds",
        )
    have = [Counter[str]() for _ in range(split.folds)]
    place: dict[str, int] = {}
    for group in rank_groups(counts_of, f"kfold/{split.seed}"):
        counts = counts_of[group]
        place[group] = min(range(split.folds), key=lambda k: (sum(have[k][label] for label in counts), k))
        have[place[group]].update(counts)
    parts = ["test" if place[group] == fold % split.folds else "train" for group in selection.groups]
    return _assign(selection, split, ("val", "reserve"), parts, f"kfold/{split.seed}/{fold}")


def _given(selection: Selection, split: Split) -> list[str]:
    """The split that the data set provides. If it has no val or reserve, they are taken from its train."""
    if not selection.given:
        raise UserError(
            "the data set provides no split", path=("split", "method"), hint="use random or kfold"
        )
    parts = [part or "train" for part in selection.given]
    missing = [part for part in ("val", "reserve") if part not in parts]
    return _assign(selection, split, missing, parts, f"given/{split.seed}")


def _assign(
    selection: Selection, split: Split, wanted: Iterable[str], parts: list[str], purpose: str
) -> list[str]:
    """Moves whole groups from train to each wanted part until its amount is met."""
    totals = Counter(selection.labels)
    for part in wanted:
        amount = getattr(split, part)
        if amount == "test":
            continue
        counts_of = group_counts(selection, [i for i, where in enumerate(parts) if where == "train"])
        _refuse_partial(amount, selection.classes, part)
        chosen = _fill(counts_of, _targets(amount, totals, selection.classes), f"{purpose}/{part}")
        parts = [
            part if where == "train" and group in chosen else where
            for where, group in zip(parts, selection.groups, strict=True)
        ]
    return parts


def _refuse_partial(amount: Amount, classes: Sequence[str], part: str) -> None:
    """Raises UserError if counts per class leave a class out."""
    counts = amount.per_class if isinstance(amount, PerClass) else None
    absent = [name for name in classes if isinstance(counts, Mapping) and name not in counts]
    if absent:
        raise UserError(
            f"there is no count for the class '{absent[0]}'",
            path=("split", part, "per_class"),
            hint="write a count for each class, or one count for all of them",
        )


def _targets(amount: Amount, totals: Mapping[str, int], classes: Sequence[str]) -> dict[str, int]:
    if isinstance(amount, PerClass):
        return _per_class(amount.per_class or 0, classes)
    # A share that is not zero gives at least one image of every class.
    return {name: max(1, round(amount * totals[name])) if amount > 0 else 0 for name in classes}


def _per_class(count: int | Mapping[str, int], classes: Sequence[str]) -> dict[str, int]:
    if isinstance(count, int):
        return dict.fromkeys(classes, count)
    unknown = [name for name in count if name not in classes]
    if unknown:
        raise UserError(f"no class is named '{unknown[0]}'", hint="classes: " + ", ".join(classes))
    return {name: count.get(name, 10**9) for name in classes}


def _fill(groups: Mapping[str, Counter[str]], targets: Mapping[str, int], purpose: str) -> set[str]:
    """Chooses whole groups, in rank order, skipping those that would exceed the target of one of their classes.

    A class without a group that is small enough gets its smallest group, so that no class is missing.
    """
    have: Counter[str] = Counter()
    chosen: set[str] = set()
    order = rank_groups(groups, purpose)
    for group in order:
        counts = groups[group]
        if all(have[label] + n <= targets.get(label, 0) for label, n in counts.items()):
            chosen.add(group)
            have.update(counts)
    for label, target in targets.items():
        candidates = [group for group in order if label in groups[group] and group not in chosen]
        if target > 0 and not have[label] and candidates:
            smallest = min(candidates, key=lambda group: sum(groups[group].values()))
            chosen.add(smallest)
            have.update(groups[smallest])
    return chosen


def _refuse_missing(planned: PlannedSplit, split: Split) -> None:
    """Raises UserError if a class has no images in train, in test, or in a requested val or reserve."""
    for name, part in missing_classes(planned, split):
        total = planned.labels.count(name)
        groups = len({g for g, label in zip(planned.groups, planned.labels, strict=True) if label == name})
        raise UserError(
            f"class '{name}' has too few images: none is left for {part} ({total} images in {groups} groups)",
            path=("split",),
            hint="lower the shares or counts of test, val and reserve, raise the limit, leave the class out, or permit "
            "it with protocol: {name: paper, allow: [missing_class]}",
        )


def _refuse_divided(planned: PlannedSplit) -> None:
    """Raises UserError if images of one group are in several parts."""
    divided = divided_groups(planned)
    if divided:
        raise UserError(
            f"in the split of the data set, {len(divided)} groups (lesions or patients) have images in several parts: "
            + ", ".join(sorted(divided)[:5]),
            path=("split", "method"),
            hint="use random or kfold, or permit it with protocol: {name: paper, allow: [ungrouped_split]}",
        )


def _is_wanted(amount: object) -> bool:
    if isinstance(amount, PerClass):
        return bool(amount.per_class)
    return isinstance(amount, int | float) and amount > 0


def _product(names: Sequence[str], parts: Sequence[str]) -> Iterator[tuple[str, str]]:
    return ((name, part) for name in names for part in parts)
