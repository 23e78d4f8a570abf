"""The placeholders in the `argv` of `command` and their values. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ("train", "out", "n", "class", "seed", "size", "program")
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


def names_in(word: str) -> list[str]:
    """Return the names between braces in one argument."""
    return _PLACEHOLDER.findall(word)


def filled(argv: tuple[str, ...], values: Mapping[str, object]) -> list[str]:
    """Return argv with the placeholders named in `values` replaced. The values themselves are not searched."""
    return [_PLACEHOLDER.sub(lambda m: str(values.get(m[1], m[0])), word) for word in argv]


def placeholders(
    samples: int, program: Path | None, classes: tuple[str, ...], size: int, seed: int
) -> dict[str, object]:
    """Return the values of all placeholders but {train} and {out}, folders that are created when the program runs."""
    known: dict[str, object] = {"n": samples, "size": size, "seed": seed}
    if len(classes) == 1:
        known["class"] = classes[0]
    return known | ({"program": program} if program is not None else {})
