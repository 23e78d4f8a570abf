"""Stage `preprocessing`: training images as read and after each step of preprocessing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from derm_bench.protocols import RawImage
from derm_bench.report.samples import Row, row_sheet
from derm_bench.rundir.sheet_index import SheetIndex
from derm_bench.stages.decode import Steps, opened
from derm_bench.stages.unchanged import Unchanged
from derm_bench.training.resize import fit_square

if TYPE_CHECKING:
    from derm_bench.plan import params as p
    from derm_bench.stages.context import StageContext

# The side in pixels at which images before resizing are shown.
TILE = 160


def preprocessing(context: StageContext) -> dict[str, Any]:
    """Writes index.json, and one sheet per class with one row per image and one column per step, in the order of the
    decode stage."""
    params: p.Preprocessing = context.params
    dataset, steps = opened(context)
    heads = columns([use["name"] for use in params.preprocess], len(steps.before), params.size)
    planned = {name: digest for chosen in params.shown.values() for name, digest in chosen}
    images = Unchanged(dataset, planned)
    sheets = SheetIndex(context.out)
    for label, chosen in params.shown.items():
        names = [name for name, _ in chosen]
        rows = [
            Row([np.ascontiguousarray(pixels.transpose(2, 0, 1)) for pixels in states], name)
            for name, raw in zip(names, images.read(names), strict=True)
            if isinstance(raw, RawImage)
            for states in [list(after_each_step(raw.pixels, steps, params.size, params.resize))]
        ]
        if rows:
            row_sheet(
                rows,
                f"class {label}",
                f"{params.title}: real training images after each step of preprocessing",
                sheets.add(label, "preprocessing", real=True, licence=params.licence),
                heads=heads,
                note=f"Real images: {params.licence or 'licence not stated'}.",
            )
    images.finish(lambda: dataset.fingerprint(context.options("dataset", params.dataset)))
    sheets.write()
    return {"classes": list(params.shown)}


def columns(names: Sequence[str], before: int, size: int) -> list[str]:
    """The names of the states of an image; `before` is the number of steps that run before resizing."""
    return ["as read", *names[:before], f"at {size} px", *names[before:]]


def after_each_step(pixels: np.ndarray, steps: Steps, size: int, how: Any) -> Iterator[np.ndarray]:
    """The states of an image uint8 [H,W,3] that `columns` names: as read, after each step and after resizing. Each is
    uint8 [S,S,3], with side `TILE` before resizing and `size` afterwards. The last state is used for training."""
    yield fit_square(pixels, None, TILE, how)[0]
    for step in steps.before:
        pixels = step(pixels)
        yield fit_square(pixels, None, TILE, how)[0]
    pixels = fit_square(pixels, None, size, how)[0]
    yield pixels
    for step in steps.after:
        pixels = step(pixels)
        yield pixels
