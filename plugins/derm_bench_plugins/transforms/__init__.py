"""Transforms. Options and specs are in a module of `specs`, what they do in the modules that `create` names."""

from __future__ import annotations

from derm_bench.specs import TransformSpec
from derm_bench_plugins.transforms.specs import (
    advchain,
    affine,
    bilateral,
    colour,
    cutmix,
    gamma,
    hair_removal,
    mixup,
    restore,
    ricap,
    shades_of_gray,
)

SINGLE = (ricap, mixup, cutmix, advchain, bilateral, gamma, hair_removal, shades_of_gray, restore)


def specs() -> list[TransformSpec]:
    """Every built-in transform, by phase."""
    return [*affine.SPECS, *colour.SPECS, *(module.SPEC for module in SINGLE)]
