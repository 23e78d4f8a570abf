"""Stage `interpolation`: images between two samples, made by interpolating their noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from derm_bench.report.samples import label_grid
from derm_bench.rundir.sheet_index import SheetIndex
from derm_bench.stages.seen import restore
from derm_bench.stages.weights import load_state
from derm_bench.training.gan_plugin import to_bytes
from derm_bench.training.latent import between
from derm_bench.training.resize import resize_images
from derm_bench.training.seeding import seed_everything, stream

if TYPE_CHECKING:
    from derm_bench.plan import params as p
    from derm_bench.stages.context import StageContext

ROWS, STEPS = 4, 8


def interpolate(context: StageContext) -> dict[str, Any]:
    """Writes one sheet per class, with rows that lead from one sample to another in equal steps, and index.json. A
    generator that does not sample from noise (`derm_bench.specs.Generator`) gets no sheets."""
    params: p.Interpolation = context.params
    generator, _ = restore(context, load_state(context.inputs["fit"] / "state.safetensors"))
    sheets = SheetIndex(context.out)
    if not all(hasattr(generator, name) for name in ("prior", "render")):
        sheets.write()
        return {"classes": []}
    classes = list(params.fit_classes)
    for label in params.labels:
        seed_everything(params.seed)
        place = classes.index(label) if label in classes else None
        images = rows_between(generator, place, params.seed, context.device)
        label_grid(
            resize_images(images.flatten(0, 1), params.size).numpy(),
            f"class {label}",
            f"synthetic, {params.title}: each row leads from one sample to another",
            sheets.add(label, "interpolation"),
            columns=STEPS,
        )
    sheets.write()
    return {"classes": params.labels}


@torch.inference_mode()
def rows_between(
    generator: Any, label: int | None, seed: int, device: str, rows: int = ROWS, steps: int = STEPS
) -> torch.Tensor:
    """Interpolated images, uint8 [rows,steps,3,S,S]. Row k leads from image k to image rows + k of the 2*rows images
    that `sample` gives under `seed`."""
    for part in generator.parts().values():
        part.eval()
    path = getattr(generator, "between", between)
    first, last = generator.prior(2 * rows, stream(seed, "sample")).to(device).chunk(2)
    way = [path(first, last, step / (steps - 1)) for step in range(steps)]
    images = to_bytes(generator.render(torch.stack(way, dim=1).flatten(0, 1), label))
    return images.unflatten(0, (rows, steps))
