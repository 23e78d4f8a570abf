"""Counts the images that the stages of a plan work on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from derm_bench.fidelity.halves import MAX_IMAGES
from derm_bench.plan.model import Plan, Stage
from derm_bench.splits import PARTS, PlannedSplit
from derm_bench.stage_names import DATA, SYNTHETIC

ALL = "all"
"""The class name of a generator that was fitted on several classes without distinguishing them."""


class MadeSmall(Protocol):
    """The reduced data and amounts of work from which the parameters of a probe are made."""

    @property
    def samples(self) -> int: ...

    @property
    def updates(self) -> int: ...

    def split(self, digest: str) -> str:
        """The digest of the small split that replaces the split with this digest."""
        ...

    def images(self, digest: str) -> str:
        """The digest of the list of images with this digest, reduced to the images of the small splits."""
        ...


class Amounts:
    """Counts the images of a plan's stages from its splits and lists of images."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._splits = {split.digest: split for split in plan.splits.values()}
        self._counts: dict[tuple[str, str, float], Mapping[str, int]] = {}

    def lines(self, digest: str) -> int:
        """The number of lines of a list in the data of the plan."""
        return self.plan.data[digest].count(b"\n") + 1

    def count(self, params: Any, part: str) -> Mapping[str, int]:
        """The number of images per class in one part, as a stage with these parameters reads it."""
        split: PlannedSplit | None = self._splits.get(params.split)
        if split is None:
            return {}
        if part == "val" and split.select_on_test:
            part = "test"
        place = (split.digest, part, float(params.fraction))
        if place not in self._counts:
            self._counts[place] = split.counts(part, float(params.fraction))
        return self._counts[place]

    def compared(self, params: Any) -> int:
        """The number of images on each side of the comparison of a class with real images."""
        counts = self.count(params, "val" if params.compared == "val" else "train")
        name = params.of_class
        there = sum(counts.values()) if name == ALL else counts.get(name, 0)
        return min(MAX_IMAGES, there if params.compared == "val" else there // 2)

    def fitted_on(self, stage: Stage) -> int:
        """The number of images that a generator or a reference network is fitted on."""
        params = stage.params
        reads = getattr(params, "reads", "train")
        if reads == "samples":
            return self._drawn(stage, DATA)
        parts = PARTS if reads == "all" else (reads,)
        classes = getattr(params, "fit_classes", params.classes)
        extra = getattr(params, "extra", {})
        more = self.plan.data[extra["split"]].count(b"\n") - 1 if extra else 0
        return more + sum(self.count(params, part).get(name, 0) for part in parts for name in classes)

    def tested(self, stage: Stage) -> int:
        """The number of test images of an evaluation."""
        test = stage.params.test
        if "split" in test:
            return len(self._splits[test["split"]].ids)
        real = sum(self.count(stage.params, "test").values()) if test.get("real", True) else 0
        drawn = [
            self.plan.stages[key].params.n for name, key in stage.inputs.items() if name.startswith(SYNTHETIC)
        ]
        return real + sum(drawn) - kept_of(drawn, test.get("holdout", 0.0))

    def trained_on(self, stage: Stage) -> int:
        """The number of real and synthetic images that a classifier is trained on."""
        params = stage.params
        real = 0 if params.replace_real else sum(self.count(params, params.reads).values())
        drawn = [
            self.plan.stages[key].params.n for name, key in stage.inputs.items() if name.startswith(SYNTHETIC)
        ]
        return real + kept_of(drawn, params.holdout)

    def _drawn(self, stage: Stage, prefix: str) -> int:
        keys = [key for name, key in stage.inputs.items() if name.startswith(prefix)]
        return sum(int(self.plan.stages[key].params.n) for key in keys)


def kept_of(drawn: list[int], holdout: float) -> int:
    """The number of samples that are trained on when the last share `holdout` of each class is held out."""
    return sum(n - int(holdout * n) for n in drawn)
