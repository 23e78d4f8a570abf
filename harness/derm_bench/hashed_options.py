"""Restores the options of a plugin from a stage's identity, which has digests in place of file paths."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any


def merge_paths(hashed: Mapping[str, Any], local: Mapping[str, str]) -> dict[str, Any]:
    """The values of a plugin's options with file paths restored. `hashed` are the options of the identity; `local` has
    the path of each file by its place among the options (`weights`; `augment.0.options.file`)."""
    nested = any("." in place for place in local)
    merged = copy.deepcopy(dict(hashed)) if nested else dict(hashed)
    for place, path in local.items():
        inside, name = within(merged, place)
        inside[name] = path
    return merged


def within(tree: Any, place: str) -> tuple[dict[str, Any], str]:
    """The dict that contains the value at a place, and the key of the value in it."""
    *above, name = place.split(".")
    for step in above:
        tree = tree[int(step) if isinstance(tree, list) else step]
    return tree, name
