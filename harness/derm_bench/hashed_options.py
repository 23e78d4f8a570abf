"""Options for a worker: those of the stage's identity, with the paths of files added again."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def merge_paths(hashed: Mapping[str, Any], local: Mapping[str, str]) -> dict[str, Any]:
    """Options for the plugin's model: `hashed` are those of the identity, `local` has the path of each file and folder
    by its place among the options (`weights`; `augment.0.options.file`), as `place_of` writes it."""
    nested = any("." in place for place in local)
    merged = copy.deepcopy(dict(hashed)) if nested else dict(hashed)
    for place, path in local.items():
        *above, last = keys_of(place)
        inside: Any = merged
        for key in above:
            inside = inside[_key_in(inside, key)]
        inside[_key_in(inside, last)] = Path(path)
    return merged


def place_of(keys: Sequence[str | int]) -> str:
    """A place as one text: keys joined by dots. A dot in a key is written `~1` and a tilde `~0`."""
    return ".".join(str(key).replace("~", "~0").replace(".", "~1") for key in keys)


def keys_of(place: str) -> list[str]:
    """The keys of a place that `place_of` wrote."""
    return [key.replace("~1", ".").replace("~0", "~") for key in place.split(".")]


def _key_in(inside: Any, key: str) -> str | int:
    return int(key) if isinstance(inside, list) else key
