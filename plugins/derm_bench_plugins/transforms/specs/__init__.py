"""Options and specs of the transforms, one module per method. Imports no torch."""

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

MODULES = (ricap, mixup, cutmix, advchain, bilateral, gamma, hair_removal, shades_of_gray, restore)

SPECS: list[TransformSpec] = [*affine.SPECS, *colour.SPECS, *(module.SPEC for module in MODULES)]
