"""Stage `sample`: images from a fitted generator, in chunks, so that a smaller sample is a prefix of a larger one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from derm_bench.errors import UserError
from derm_bench.images import save_images
from derm_bench.protocols import SampleRequest
from derm_bench.splits import read_split
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
        request = SampleRequest(label, CHUNK, seed, start, params.n)
        drawn = generator.sample(request, train)
        images.append(resize_images(_checked(drawn, request), params.size))
        sources += list(drawn.source_ids or ())
        for column, values in drawn.attributes.items():
            attributes.setdefault(column, []).extend(values)
        context.report({"done": min(start + CHUNK, params.n), "total": params.n})
    pixels = torch.cat(images)[: params.n]
    save_images(context.out / "images.npy", pixels)
    columns = {column: values[: params.n] for column, values in attributes.items()}
    _refuse_held_out(context, sources)
    document: dict[str, Any] = {
        "source_ids": sources[: params.n],
        "attributes": columns,
        "lineage": _lineage(params, path),
    }
    if CHOSEN in context.inputs:
        document["snapshot"] = "last" if step is None else step
    (context.out / "samples.json").write_text(json.dumps(document))
    return {"n": len(pixels), "label": params.label}


def _lineage(params: p.Sample, state: Path) -> dict[str, Any]:
    """Where the images come from: the generator, the seed of each chunk of images (`seed` plus its number), the state
    that drew them, and the data that the generator was fitted on."""
    with state.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "generator": params.generator,
        "seed": params.seed,
        "chunk": CHUNK,
        "checkpoint": {"update": "last" if params.snapshot is None else params.snapshot, "sha256": digest},
        "trained_on": {
            "split": params.split,
            "part": params.reads,
            "fraction": params.fraction,
            "classes": list(params.fit_classes),
        },
    }


def _refuse_held_out(context: StageContext, sources: Sequence[str]) -> None:
    """Raises UserError if images were made from validation or test images, by their source ids."""
    params: p.Sample = context.params
    if not sources or params.reads == "all":
        return
    split = read_split(context.planned(params.split), params.classes)
    held = {name for name, part in zip(split.ids, split.parts, strict=True) if part in ("val", "test")}
    seen = sorted(held & set(sources))
    if seen:
        raise UserError(
            f"{len(seen)} of the images were made from validation or test images (for example {seen[0]})",
            hint="make them from the training images that the generator is given",
        )


def _checked(drawn: Samples, request: SampleRequest) -> torch.Tensor:
    """Returns the images. Raises TypeError unless they are uint8 [n,3,S,S] with the n that was asked for or needed, and
    each attribute has one value per image."""
    images = drawn.images
    if (
        not isinstance(images, torch.Tensor)
        or images.dtype != torch.uint8
        or images.ndim != 4
        or len(images) not in (request.n, request.needed)
        or images.shape[1] != 3
    ):
        shape = tuple(images.shape) if isinstance(images, torch.Tensor) else type(images).__name__
        raise TypeError(
            f"sample() returned {getattr(images, 'dtype', '')} {shape}, expected uint8 [{request.n}, 3, S, S]"
        )
    wrong = {name: len(values) for name, values in drawn.attributes.items() if len(values) != len(images)}
    if wrong:
        raise TypeError(f"sample() returned {len(images)} images, but attributes of other lengths: {wrong}")
    return images
