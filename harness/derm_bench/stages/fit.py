"""Stage `fit`: a generator, fitted once for all cells that need it."""

from __future__ import annotations

from typing import Any

import torch

from derm_bench.images import ImageSet
from derm_bench.specs import Generator, Task, create
from derm_bench.stages.context import StageContext
from derm_bench.stages.weights import save_state
from derm_bench.training.resize import resized
from derm_bench.training.stage_run import StageRun, seed_everything


def fit(context: StageContext) -> dict[str, Any]:
    """Writes state.safetensors, snapshots/<step>.safetensors and history.csv."""
    params = context.params
    spec = context.plugins.get("generator", params["generator"])
    options = context.options("generator", params["generator"])
    train = training_images(context, options.size or params["size"])
    task = Task(train.classes, train.size, context.device)
    seed_everything(params["seed"])
    generator: Generator = create(spec, options, task)
    batch_size = getattr(options, "batch_size", 64)
    budget = options.budget.in_updates(len(train), batch_size)
    run = StageRun(
        seed=params["seed"],
        budget=budget,
        device=context.device,
        precision=context.precision,
        batch_size=batch_size,
        image_transforms=context.transforms(options.augment, task, "image"),
        snapshot_every=params["snapshots"],
        on_snapshot=lambda step, state: save_state(context.out / "snapshots" / f"{step}.safetensors", state),
        report=context.report,
    )
    generator.fit(train, run)
    save_state(context.out / "state.safetensors", generator.state())
    context.write_history(run.history())
    return {"updates": budget, "images": len(train)}


def training_images(context: StageContext, size: int) -> ImageSet:
    """What the generator may see: its classes of train (or reserve, or with a permit all), at its size."""
    params = context.params
    images = context.images(params["reads"], fraction=params["fraction"], classes=params["fit_classes"])
    return resized(images, size)


def restore(context: StageContext, state: dict[str, torch.Tensor]) -> tuple[Generator, ImageSet | None]:
    """A generator in the state that a fit left, and its training images where it samples from them."""
    params = context.params
    spec = context.plugins.get("generator", params["generator"])
    options = context.options("generator", params["generator"])
    size = options.size or params["size"]
    generator: Generator = create(spec, options, Task(tuple(params["fit_classes"]), size, context.device))
    generator.load_state(state)
    return generator, training_images(context, size) if spec.conditions_on != "none" else None
