"""Stage `derive`: named data made from all images of a data set or of a sample, once for all cells that need it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from derm_bench.errors import UserError
from derm_bench.images import load_images
from derm_bench.lazy import load_object

if TYPE_CHECKING:
    from derm_bench.plan import params as p
    from derm_bench.stages.context import StageContext

CHUNK = 64


def derive(context: StageContext) -> dict[str, Any]:
    """Writes data.npy [N,...]: one row per image of the input, in their order. The function that the parameters name
    computes the rows from uint8 images [n,3,S,S] on the stage's device. Raises UserError if it returns another number
    of rows, or rows of different shapes."""
    params: p.Derive = context.params
    function = load_object(params.function)
    (folder,) = context.inputs.values()
    total = len(np.load(folder / "images.npy", mmap_mode="r", allow_pickle=False))
    rows: list[np.ndarray] = []
    for start in range(0, total, CHUNK):
        images = load_images(folder / "images.npy", range(start, min(start + CHUNK, total)))
        with torch.inference_mode():
            made = torch.as_tensor(function(images.contiguous().to(context.device), **params.options))
        if len(made) != len(images) or (rows and made.shape[1:] != rows[0].shape[1:]):
            expected = [len(images), *(rows[0].shape[1:] if rows else ())]
            raise UserError(f"{params.function} returned {list(made.shape)}, expected {expected}")
        rows.append(made.cpu().numpy())
        context.report({"done": min(start + CHUNK, total), "total": total})
    data = np.concatenate(rows) if rows else np.empty((0,), np.float32)
    np.save(context.out / "data.npy", data, allow_pickle=False)
    return {"images": total, "shape": list(data.shape), "dtype": str(data.dtype)}
