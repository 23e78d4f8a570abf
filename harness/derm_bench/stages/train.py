"""Stage `train`: trains a classifier on real and synthetic images, with the same budget for every arm."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from derm_bench.images import ImageSet, load_images
from derm_bench.lazy import create
from derm_bench.stage_names import SYNTHETIC
from derm_bench.stages.decoded import decoded_of, images_of
from derm_bench.stages.required import class_folders, derived_rows, normalisation, task_of
from derm_bench.stages.selecting import primary_metric
from derm_bench.stages.start import start_from
from derm_bench.stages.weights import save_state
from derm_bench.training.feed import FeedOptions
from derm_bench.training.resize import resize_images
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
    real = images_of(context, params.reads, fraction=params.fraction)
    synthetic, held_out = synthetic_images(context, real)
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
            "val": {"real": counts(val) if params.val == "real" else {}},
            "test": {"real": counts(images_of(context, "test"))},
        },
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


def synthetic_images(context: StageContext, real: ImageSet) -> tuple[ImageSet, ImageSet]:
    """(synthetic training images of all classes, held-out images: the last share `holdout` of each class)."""
    params: p.Train = context.params
    kept, held = [], []
    for label, folder in class_folders(context, SYNTHETIC):
        pixels = load_images(folder / "images.npy")
        images = labelled(real, resize_images(pixels, params.size), label)
        images = replace(images, data=derived_rows(context, label, len(images)))
        cut = len(images) - int(params.holdout * len(images))
        kept.append(images.subset(range(cut)))
        held.append(images.subset(range(cut, len(images))))
    none = labelled(real, real.images[:0], real.classes[0])
    return joined(none, *kept), joined(none, *held)


def labelled(like: ImageSet, pixels: torch.Tensor, label: str) -> ImageSet:
    """Synthetic images of one class, each with a group of its own, with ids that no real image has."""
    n = len(pixels)
    names = tuple(f"synthetic/{label}/{k:06d}" for k in range(n))
    labels = torch.full((n,), like.classes.index(label), dtype=torch.int64)
    return ImageSet(pixels, labels, like.classes, names, names)


def joined(*sets: ImageSet) -> ImageSet:
    """Several sets with the same classes, joined. Attributes, masks, auxiliary labels, and named data that not all sets
    have are left out."""
    filled = [s for s in sets if len(s)] or sets[:1]
    return replace(
        sets[0],
        images=torch.cat([s.images for s in sets]),
        labels=torch.cat([s.labels for s in sets]),
        ids=tuple(name for s in sets for name in s.ids),
        groups=tuple(name for s in sets for name in s.groups),
        attributes={},
        masks=None,
        aux_labels={},
        data={
            name: torch.cat([s.data[name] for s in filled])
            for name in filled[0].data
            if all(name in s.data for s in filled)
        },
    )


def counts(images: ImageSet) -> Mapping[str, int]:
    """The number of images per class."""
    return {name: int((images.labels == k).sum()) for k, name in enumerate(images.classes)}
