"""The synthetic images that a stage reads: those that are trained on, and those that are held out."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from derm_bench.images import ImageSet, load_images
from derm_bench.stage_names import SYNTHETIC
from derm_bench.stages.auxiliary import inherited
from derm_bench.stages.required import class_folders, derived_rows
from derm_bench.training.resize import resize_images

if TYPE_CHECKING:
    from derm_bench.stages.context import StageContext


def synthetic_images(context: StageContext, real: ImageSet, holdout: float) -> tuple[ImageSet, ImageSet]:
    """(synthetic training images of all classes, held-out images: the last share `holdout` of each class), with the
    classes of `real` and at its size. An image that was made from one of `real` has its auxiliary labels."""
    kept, held = [], []
    for label, folder in class_folders(context, SYNTHETIC):
        pixels = load_images(folder / "images.npy")
        images = labelled(real, resize_images(pixels, context.params.size), label)
        sources = json.loads((folder / "samples.json").read_text())["source_ids"] if real.aux_labels else ()
        images = replace(
            images,
            data=derived_rows(context, label, len(images)),
            aux_labels=inherited(real, sources, len(images)),
        )
        cut = len(images) - int(holdout * len(images))
        kept.append(images.subset(range(cut)))
        held.append(images.subset(range(cut, len(images))))
    none = labelled(real, real.images[:0], real.classes[0])
    return joined(none, *kept), joined(none, *held)


def selected(context: StageContext) -> dict[str, dict[str, Any]]:
    """How the samples of each class were selected, if they were: `graded` and `kept`, the numbers of samples that a
    filter saw and kept, and `snapshot`, the update of the snapshot that was chosen (`last`: the end of the fit)."""
    found: dict[str, dict[str, Any]] = {}
    for label, folder in class_folders(context, SYNTHETIC):
        document = json.loads((folder / "samples.json").read_text())
        if "graded" in document:
            found[label] = {"graded": document["graded"], "kept": len(document["places"])}
        if "snapshot" in document:
            found.setdefault(label, {})["snapshot"] = document["snapshot"]
    return found


def labelled(like: ImageSet, pixels: torch.Tensor, label: str) -> ImageSet:
    """Synthetic images of one class, each with a group of its own, with ids that no real image has."""
    n = len(pixels)
    names = tuple(f"synthetic/{label}/{k:06d}" for k in range(n))
    labels = torch.full((n,), like.classes.index(label), dtype=torch.int64)
    return ImageSet(pixels, labels, like.classes, names, names)


def joined(*sets: ImageSet) -> ImageSet:
    """Several sets with the same classes, joined. Attributes, masks, and named data that not all sets have are left
    out. The images of a set without an auxiliary task have the label -1 in it."""
    filled = [s for s in sets if len(s)] or sets[:1]
    tasks = dict.fromkeys(task for s in sets for task in s.aux_labels)
    return replace(
        sets[0],
        images=torch.cat([s.images for s in sets]),
        labels=torch.cat([s.labels for s in sets]),
        ids=tuple(name for s in sets for name in s.ids),
        groups=tuple(name for s in sets for name in s.groups),
        attributes={},
        masks=None,
        aux_labels={
            task: torch.cat([s.aux_labels.get(task, torch.full_like(s.labels, -1)) for s in sets])
            for task in tasks
        },
        data={
            name: torch.cat([s.data[name] for s in filled])
            for name in filled[0].data
            if all(name in s.data for s in filled)
        },
    )
