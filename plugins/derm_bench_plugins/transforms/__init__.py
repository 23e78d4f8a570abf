"""The built-in transforms. `specs` has their options and specs; the field `create` of a spec names the module of the
implementation."""

from __future__ import annotations

from derm_bench.specs import TransformSpec
from derm_bench_plugins.transforms.specs import SPECS


def specs() -> list[TransformSpec]:
    """Return the specs of all built-in transforms, grouped by phase."""
    return list(SPECS)
