"""Stage `train`: a classifier on real and synthetic images, under the budget that every arm gets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from derm_bench.images import ImageSet
from derm_bench.scoring.classification import metric_of
from derm_bench.scoring.names import higher_is_better
from derm_bench.scoring.predictions import Predictions
from derm_bench.specs import Budget, Classifier, Task, create
from derm_bench.stages.context import StageContext
from derm_bench.stages.required import class_folders, task_of
from derm_bench.stages.start import start_from
from derm_bench.stages.weights import save_state
from derm_bench.training.feed import FeedOptions
from derm_bench.training.resize import resize_images
from derm_bench.training.selection import Score, Selection
from derm_bench.training.stage_run import Checkpointing, StageRun, seed_everything

HALF = (0.5, 0.5, 0.5)


def train(context: StageContext) -> dict[str, Any]:
    """Writes state.safetensors and history.csv; the result counts what was trained on."""
    params = context.params
    spec = context.plugins.get("classifier", params["classifier"])
    options = context.options("classifier", params["classifier"])
    real = context.images(params.get("reads", "train"), fraction=params["fraction"])
    synthetic, held_out = synthetic_images(context, real)
    images = synthetic if params["replace_real"] else joined(real, synthetic)
    val = context.images("val") if params["val"] == "real" else held_out
    task = task_of(context, images.classes, options.input_size or images.size)
    seed_everything(params["seed"])
    classifier: Classifier = create(spec, options, task)
    if "init" in context.inputs:
        start_from(classifier, spec, options, task, context.inputs["init"])
    run = classifier_run(context, options, classifier, task, images, val)
    with run.guarded():
        classifier.fit(images, val, run)
        save_state(context.out / "state.safetensors", classifier.state())
        context.write_history(run.history())
    return {
        "updates": run.budget,
        "selected_step": run.selected_step,
        "weights_from": dict(getattr(classifier, "weights_from", {})),
        "n_train_real": 0 if params["replace_real"] else len(real),
        "n_train_synthetic": len(synthetic),
        "composition": {
            "train": {"real": {} if params["replace_real"] else counts(real), "synthetic": counts(synthetic)},
            "val": {"real": counts(val) if params["val"] == "real" else {}},
            "test": {"real": counts(context.images("test"))},
        },
        "set_aside": Counter(why.partition(" ")[0] for why in context.decoded.dropped.values()),
    }


def classifier_run(
    context: StageContext, options: Any, classifier: Classifier, task: Task, images: ImageSet, val: ImageSet
) -> StageRun:
    """The run of a classifier: its budget, augmentation, balance and evaluations come from the matrix."""
    params = context.params
    return StageRun(
        seed=params["seed"],
        budget=Budget(**params["budget"]).in_updates(len(images), options.batch_size),
        device=context.device,
        precision=context.precision,
        feed=FeedOptions(
            batch_size=options.batch_size,
            size=task.size,
            mean=getattr(classifier, "mean", HALF),
            std=getattr(classifier, "std", HALF),
            image_transforms=context.transforms(params["augment"], task, "image"),
            batch_transforms=context.transforms(params["augment"], task, "batch"),
            balance=params["balance"],
            label_smoothing=options.label_smoothing,
        ),
        selection=Selection(
            val=val if len(val) else None,
            metric=primary_metric(params["primary"], images.classes),
            name=params["primary"],
            higher_is_better=higher_is_better(params["primary"]),
            mode=options.select,
            patience=options.patience,
        ),
        regularisers=context.transforms(params["augment"], task, "regulariser"),
        report=context.report,
        checkpointing=Checkpointing(context.checkpoints, context.checkpoint_seconds),
    )


def primary_metric(name: str, classes: Sequence[str]) -> Score:
    """The metric by which a state is selected. Validation stands in for the test set, and fixes thresholds as well."""
    metric = metric_of(name, classes)

    def score(labels: np.ndarray, proba: np.ndarray, groups: Sequence[str]) -> float:
        return metric(Predictions.checked(labels, proba, classes, val_labels=labels, val_proba=proba))

    return score


def synthetic_images(context: StageContext, real: ImageSet) -> tuple[ImageSet, ImageSet]:
    """The synthetic training images of all classes, and the last part of each class that `holdout` keeps out."""
    params = context.params
    kept, held = [], []
    for label, folder in class_folders(context, "synthetic/"):
        pixels = torch.from_numpy(np.load(folder / "images.npy", allow_pickle=False))
        images = labelled(real, resize_images(pixels, params["size"]), label)
        cut = len(images) - int(params["holdout"] * len(images))
        kept.append(images.subset(range(cut)))
        held.append(images.subset(range(cut, len(images))))
    none = labelled(real, real.images[:0], real.classes[0])
    return joined(none, *kept), joined(none, *held)


def labelled(like: ImageSet, pixels: torch.Tensor, label: str) -> ImageSet:
    """Synthetic images of one class, each its own group, under names that no real image has."""
    n = len(pixels)
    names = tuple(f"synthetic/{label}/{k:06d}" for k in range(n))
    labels = torch.full((n,), like.classes.index(label), dtype=torch.int64)
    return ImageSet(pixels, labels, like.classes, names, names)


def joined(*sets: ImageSet) -> ImageSet:
    """Several sets of the same classes as one; columns and named data that not all of them have are left out."""
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
    """Images a class."""
    return {name: int((images.labels == k).sum()) for k, name in enumerate(images.classes)}
