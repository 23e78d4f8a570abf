"""Stage `fit`: a generator, fitted once for all cells that need it."""

from __future__ import annotations

import shutil
from dataclasses import fields
from typing import Any

import torch

from derm_bench.errors import Diverged
from derm_bench.images import ImageSet
from derm_bench.specs import Generator, GeneratorSpec, SampleRequest, create
from derm_bench.stages.context import StageContext
from derm_bench.stages.required import restored_generator, synthetic_set, task_of
from derm_bench.stages.weights import save_state
from derm_bench.training.health import JUDGED, STRETCH, Likeness, likeness
from derm_bench.training.resize import resize_images, resized
from derm_bench.training.seeding import child_seed
from derm_bench.training.stage_run import StageRun, seed_everything

FIGURES = tuple(field.name for field in fields(Likeness))


def fit(context: StageContext) -> dict[str, Any]:
    """Writes state.safetensors, snapshots/<step>.safetensors and history.csv; the result tells the generator's
    health. Raises Diverged where training or the samples are past use."""
    params = context.params
    spec = context.plugins.get("generator", params["generator"])
    options = context.options("generator", params["generator"])
    train = training_images(context, options.size or params["size"])
    task = task_of(context, train.classes, train.size)
    seed_everything(params["seed"])
    generator: Generator = create(spec, options, task)
    batch_size = getattr(options, "batch_size", 64)
    budget = options.budget.in_updates(len(train), batch_size)
    snapshots = (context.checkpoints or context.out) / "snapshots"
    run = StageRun(
        seed=params["seed"],
        budget=budget,
        device=context.device,
        precision=context.precision,
        batch_size=batch_size,
        image_transforms=context.transforms(options.augment, task, "image"),
        epoch_images=len(train),  # as the budget's, whatever the generator makes of them
        snapshot_every=params["snapshots"],
        on_snapshot=lambda step, state: save_state(snapshots / f"{step}.safetensors", state),
        report=context.report,
        checkpoints=context.checkpoints,
        checkpoint_seconds=context.checkpoint_seconds,
    )
    with run.judged():
        generator.fit(train, run)
        save_state(context.out / "state.safetensors", generator.state())
        context.write_history(run.history())
        seen = sample_health(spec, generator, train, params["seed"], may_stop=budget >= STRETCH)
    if snapshots.is_dir() and context.checkpoints:
        # Copied: until the stage is published an interruption still needs them.
        shutil.copytree(snapshots, context.out / "snapshots")
    return {
        "updates": budget,
        "images": len(train),
        "health": run.health() | seen,
    }


def sample_health(
    spec: GeneratorSpec, generator: Generator, train: ImageSet, seed: int, *, may_stop: bool
) -> dict[str, dict[str, Any]]:
    """What 64 samples of each class are like beside its training images, by figure, then class (`all` where a generator
    knows no classes): see `Likeness`; `flags` holds sentences about classes where something is wrong. Raises Diverged
    at a class whose samples are nearly one image, if it `may_stop`; after a few updates they always are."""
    names = dict(enumerate(train.classes))
    labels: list[int | None] = list(names) if spec.conditional or len(names) == 1 else [None]
    found: dict[str, dict[str, Any]] = {figure: {} for figure in (*FIGURES, "flags")}
    for label in labels:
        real = train.images if label is None else train.images[train.labels == label]
        # None is kept: who has fewer images than these may repeat them.
        request = SampleRequest(label, JUDGED, child_seed(seed, "health") % 2**31, total=0)
        seed_everything(request.seed)
        images = generator.sample(request, train if spec.conditions_on != "none" else None).images
        if (
            not isinstance(images, torch.Tensor)
            or images.dtype != torch.uint8
            or images.shape[:2] != (JUDGED, 3)
        ):
            return {}  # the sample stage says what is wrong with them
        alike = likeness(resize_images(images.cpu(), train.size), real)
        if alike is None:
            continue
        name = "all" if label is None else names[label]
        for figure in FIGURES:
            found[figure][name] = round(getattr(alike, figure), 6)
        if flags := alike.flags():
            found["flags"][name] = flags
        if alike.collapsed and may_stop:
            raise Diverged(
                f"the samples of '{name}' collapsed: {JUDGED} of them lie {alike.distance_ratio:.2%} as far apart as "
                "the training images"
            )
    return found


def training_images(context: StageContext, size: int) -> ImageSet:
    """What the generator may see: its classes of train (or reserve, or with a permit all, or what another generator
    made), at its size."""
    params = context.params
    if params["reads"] == "samples":
        return synthetic_set(context, "data/", params["fit_classes"], size)
    images = context.images(params["reads"], fraction=params["fraction"], classes=params["fit_classes"])
    return resized(images, size)


def restore(context: StageContext, state: dict[str, torch.Tensor]) -> tuple[Generator, ImageSet | None]:
    """A generator in the state that a fit left, and its training images where it samples from them."""
    spec = context.plugins.get("generator", context.params["generator"])
    generator, task = restored_generator(context, state)
    return generator, training_images(context, task.size) if spec.conditions_on != "none" else None
