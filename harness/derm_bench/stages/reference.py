"""Stage `reference`: fits the reference network of `_domain` metrics, once per split, on all of train."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from derm_bench.fidelity.reference import fit_reference
from derm_bench.stages.decoded import images_of
from derm_bench.stages.weights import save_state

if TYPE_CHECKING:
    from derm_bench.stages.context import StageContext


def reference(context: StageContext) -> dict[str, Any]:
    """Fits the reference network and writes state.safetensors."""
    train = images_of(context, "train")
    save_state(context.out / "state.safetensors", fit_reference(train, context.device))
    return {"images": len(train)}
