"""Whether a trait of images predicts their class, cross-validated and corrected for the number of tests."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from derm_bench.audit.findings import Finding
from derm_bench.audit.images import AuditedImages
from derm_bench.audit.traits import Trait

ALPHA = 0.01
FOLDS = 5
MAX_IMAGES = 20_000
"""Of more images every n-th is taken."""
MAX_CATEGORIES, LEAVES = 50, 64


@dataclass(frozen=True)
class Prediction:
    """How well a trait predicts. class_name: the class that it tells apart best; told_apart: the mean of the shares of
    the class and of the other images that are recognised (0.5 is chance); p_value: of that under chance, corrected by
    Holm's method over all traits and classes. accuracy: the share of all images whose label is predicted; majority: the
    share of the most common class."""

    trait: Trait
    class_name: str
    told_apart: float
    p_value: float
    accuracy: float
    majority: float


def predictions(images: AuditedImages, found: Sequence[Trait]) -> list[Prediction]:
    """The traits that tell a class apart, beyond chance and by at least their threshold.

    A decision tree is fitted to each trait and tested on the images of other groups, in five folds. Classes in fewer
    groups than folds are left out.
    """
    data = _Data.of(images)
    tests = len(found) * len(data.names)
    if not tests:
        return []
    hopeful = [trait for trait in found if data.may_tell(trait, tests)]
    made = [(trait, *data.cross_validated(trait)) for trait in hopeful]
    raw = [
        (k, c, data.p_value(c, apart[c]))
        for k, (_, apart, _) in enumerate(made)
        for c in range(len(data.names))
    ]
    corrected = _holm({(k, c): p for k, c, p in raw}, tests)
    kept = []
    for k, (trait, apart, accuracy) in enumerate(made):
        best = int(np.argmax(apart))
        if apart[best] >= trait.threshold and corrected[k, best] < ALPHA:
            values = (
                round(float(apart[best]), 4),
                corrected[k, best],
                round(accuracy, 4),
                round(data.majority, 4),
            )
            kept.append(Prediction(trait, data.names[best], *values))
    return kept


def prediction_findings(found: Sequence[Prediction]) -> Iterator[Finding]:
    """One finding for each trait that predicts the class."""
    for one in found:
        chance = "p < 1e-10" if one.p_value < 1e-10 else f"p = {one.p_value:.1g}"
        disguise = "is the label in disguise: it " if one.trait.code == "proxy_column" else ""
        yield Finding(
            code=one.trait.code,
            severity=one.trait.severity,
            sentence=f"{one.trait.words} {disguise}tells '{one.class_name}' from the other classes: "
            f"{one.told_apart:.0%} of both are recognised by it (cross-validated; chance is 50%, {chance} after "
            f"correction), and the label of {one.accuracy:.0%} of the images is predicted, where the most "
            f"common class is "
            f"{one.majority:.0%}",
            values={
                "trait": one.trait.name,
                "class": one.class_name,
                "told_apart": one.told_apart,
                "p_value": one.p_value,
                "accuracy": one.accuracy,
                "majority_share": one.majority,
            },
        )


class _Data:
    """Labels and folds of the images that take part. rows: positions among all images; labels: int64 [n] into `names`;
    groups: the number of groups of each class."""

    def __init__(
        self,
        rows: np.ndarray,
        labels: np.ndarray,
        names: Sequence[str],
        groups: np.ndarray,
        count: np.ndarray,
    ) -> None:
        self.rows, self.labels, self.names = rows, labels, names
        self._groups, self._count = groups, count
        self.majority = float(np.bincount(labels).max() / len(labels)) if len(labels) else 1.0
        self._folds: np.ndarray | None = None

    @classmethod
    def of(cls, images: AuditedImages) -> _Data:
        group_sets: dict[str, set[str]] = {}
        for label, group in zip(images.labels, images.groups, strict=True):
            group_sets.setdefault(label, set()).add(group)
        names = [name for name in images.classes if len(group_sets.get(name, ())) >= FOLDS]
        place = {name: k for k, name in enumerate(names)} if len(names) > 1 else {}
        rows = np.array([i for i, label in enumerate(images.labels) if label in place], dtype=np.int64)
        rows = rows[:: math.ceil(len(rows) / MAX_IMAGES)] if len(rows) else rows
        numbers: dict[str, int] = {}
        groups = np.array([numbers.setdefault(images.groups[i], len(numbers)) for i in rows], dtype=np.int64)
        labels = np.array([place[images.labels[i]] for i in rows], dtype=np.int64)
        count = np.array(
            [len(set(groups[labels == k].tolist())) for k in range(len(place))], dtype=np.float64
        )
        return cls(rows, labels, names if place else [], groups, count)

    def p_value(self, c: int, apart: float) -> float:
        """The probability of telling class `c` apart this well by chance, from the number of groups."""
        own, others = self._count[c], self._count.sum() - self._count[c]
        deviation = math.sqrt((0.25 / own + 0.25 / max(others, 1)) / 4)
        return 0.5 * math.erfc((apart - 0.5) / deviation / math.sqrt(2))

    def may_tell(self, trait: Trait, tests: int) -> bool:
        """Whether a column of the trait differs between a class and the others, by enough and beyond chance: a quick
        test on all images (Kolmogorov and Smirnov, or the total variation), so that trees are grown for few traits."""
        for c in range(len(self.names)):
            own = self.labels == c
            size = self._count[c] * (self._count.sum() - self._count[c]) / self._count.sum()
            apart = [(_largest_gap(column[self.rows], own), 1.0) for column in trait.numbers.values()]
            apart += [_variation([column[i] for i in self.rows], own) for column in trait.categories.values()]
            for distance, kinds in apart:
                chance = min(1.0, 2.0 ** min(kinds, 500.0) * math.exp(-2 * size * distance**2))
                if (1 + distance) / 2 >= trait.threshold and chance * tests < ALPHA:
                    return True
        return False

    def cross_validated(self, trait: Trait) -> tuple[np.ndarray, float]:
        """How well each class is told apart, float64 [K], and the share of images whose label is predicted."""
        from sklearn.tree import DecisionTreeClassifier

        table = _table(trait, self.rows)
        folds = self._assigned()
        guessed, plain = np.empty_like(self.labels), np.empty_like(self.labels)
        for fold in range(FOLDS):
            test, train = folds == fold, folds != fold
            for weight, out in (("balanced", guessed), (None, plain)):
                tree = DecisionTreeClassifier(
                    max_leaf_nodes=LEAVES, min_samples_leaf=2, class_weight=weight, random_state=0
                )
                out[test] = tree.fit(table[train], self.labels[train]).predict(table[test])
        apart = np.empty(len(self.names))
        for c in range(len(self.names)):
            own = self.labels == c
            apart[c] = ((guessed[own] == c).mean() + (guessed[~own] != c).mean()) / 2
        return apart, float((plain == self.labels).mean())

    def _assigned(self) -> np.ndarray:
        """The fold of each image: groups stay together, and each class is spread over the folds."""
        if self._folds is None:
            folds = np.empty(len(self.labels), np.int64)
            next_of = np.zeros(len(self.names), np.int64)
            fold_of: dict[int, int] = {}
            order = np.random.default_rng(0).permutation(len(self.labels))
            for i in order.tolist():
                group, label = int(self._groups[i]), int(self.labels[i])
                if group not in fold_of:
                    fold_of[group] = int(next_of[label] % FOLDS)
                    next_of[label] += 1
                folds[i] = fold_of[group]
            self._folds = folds
        return self._folds


def _largest_gap(column: np.ndarray, own: np.ndarray) -> float:
    """The largest difference of the distribution functions of two sets of numbers; missing ones come last."""
    values, places = np.unique(np.nan_to_num(column, nan=np.inf), return_inverse=True)
    shares = [
        np.cumsum(np.bincount(places[which], minlength=len(values))) / which.sum() for which in (own, ~own)
    ]
    return float(np.abs(shares[0] - shares[1]).max())


def _variation(column: Sequence[str], own: np.ndarray) -> tuple[float, float]:
    """The total variation distance of the categories of two sets, and the number of categories."""
    values, places = np.unique(np.asarray(column, dtype=object).astype(str), return_inverse=True)
    shares = [np.bincount(places[which], minlength=len(values)) / which.sum() for which in (own, ~own)]
    return float(np.abs(shares[0] - shares[1]).sum() / 2), float(len(values))


def _table(trait: Trait, rows: np.ndarray) -> np.ndarray:
    """The columns of a trait as float32 [n,F]; the most common categories have a column each."""
    columns = [column[rows].astype(np.float32) for column in trait.numbers.values()]
    for column in trait.categories.values():
        values = np.array([column[i] for i in rows], dtype=object).astype(str)
        kinds, counts = np.unique(values, return_counts=True)
        for kind in kinds[np.argsort(-counts)][:MAX_CATEGORIES]:
            columns.append((values == kind).astype(np.float32))
    return np.stack(columns, axis=1)


def _holm(raw: Mapping[tuple[int, int], float], tests: int) -> dict[tuple[int, int], float]:
    """p values after Holm's correction; of `tests` tests those that are not in `raw` count as 1."""
    corrected, largest = {}, 0.0
    for rank, (name, p) in enumerate(sorted(raw.items(), key=lambda item: item[1])):
        largest = max(largest, min(1.0, (tests - rank) * p))
        corrected[name] = largest
    return corrected
