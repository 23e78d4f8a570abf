"""Stage `sample`: images from a fitted generator, in chunks, so that a smaller sample is a prefix of a larger one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import torch

from derm_bench.errors import UserError
from derm_bench.images import save_images
from derm_bench.protocols import SampleRequest
from derm_bench.stage_names import CHOSEN
from derm_bench.stages.choose import chosen_step
from derm_bench.stages.seen import restore
from derm_bench.stages.weights import load_state
from derm_bench.training.resize import resize_images
from derm_bench.training.seeding import seed_everything

if TYPE_CHECKING:
    from derm_bench.images import Samples
    from derm_bench.plan import params as p
    from derm_bench.stages.context import StageContext

CHUNK = 128


def sample(context: StageContext) -> dict[str, Any]:
    """Writes images.npy, uint8 [n,S,S,3] at the stored size, and samples.json."""
    params: p.Sample = context.params
    step = chosen_step(context, params.snapshot)
    name = "state.safetensors" if step is None else f"snapshots/{step}.safetensors"
    path = context.inputs["fit"] / name
    if not path.is_file():
        raise UserError(
            f"the generator has no snapshot at update {step}",
            hint="set snapshots.every to a divisor of it",
        )
    generator, train = restore(context, load_state(path))
    classes = list(params.fit_classes)
    label = classes.index(params.label) if params.label in classes else None
    images: list[torch.Tensor] = []
    sources: list[str] = []
    attributes: dict[str, list[Any]] = {}
    for start in range(0, params.n, CHUNK):
        seed = (params.seed + start // CHUNK) % 2**31
        seed_everything(seed)
        drawn = generator.sample(SampleRequest(label, CHUNK, seed, start, params.n), train)
        images.append(resize_images(_checked(drawn, CHUNK), params.size))
        sources += list(drawn.source_ids or ())
        for column, values in drawn.attributes.items():
            attributes.setdefault(column, []).extend(values)
        context.report({"done": min(start + CHUNK, params.n), "total": params.n})
    pixels = torch.cat(images)[: params.n]
    save_images(context.out / "images.npy", pixels)
    columns = {column: values[: params.n] for column, values in attributes.items()}
    document: dict[str, Any] = {"source_ids": sources[: params.n], "attributes": columns}
    if CHOSEN in context.inputs:
        document["snapshot"] = "last" if step is None else step
    (context.out / "samples.json").write_text(json.dumps(document))
    return {"n": len(pixels), "label": params.label}


def _checked(drawn: Samples, n: int) -> torch.Tensor:
    """Returns the images. Raises TypeError unless they are uint8 [n,3,S,S] and each attribute has one value per
    image."""
    images = drawn.images
    if (
        not isinstance(images, torch.Tensor)
        or images.dtype != torch.uint8
        or images.ndim != 4
        or images.shape[:2] != (n, 3)
    ):
        shape = tuple(images.shape) if isinstance(images, torch.Tensor) else type(images).__name__
        raise TypeError(
            f"sample() returned {getattr(images, 'dtype', '')} {shape}, expected uint8 [{n}, 3, S, S]"
        )
    wrong = {name: len(values) for name, values in drawn.attributes.items() if len(values) != n}
    if wrong:
        raise TypeError(f"sample() returned {n} images, but attributes of other lengths: {wrong}")
    return images
