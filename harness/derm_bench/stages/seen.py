"""The training images of a generator: for the fit, and afterwards for generators that sample from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from derm_bench.images import ImageSet
from derm_bench.stage_names import DATA
from derm_bench.stages.decoded import images_of
from derm_bench.stages.required import restored_generator, synthetic_set
from derm_bench.training.resize import resized

if TYPE_CHECKING:
    import torch

    from derm_bench.plan import params as p
    from derm_bench.protocols import Generator
    from derm_bench.stages.context import StageContext


def training_images(context: StageContext, size: int) -> ImageSet:
    """The training images of a generator at its size, of its classes: train, reserve, all parts (if the protocol
    permits it), or the samples of another generator."""
    params: p.Generating = context.params
    if params.reads == "samples":
        return synthetic_set(context, DATA, params.fit_classes, size)
    images = images_of(context, params.reads, fraction=params.fraction, classes=params.fit_classes)
    return resized(images, size)


def restore(context: StageContext, state: Mapping[str, torch.Tensor]) -> tuple[Generator, ImageSet | None]:
    """The generator restored from the state of a fit, and its training images (None if it does not sample from
    them)."""
    spec = context.plugins.get("generator", context.params.generator)
    generator, task = restored_generator(context, state)
    return generator, training_images(context, task.size) if spec.conditions_on != "none" else None
