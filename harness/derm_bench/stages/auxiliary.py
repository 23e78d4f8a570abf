"""The labels of the auxiliary tasks that a classifier is trained with beside the classes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.plan import params as p
    from derm_bench.stages.context import StageContext


def with_auxiliary(context: StageContext, images: ImageSet) -> ImageSet:
    """The images with the labels of the tasks that were planned for a training; -1 for an image without a label."""
    params: p.Train = context.params
    found = {}
    for task, planned in params.auxiliary.items():
        codes = json.loads(context.planned(planned["labels"]))
        found[task] = torch.tensor([codes.get(name, -1) for name in images.ids], dtype=torch.int64)
    return replace(images, aux_labels={**images.aux_labels, **found}) if found else images


def inherited(real: ImageSet, sources: Sequence[str], n: int) -> dict[str, torch.Tensor]:
    """The auxiliary labels int64 [n] of synthetic images by task: those of the real images `sources` that they were
    made from, -1 if an image was made from none of `real`. Empty if the sources are not known."""
    if len(sources) != n or not len(real):
        return {}
    row: Mapping[str, int] = {name: k for k, name in enumerate(real.ids)}
    where = torch.tensor([row.get(name, -1) for name in sources], dtype=torch.int64)
    return {
        task: torch.where(where >= 0, column[where.clamp(min=0)], -1)
        for task, column in real.aux_labels.items()
    }
