"""The images of the test set that an evaluation scores on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING

from derm_bench.errors import UserError
from derm_bench.images import ImageSet
from derm_bench.stage_names import EXTERNAL
from derm_bench.stages.decoded import decoded_of, images_of
from derm_bench.stages.synthetic import joined, synthetic_images

if TYPE_CHECKING:
    from derm_bench.plan import params as p
    from derm_bench.stages.context import StageContext

NAMED = 3


def test_images(context: StageContext) -> tuple[ImageSet, Mapping[str, int]]:
    """The test images of an evaluation, and the number of images that were left out, by reason. Raises UserError if an
    external test set has an image with the pixels of an image of the split, unless that is permitted."""
    params: p.Evaluate = context.params
    if "split" in params.test:
        return _external(context)
    real = images_of(context, "test")
    if "holdout" not in params.test:
        return real, {}
    _, held = synthetic_images(context, real, params.test["holdout"])
    if not params.test["real"]:
        return held, {}
    attributes = {name: [*column, *[None] * len(held)] for name, column in real.attributes.items()}
    return replace(joined(real, held), attributes=attributes), {}


def _external(context: StageContext) -> tuple[ImageSet, Mapping[str, int]]:
    params: p.Evaluate = context.params
    stated = params.test
    view = SimpleNamespace(
        split=stated["split"],
        classes=params.classes,
        size=params.size,
        clean=stated["clean"],
        select_on_test=False,
    )
    theirs = replace(context, params=view, inputs={"decode": context.inputs[EXTERNAL]})
    images, left_out = images_of(theirs, "test"), _left_out(theirs)
    if stated["shared"] == "keep":
        return images, left_out
    own, other = decoded_of(context), decoded_of(theirs)
    known = {own.files["digests"][own.position[name]]: name for name in own.split.ids if name in own.position}
    pixels = [other.files["digests"][other.position[name]] for name in images.ids]
    shared = {name: known[digest] for name, digest in zip(images.ids, pixels, strict=True) if digest in known}
    if shared and stated["shared"] == "refuse":
        some = ", ".join(f"{name} ({shared[name]})" for name in sorted(shared)[:NAMED])
        raise UserError(
            f"{len(shared)} images of the external test set have the pixels of images of the split: {some}",
            hint="leave them out with clean: {duplicates: drop} in the `dataset` of the test set, or permit them with "
            "protocol: {name: paper, allow: [duplicates_across_splits]}",
        )
    if not shared:
        return images, left_out
    kept = images.subset([i for i, name in enumerate(images.ids) if name not in shared])
    if not len(kept):
        raise UserError("every image of the external test set has the pixels of an image of the split")
    return kept, {**left_out, "in the split": len(shared)}


def _left_out(context: StageContext) -> dict[str, int]:
    """The number of images that cleaning left out, by reason: blurred, copy."""
    return dict(Counter(why.partition(" ")[0] for why in decoded_of(context).dropped.values()))
