"""Transforms. Options and specs are in a module of `specs`, what they do in the modules that `create` names."""

from __future__ import annotations

from derm_bench.specs import TransformSpec
from derm_bench_plugins.transforms.specs import SPECS


def specs() -> list[TransformSpec]:
    """Every built-in transform, by phase."""
    return list(SPECS)
