"""Stage `fidelity`: compares synthetic images with real ones of a class: validation images, or half of train."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from derm_bench.fidelity.halves import MAX_IMAGES, chosen, split_halves
from derm_bench.fidelity.reference import Reference
from derm_bench.fidelity.score import Scorer
from derm_bench.images import ImageSet, load_images
from derm_bench.protocols import Task
from derm_bench.seeds import derive_seed
from derm_bench.stages.decoded import images_of
from derm_bench.stages.weights import load_state

if TYPE_CHECKING:
    from derm_bench.plan import params as p
    from derm_bench.stages.context import StageContext

# What the values of `compared` are called in the column `reference`.
WORDS = {"val": "val", "half": "half of train"}


def real_features(context: StageContext) -> dict[str, Any]:
    """Writes features-<k>.npy, float64 [N,D], of the real images, one file per extractor. They are computed once and
    used by all comparisons with them."""
    real, _ = _sides(context)
    for k, features in enumerate(scorer_of(context).features(real.images)):
        np.save(context.out / f"features-{k}.npy", features, allow_pickle=False)
    return {"n_real": len(real), "images": len(real)}


def fidelity(context: StageContext) -> dict[str, Any]:
    """Writes values.json: one row per metric, `value, ci_low, ci_high, extractor, reference, n_real, n_synthetic`."""
    params: p.Fidelity = context.params
    scorer = scorer_of(context)
    real = [
        np.load(context.inputs["real"] / f"features-{k}.npy", allow_pickle=False) for k in range(len(scorer))
    ]
    n = len(real[0])
    other = compared_images(context)[:n]
    rows = scorer.rows(real, scorer.features(other)) if len(other) else []
    for row in rows:
        row["reference"] = f"{WORDS[params.compared]} [{params.of_class}], split {params.split[:12]}"
    (context.out / "values.json").write_text(json.dumps(rows, indent=1))
    return {"n_real": n, "n_synthetic": len(other)}


def compared_images(context: StageContext) -> torch.Tensor:
    """The images to compare, uint8 [N,3,S,S]: those of the sample, other real images, or images of uniform noise, as
    many as there are real images on the other side."""
    control = context.params.control
    if control is None:
        return load_images(context.inputs["sample"] / "images.npy")
    real, holdout = _sides(context)
    if control == "real-holdout":
        return holdout.images
    generator = torch.Generator().manual_seed(derive_seed("noise"))
    return torch.randint(0, 256, real.images.shape, dtype=torch.uint8, generator=generator)


def _sides(context: StageContext) -> tuple[ImageSet, ImageSet]:
    """The real images of the class that others are compared with, and as many others for `real-holdout`: images of val
    and of train, or the two halves of train."""
    train = _of_class(context, "train")
    if context.params.compared == "half":
        half, holdout = split_halves(train.ids, train.groups)
        return train.subset(half), train.subset(holdout)
    val = _of_class(context, "val")
    real = val.subset(chosen(val.ids, min(MAX_IMAGES, len(train))))
    return real, train.subset(chosen(train.ids, len(real)))


def _of_class(context: StageContext, part: str) -> ImageSet:
    images, name = images_of(context, part), context.params.of_class
    return images if name == "all" else images.of_classes([name])


def scorer_of(context: StageContext) -> Scorer:
    """The scorer of all metrics of the stage, with the reference network if one of them needs it."""
    uses = []
    for use, local in zip(context.params.metrics, context.local["metrics"], strict=True):
        spec = context.plugins.get("metric", use["name"])
        uses.append((spec, context.metric_options(use, local), use.get("label", spec.name)))
    classes, reference = tuple(context.params.classes), None
    if "reference" in context.inputs:
        state = load_state(context.inputs["reference"] / "state.safetensors")
        reference = Reference.load(state, classes, context.device)
    return Scorer(uses, Task(classes, context.params.size, context.device), reference)
