"""How much there is of what stages work on: images of a part, lines of a list, what a fit or a training sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from derm_bench.fidelity.halves import MAX_IMAGES
from derm_bench.plan.model import Plan, Stage
from derm_bench.splits import PARTS, PlannedSplit
from derm_bench.stage_names import DATA, SYNTHETIC

ALL = "all"
"""The class of a generator that was fitted on several classes without telling them apart."""


class MadeSmall(Protocol):
    """What a stage's parameters for a probe are made from: digests of small splits and lists, and how much to do."""

    @property
    def samples(self) -> int: ...

    @property
    def updates(self) -> int: ...

    def split(self, digest: str) -> str:
        """The digest of the small split that stands for the one of this digest."""
        ...

    def images(self, digest: str) -> str:
        """The digest of the lines of those images that the small splits hold."""
        ...


class Amounts:
    """Counts what the stages of a plan work on, from its splits and lists of images."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._splits = {split.digest: split for split in plan.splits.values()}
        self._counts: dict[tuple[str, str, float], Mapping[str, int]] = {}

    def lines(self, digest: str) -> int:
        """Lines of a list that is data of the plan."""
        return self.plan.data[digest].count(b"\n") + 1

    def count(self, params: Any, part: str) -> Mapping[str, int]:
        """Images per class of one part, as a stage with these parameters sees it."""
        split: PlannedSplit | None = self._splits.get(params.split)
        if split is None:
            return {}
        if part == "val" and split.select_on_test:
            part = "test"
        place = (split.digest, part, float(params.fraction))
        if place not in self._counts:
            self._counts[place] = split.counts(part, float(params.fraction))
        return self._counts[place]

    def half(self, params: Any, name: str) -> int:
        """Images on either side of a class's comparison with real images."""
        counts = self.count(params, "train")
        return min(MAX_IMAGES, (sum(counts.values()) if name == ALL else counts.get(name, 0)) // 2)

    def fitted_on(self, stage: Stage) -> int:
        """Images that a network other than a classifier is fitted on."""
        params = stage.params
        reads = getattr(params, "reads", "train")
        if reads == "samples":
            return self._drawn(stage, DATA)
        parts = PARTS if reads == "all" else (reads,)
        classes = getattr(params, "fit_classes", params.classes)
        return sum(self.count(params, part).get(name, 0) for part in parts for name in classes)

    def trained_on(self, stage: Stage) -> int:
        """Real and synthetic images that a classifier is trained on."""
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
    """How many of the samples of each class are trained on, where the last share `holdout` is kept out."""
    return sum(n - int(holdout * n) for n in drawn)
