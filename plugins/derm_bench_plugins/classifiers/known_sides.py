"""The smallest images that networks accept, as far as it is known without building them. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping


def smallest_known(architecture: str, table: Mapping[str, int]) -> int:
    """Return the side in pixels that `table` (regular expression of whole names -> side) gives for an architecture, or
    1."""
    return next((side for pattern, side in table.items() if re.fullmatch(pattern, architecture)), 1)


def problem_of_side(model: str, size: int | None, smallest: int) -> str:
    """Return why a model cannot take images of `size` pixels; empty if it can, or if the size is not known."""
    if size is None or size >= smallest:
        return ""
    return (
        f"{model} needs images of at least {smallest} px; these have {size}; "
        f"write input_size: {smallest} or more: images are resized to it"
    )
