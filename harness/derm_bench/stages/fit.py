"""Stage `fit`: a generator, fitted once for all cells that need it."""

from __future__ import annotations

import shutil
from typing import Any

import torch

from derm_bench.errors import Diverged
from derm_bench.fidelity.likeness import COMPARED, FIGURES, sample_likeness
from derm_bench.images import ImageSet
from derm_bench.specs import Generator, GeneratorSpec, create
from derm_bench.stages.context import StageContext
from derm_bench.stages.required import restored_generator, synthetic_set, task_of
from derm_bench.stages.weights import save_state
from derm_bench.training.feed import FeedOptions
from derm_bench.training.health import STRETCH, DiscriminatorWatch, collapsed, flags
from derm_bench.training.resize import resized
from derm_bench.training.stage_run import Checkpointing, Snapshots, StageRun, seed_everything


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
        feed=FeedOptions(batch_size, image_transforms=context.transforms(options.augment, task, "image")),
        epoch_images=len(train),  # as the budget's, whatever the generator makes of them
        snapshots=Snapshots(
            params["snapshots"], lambda step, state: save_state(snapshots / f"{step}.safetensors", state)
        ),
        report=context.report,
        checkpointing=Checkpointing(context.checkpoints, context.checkpoint_seconds),
        watch=DiscriminatorWatch(budget),
    )
    with run.guarded():
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
    """The likeness of samples to training images, by figure, then class; `flags` holds sentences about classes where
    something is wrong. Raises Diverged for a class whose samples are nearly one image, if `may_stop`; after a few
    updates they always are."""
    measured = sample_likeness(spec, generator, train, seed)
    found: dict[str, dict[str, Any]] = {
        figure: {name: round(figures[figure], 6) for name, figures in measured.items()} for figure in FIGURES
    }
    found["flags"] = {name: wrong for name, figures in measured.items() if (wrong := flags(figures))}
    for name, figures in measured.items():
        if may_stop and collapsed(figures):
            raise Diverged(
                f"the samples of '{name}' collapsed: {COMPARED} of them lie {figures['distance_ratio']:.2%} as far "
                "apart as the training images"
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
