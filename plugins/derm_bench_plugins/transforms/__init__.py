"""Transforms: specs and options, a module a phase. What they do is in the modules that the specs name."""

from __future__ import annotations

from derm_bench.specs import TransformSpec

from . import batch_specs, image_specs, preprocess_specs, regulariser_specs


def specs() -> list[TransformSpec]:
    """All transforms, by phase."""
    return [
        *image_specs.specs(),
        *batch_specs.specs(),
        *regulariser_specs.specs(),
        *preprocess_specs.specs(),
    ]
