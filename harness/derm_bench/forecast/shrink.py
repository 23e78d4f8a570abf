"""Shrunken versions of planned stages: few images, few updates, the same plugins, options and functions."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from derm_bench.plan.keys import key_of
from derm_bench.plan.kinds import kind_of
from derm_bench.plan.model import Plan, Stage
from derm_bench.splits import PlannedSplit
from derm_bench.stage_names import CHOSEN, EXTERNAL, EXTRA, SYNTHETIC


class Size(NamedTuple):
    """A small size: images per class and part, samples, and updates of stages (by their keys in the large plan)."""

    name: str
    images: int
    samples: int
    updates: Mapping[str, int]


@dataclass(frozen=True)
class _Shrinker:
    """The small values for the parameters of one stage (implements `plan.amounts.MadeSmall`)."""

    plan: ShrunkenPlan
    stage: Stage

    @property
    def samples(self) -> int:
        return self.plan.size.samples

    @property
    def updates(self) -> int:
        return self.plan.size.updates.get(self.stage.key, 1)

    def split(self, digest: str) -> str:
        return self.plan.small_split(digest)

    def images(self, digest: str) -> str:
        return self.plan.small_list(self.stage, digest)


class ShrunkenPlan:
    """Small versions of the stages of `plan`. `keys` maps the key of a planned stage to that of its small version.

    `ready` are small stages of an earlier `ShrunkenPlan` that are used again as inputs.
    """

    def __init__(self, plan: Plan, size: Size, ready: Mapping[str, str] | None = None) -> None:
        self.large, self.size = plan, size
        self.plan = Plan(plan.matrix, plan.machine)
        self.keys: dict[str, str] = dict(ready or {})
        self._splits = self._small_splits()

    def add(self, keys: Collection[str]) -> list[str]:
        """Adds small versions of the stages `keys` and of their inputs. Returns the small keys."""
        return [self._enter(key) for key in keys]

    def small_split(self, digest: str) -> str:
        """The digest of the small version of a planned split."""
        split = self._splits[digest]
        self.plan.splits[split.digest, 0] = split
        return self._put(split.csv)

    def small_list(self, stage: Stage, digest: str) -> str:
        """The digest of the lines of those images that are in the small splits."""
        labels = {label for label, key in self.large.decodes.items() if key == stage.key}
        digests = [s.digest for (label, _), s in self.large.splits.items() if label in labels]
        wanted = {name for one in digests for name in self._splits[one].ids}
        lines = self.large.data[digest].split(b"\n")
        kept = [line for line in lines if line.split(b"\t")[0].decode() in wanted]
        return self._put(b"\n".join(kept or lines[: self.size.images]))

    def _enter(self, key: str) -> str:
        if key not in self.keys:
            stage = self.large.stages[key]
            inputs = {name: self._enter(other) for name, other in self._inputs(stage).items()}
            params = kind_of(stage).shrink(stage.params, _Shrinker(self, stage))
            # The size is part of the identity, so that each probe runs although an equal one has run before.
            shared = {**stage.shared, "probe": self.size.name}
            small = replace(stage, params=params, inputs=inputs, shared=shared, after=())
            small = replace(small, key=key_of(small.identity))
            self.plan.stages[small.key] = small
            self.keys[key] = small.key
        return self.keys[key]

    @staticmethod
    def _inputs(stage: Stage) -> Mapping[str, str]:
        """The inputs without synthetic images and external ones, since the cost of an update or a prediction does not
        depend on where images are from, and without a chosen snapshot, since small fits keep none."""
        left_out = (SYNTHETIC, EXTERNAL, EXTRA, CHOSEN)
        return {name: key for name, key in stage.inputs.items() if not name.startswith(left_out)}

    def _put(self, content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        self.plan.data[digest] = content
        return digest

    def _small_splits(self) -> dict[str, PlannedSplit]:
        """The small version of each planned split. Splits of the same images share that of the first."""
        first: dict[tuple[str, ...], PlannedSplit] = {}
        found = {}
        for split in self.large.splits.values():
            if split.ids not in first:
                first[split.ids] = small_split(split, self.size.images)
            found[split.digest] = first[split.ids]
        return found


def small_split(split: PlannedSplit, n: int) -> PlannedSplit:
    """A split with at most `n` images of each class in each part, evenly spaced."""
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, place in enumerate(zip(split.parts, split.labels, strict=True)):
        places[place].append(i)
    kept = sorted(i for where in places.values() for i in _evenly(where, n))

    def column(values: Sequence[str]) -> tuple[str, ...]:
        return tuple(values[i] for i in kept)

    return PlannedSplit(
        column(split.ids), column(split.labels), column(split.groups), column(split.parts), split.classes
    )


def _evenly(where: Sequence[int], n: int) -> Sequence[int]:
    return where if len(where) <= n else [where[k * len(where) // n] for k in range(n)]
