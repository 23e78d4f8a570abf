"""Stage `fit`: fits a generator, once for all cells that need it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from derm_bench.lazy import create
from derm_bench.stages.extra import with_extra
from derm_bench.stages.required import task_of
from derm_bench.stages.seen import training_images
from derm_bench.stages.weights import save_state
from derm_bench.training.feed import FeedOptions
from derm_bench.training.stage_run import Checkpointing, Snapshots, StageRun, seed_everything
from derm_bench.training.updates import FitCheck

if TYPE_CHECKING:
    from derm_bench.plan import params as p
    from derm_bench.protocols import Generator
    from derm_bench.stages.context import StageContext


def fit(context: StageContext) -> dict[str, Any]:
    """Writes state.safetensors, snapshots/<step>.safetensors and history.csv. The result contains the mean outputs of
    the discriminator at the end of training, and the names under which they are logged, if the spec declares them.
    Raises Diverged if the training has diverged, and UserError if it did not take its budget."""
    params: p.Fit = context.params
    spec = context.plugins.get("generator", params.generator)
    options = context.options("generator", params.generator)
    train = with_extra(context, training_images(context, options.size or params.size))
    task = task_of(context, train.classes, train.size)
    seed_everything(params.seed)
    generator: Generator = create(spec, options, task)
    watched, checkpoints = spec.discriminator_outputs, context.checkpoints
    snapshots = (checkpoints.folder or context.out) / "snapshots"
    run = StageRun(
        seed=params.seed,
        budget=params.updates,
        device=context.device,
        precision=context.precision,
        feed=FeedOptions(
            getattr(options, spec.batch_option, 64),
            image_transforms=context.transforms(options.augment, task, "image"),
            balance="oversample" if options.balance else None,
        ),
        epoch_images=len(train),  # as for the budget, even if the generator changes their number
        snapshots=Snapshots(
            params.snapshots, lambda step, state: save_state(snapshots / f"{step}.safetensors", state)
        ),
        report=context.report,
        checkpointing=Checkpointing(checkpoints.folder, checkpoints.seconds),
        watch=context.watch(params.updates, watched) if context.watch and watched else None,
    )
    with run.guarded():
        with FitCheck(run, generator) as check:
            generator.fit(train, run)
        history = run.history()
        check.require(spec.name, spec.trains)
        save_state(context.out / "state.safetensors", generator.state())
        context.write_history(history)
    if snapshots.is_dir() and checkpoints.folder:
        # Copied, not moved: until the stage is published, a resumed fit still needs them.
        shutil.copytree(snapshots, context.out / "snapshots")
    return {"updates": params.updates, "images": len(train), "health": run.health()} | (
        {"discriminator_outputs": list(watched)} if watched else {}
    )
