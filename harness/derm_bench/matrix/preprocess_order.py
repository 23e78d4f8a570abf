"""Which preprocess transforms run before images are resized, and which run on images of the stored size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from derm_bench.specs import TransformUse

OPTION = "before_resize"


def with_order(uses: Sequence[TransformUse]) -> tuple[TransformUse, ...]:
    """Returns the transforms with every option `before_resize` filled in.

    An option that is left out (None) is true if a transform that is listed later has it set, since all transforms
    before that one run before the resize too. Otherwise it is that of the transform listed just before, or false.
    Raises ValueError if a transform that is set to run after the resize is listed before one that runs before it.
    """
    wanted = [getattr(use.options, OPTION, None) for use in uses]
    last = max((k for k, before in enumerate(wanted) if before), default=-1)
    ordered: list[TransformUse] = []
    previous = False
    for k, (use, before) in enumerate(zip(uses, wanted, strict=True)):
        if before is False and k < last:
            raise ValueError(
                f"'{use.name}' is set to run after the resize, but '{uses[last].name}', which is listed later, runs "
                f"before it: list '{use.name}' last, or set {OPTION} alike"
            )
        previous = (k < last or previous) if before is None else before
        if not _has_option(use.options):
            previous = False
        elif before is None:
            use = use.model_copy(update={"options": use.options.model_copy(update={OPTION: previous})})
        ordered.append(use)
    return tuple(ordered)


def _has_option(options: Any) -> bool:
    return OPTION in getattr(type(options), "model_fields", ())
