"""The images without labels that a generator is fitted on beside its training images."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

import torch

from derm_bench.errors import UserError
from derm_bench.images import ImageSet
from derm_bench.stage_names import EXTRA
from derm_bench.stages.decoded import decoded_of, images_of
from derm_bench.stages.synthetic import joined
from derm_bench.training.resize import resized

if TYPE_CHECKING:
    from derm_bench.plan import params as p
    from derm_bench.stages.context import StageContext

HELD_OUT = ("val", "test")


def with_extra(context: StageContext, train: ImageSet) -> ImageSet:
    """The training images, followed by the extra ones of the stage with the label -1. Raises UserError if one of them
    has the pixels of a validation or test image, unless that is permitted."""
    params: p.Fit = context.params
    if not params.extra:
        return train
    view = SimpleNamespace(
        split=params.extra["split"],
        classes=params.extra["classes"],
        size=params.size,
        clean=params.extra["clean"],
        select_on_test=False,
    )
    theirs = replace(context, params=view, inputs={"decode": context.inputs[EXTRA]})
    images = images_of(theirs, "train")
    if params.extra["seen"] == "refuse":
        _refuse_seen(context, theirs, images)
    named = tuple(f"extra/{name}" for name in images.ids)
    unlabelled = replace(
        resized(images, train.size),
        labels=torch.full((len(images),), -1, dtype=torch.int64),
        classes=train.classes,
        ids=named,
        groups=named,
        aux_labels={},  # the names of another data set's labels have other numbers
    )
    return joined(train, unlabelled)


def _refuse_seen(context: StageContext, theirs: StageContext, images: ImageSet) -> None:
    own, other = decoded_of(context), decoded_of(theirs)
    held = {
        own.files["digests"][own.position[name]]: name
        for name, part in zip(own.split.ids, own.split.parts, strict=True)
        if part in HELD_OUT and name in own.position
    }
    pixels = {name: other.files["digests"][other.position[name]] for name in images.ids}
    seen = [name for name, digest in pixels.items() if digest in held]
    if seen:
        raise UserError(
            f"{len(seen)} of the extra images have the pixels of validation or test images, {seen[0]} those of "
            f"{held[pixels[seen[0]]]}",
            hint="leave them out, or permit it: protocol: {name: paper, allow: [generator_sees_test]}",
        )
