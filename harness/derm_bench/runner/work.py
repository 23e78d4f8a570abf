"""How much work a planned stage is: updates of a training, images of everything else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from derm_bench.fidelity.halves import MAX_IMAGES
from derm_bench.plan.model import Plan, Stage
from derm_bench.specs import Budget
from derm_bench.splits import PlannedSplit

# What a fit takes a batch to be where its plugin has no option of that name.
BATCH_SIZE = 64


class Work:
    """Counts the work of a plan's stages, from the split and the budgets."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._splits = {split.digest: split for split in plan.splits.values()}
        self._counts: dict[tuple[str, str, float], Mapping[str, int]] = {}

    def units(self, stage: Stage) -> float | None:
        """Updates of `fit` and `train`, images of the others; None where a stage has no such number."""
        count = _UNITS.get(stage.kind)
        return count(self, stage) if count else None

    def images(self, stage: Stage) -> int:
        """Images that a stage holds in memory, at the stored size."""
        if stage.kind == "train":
            return self._train_images(stage) + sum(self._count(stage, "val").values())
        if stage.kind == "fit":
            return self._fit_images(stage)
        return int(self.units(stage) or 0) if stage.kind in ("decode", "sample", "evaluate") else 0

    def validation_images(self, stage: Stage) -> int:
        """Images that a training is evaluated on, each time."""
        return sum(self._count(stage, "val").values())

    # ---------------------------------------------------------------------------- units by kind

    def _decode(self, stage: Stage) -> float | None:
        return self.plan.data[stage.params["images"]].count(b"\n") + 1

    def _fit(self, stage: Stage) -> float | None:
        budget = self._options(stage).get("budget")
        if budget is None and "generator" in stage.params:
            return 1.0  # it trains nothing (see GeneratorSpec.trains)
        return self._updates(stage.params, budget, self._fit_images(stage))

    def _train(self, stage: Stage) -> float | None:
        return self._updates(stage.params, stage.params.get("budget"), self._train_images(stage))

    def _sample(self, stage: Stage) -> float | None:
        return float(stage.params["n"])

    def _evaluate(self, stage: Stage) -> float | None:
        return float(sum(sum(self._count(stage, part).values()) for part in ("val", "test")))

    def _fidelity(self, stage: Stage) -> float | None:
        counts = self._count(stage, "train")
        name = stage.params["class"]
        return float(min(MAX_IMAGES, (sum(counts.values()) if name == "all" else counts.get(name, 0)) // 2))

    def _updates(
        self, params: Mapping[str, Any], budget: Mapping[str, Any] | None, images: int
    ) -> float | None:
        if not budget:
            return None
        batch_size = params.get("options", {}).get("batch_size", BATCH_SIZE)
        return float(Budget.model_validate(budget).in_updates(max(1, images), batch_size))

    # --------------------------------------------------------------------------------- images

    def _train_images(self, stage: Stage) -> int:
        """Real and synthetic images that a classifier is trained on."""
        params = stage.params
        real = (
            0
            if params.get("replace_real")
            else sum(self._count(stage, params.get("reads", "train")).values())
        )
        samples = [key for name, key in stage.inputs.items() if name.startswith("synthetic/")]
        drawn = [int(self.plan.stages[key].params["n"]) for key in samples]
        return real + sum(n - int(params.get("holdout", 0.0) * n) for n in drawn)

    def _fit_images(self, stage: Stage) -> int:
        """Images that a generator is fitted on; those of the reference network where it is none."""
        reads = stage.params.get("reads", "train")
        if reads == "samples":
            drawn = [key for name, key in stage.inputs.items() if name.startswith("data/")]
            return sum(int(self.plan.stages[key].params["n"]) for key in drawn)
        parts = ("train", "val", "test", "reserve") if reads == "all" else (reads,)
        classes = stage.params.get("fit_classes", stage.params.get("classes", ()))
        return sum(self._count(stage, part).get(name, 0) for part in parts for name in classes)

    def _count(self, stage: Stage, part: str) -> Mapping[str, int]:
        """Images a class of one part, as the stage sees it."""
        split: PlannedSplit | None = self._splits.get(stage.params.get("split", ""))
        if split is None:
            return {}
        if part == "val" and split.select_on_test:
            part = "test"
        fraction = float(stage.params.get("fraction", 1.0))
        place = (split.digest, part, fraction)
        if place not in self._counts:
            self._counts[place] = split.counts(part, fraction)
        return self._counts[place]

    @staticmethod
    def _options(stage: Stage) -> Mapping[str, Any]:
        options: Mapping[str, Any] = stage.params.get("options", {})
        return options


_UNITS: dict[str, Callable[[Work, Stage], float | None]] = {
    "decode": Work._decode,
    "fit": Work._fit,
    "train": Work._train,
    "sample": Work._sample,
    "evaluate": Work._evaluate,
    "fidelity": Work._fidelity,
}
