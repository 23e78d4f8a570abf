"""What a plan will take, and the smallest difference it can show."""

from __future__ import annotations

import math
from collections.abc import Sequence

from derm_bench.plan.model import Plan


def seconds_of(plan: Plan, keys: Sequence[str]) -> float:
    """Rough seconds on one worker, from the kinds and budgets of the stages."""
    return sum(plan.stages[key].cost for key in keys)


def stored_megabytes(plan: Plan, keys: Sequence[str]) -> float:
    """Rough size of the images that the stages will store; networks come on top of it."""
    total = 0
    for key in keys:
        stage = plan.stages[key]
        pixels = 3 * int(stage.params.get("size", 0)) ** 2
        if stage.kind == "decode":
            total += pixels * (plan.data[stage.params["images"]].count(b"\n") + 1)
        elif stage.kind == "sample":
            total += pixels * int(stage.params["n"])
    return total / 2**20


def detectable_difference(plan: Plan, power_z: float = 0.84, alpha_z: float = 1.96) -> float | None:
    """Smallest difference of two accuracies found with 80% power at a two-sided 5% level; None without a test set.

    Over n test images and S seeds, with accuracy near 0.7, half of the variance shared by the paired arms, and a
    standard deviation over seeds of 0.02: (1.96 + 0.84) sqrt(2 (1 - 0.5) p (1 - p) / n + 2 0.02^2 / S).
    """
    if not plan.cells or not plan.splits:
        return None
    images = min(sum(split.counts("test").values()) for split in plan.splits.values())
    seeds = len({(p.cell.split_seed, p.cell.classifier_seed) for p in plan.cells})
    if not images:
        return None
    return (alpha_z + power_z) * math.sqrt(0.7 * 0.3 / images + 2 * 0.02**2 / max(1, seeds))
