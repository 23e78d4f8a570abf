"""Stage `fidelity`: how near synthetic images are to a fixed half of a class's real training images."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import torch

from derm_bench.fidelity.halves import split_halves
from derm_bench.fidelity.reference import Reference
from derm_bench.fidelity.score import Scorer
from derm_bench.images import ImageSet
from derm_bench.plan.keys import derive_seed, merge_paths
from derm_bench.specs import Task
from derm_bench.stages.context import StageContext
from derm_bench.stages.weights import load_state


def fidelity(context: StageContext) -> dict[str, Any]:
    """Writes values.json: a row a metric with `value, ci_low, ci_high, extractor, reference, n_real, n_synthetic`."""
    params = context.params
    train = context.images("train")
    name = params["class"]
    real = train if name == "all" else train.of_classes([name])
    half, holdout = (real.subset(where) for where in split_halves(real.ids, real.groups))
    other = compared_images(context, half, holdout)[: len(half)]
    scorer = _scorer(context, train)
    rows = scorer.rows(scorer.features(half.images), scorer.features(other)) if len(other) else []
    for row in rows:
        row["reference"] = f"half of train [{name}], split {params['split'][:12]}"
    (context.out / "values.json").write_text(json.dumps(rows, indent=1))
    return {"n_real": len(half), "n_synthetic": len(other)}


def compared_images(context: StageContext, half: ImageSet, holdout: ImageSet) -> torch.Tensor:
    """uint8 [N,3,S,S]: the sample's images; the other half of the reals; or uniform pixels, as many as the half."""
    control = context.params["control"]
    if control == "real-holdout":
        return holdout.images
    if control == "noise":
        generator = torch.Generator().manual_seed(derive_seed("noise"))
        return torch.randint(0, 256, half.images.shape, dtype=torch.uint8, generator=generator)
    return torch.from_numpy(np.load(context.inputs["sample"] / "images.npy", allow_pickle=False))


def _scorer(context: StageContext, train: ImageSet) -> Scorer:
    """All metrics of the stage, on the reference network where one of them needs it."""
    uses = []
    for use, local in zip(context.params["metrics"], context.local["metrics"], strict=True):
        spec = context.plugins.get("metric", use["name"])
        uses.append((spec, spec.options.model_validate(merge_paths(use["options"], local))))
    reference = None
    if "reference" in context.inputs:
        state = load_state(context.inputs["reference"] / "state.safetensors")
        reference = Reference.load(state, train.classes, context.device)
    return Scorer(uses, Task(train.classes, train.size, context.device), reference)
