"""Stage `train`: trains a classifier on real and synthetic images, with the same budget for every arm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from derm_bench.images import ImageSet
from derm_bench.lazy import create
from derm_bench.stages.auxiliary import with_auxiliary
from derm_bench.stages.decoded import decoded_of, images_of
from derm_bench.stages.required import normalisation, task_of
from derm_bench.stages.selecting import primary_metric
from derm_bench.stages.start import start_from
from derm_bench.stages.synthetic import joined, selected, synthetic_images
from derm_bench.stages.weights import save_state
from derm_bench.training.feed import FeedOptions
from derm_bench.training.selection import Selection
from derm_bench.training.stage_run import Checkpointing, StageRun, seed_everything
from derm_bench.training.updates import FitCheck

if TYPE_CHECKING:
    from derm_bench.plan import params as p
    from derm_bench.protocols import Classifier, Task
    from derm_bench.stages.context import StageContext


def train(context: StageContext) -> dict[str, Any]:
    """Writes state.safetensors and history.csv. The result contains the numbers of images that were used.
    Raises UserError if the training did not take its budget."""
    params: p.Train = context.params
    spec = context.plugins.get("classifier", params.classifier)
    options = context.options("classifier", params.classifier)
    real = with_auxiliary(context, images_of(context, params.reads, fraction=params.fraction))
    synthetic, held_out = synthetic_images(context, real, params.holdout)
    images = synthetic if params.replace_real else joined(real, synthetic)
    val = images_of(context, "val") if params.val == "real" else held_out
    task = task_of(context, images.classes, options.input_size or images.size)
    seed_everything(params.seed)
    classifier: Classifier = create(spec, options, task)
    if "init" in context.inputs:
        start_from(classifier, spec, options, task, context.inputs["init"])
    run = classifier_run(context, options, classifier, task, images, val)
    with run.guarded():
        with FitCheck(run, classifier) as check:
            classifier.fit(images, val, run)
        history = run.history()
        check.require(spec.name, spec.trains)
        save_state(context.out / "state.safetensors", classifier.state())
        context.write_history(history)
    return {
        "updates": run.updates if spec.trains else run.budget,
        "selected_step": run.selected_step,
        "weights_from": dict(getattr(classifier, "weights_from", {})),
        "n_train_real": 0 if params.replace_real else len(real),
        "n_train_synthetic": len(synthetic),
        "composition": {
            "train": {"real": {} if params.replace_real else counts(real), "synthetic": counts(synthetic)},
            "val": {params.val.replace("held_out", "synthetic"): counts(val)},
            "test": {"real": counts(images_of(context, "test"))},
        },
        "selected": selected(context),
        "set_aside": Counter(why.partition(" ")[0] for why in decoded_of(context).dropped.values()),
    }


def classifier_run(
    context: StageContext, options: Any, classifier: Classifier, task: Task, images: ImageSet, val: ImageSet
) -> StageRun:
    """The run of a classifier, with the budget, augmentation, balance and selection of the matrix."""
    params: p.Train = context.params
    mean, std = normalisation(classifier)
    return StageRun(
        seed=params.seed,
        budget=params.updates,
        device=context.device,
        precision=context.precision,
        feed=FeedOptions(
            batch_size=options.batch_size,
            size=task.size,
            mean=mean,
            std=std,
            image_transforms=context.transforms(params.augment, task, "image"),
            batch_transforms=context.transforms(params.augment, task, "batch"),
            balance=params.balance,
            label_smoothing=options.label_smoothing,
        ),
        selection=Selection(
            val=val if len(val) else None,
            metric=primary_metric(context, images.classes),
            name=params.primary["name"],
            higher_is_better=params.primary["higher_is_better"],
            mode=options.select,
            patience=options.patience,
        ),
        regularisers=context.transforms(params.augment, task, "regulariser"),
        report=context.report,
        checkpointing=Checkpointing(context.checkpoints.folder, context.checkpoints.seconds),
    )


def counts(images: ImageSet) -> Mapping[str, int]:
    """The number of images per class."""
    return {name: int((images.labels == k).sum()) for k, name in enumerate(images.classes)}
