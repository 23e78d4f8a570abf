"""Stage `training-features`: reference features of all training images, once for all generators of a split."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from derm_bench.fidelity.reference import Reference
from derm_bench.stages.decoded import images_of
from derm_bench.stages.weights import load_state

if TYPE_CHECKING:
    from derm_bench.stages.context import StageContext


def training_features(context: StageContext) -> dict[str, Any]:
    """Writes features.npy, float64 [N,D], with the reference features of all training images, and ids.json. Done once
    per split, for all generators whose samples are compared with these images."""
    train = images_of(context, "train")
    np.save(
        context.out / "features.npy", reference_network(context).features(train.images), allow_pickle=False
    )
    (context.out / "ids.json").write_text(json.dumps(train.ids))
    return {"images": len(train)}


def reference_network(context: StageContext) -> Reference:
    """The reference network of the split, on the stage's device."""
    state = load_state(context.inputs["reference"] / "state.safetensors")
    return Reference.load(state, tuple(context.params.classes), context.device)
