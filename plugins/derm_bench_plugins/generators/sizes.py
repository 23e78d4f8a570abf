"""Preflight checks of generators that make images of certain sides only. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def powers_of_two(options: Any) -> Iterator[str]:
    """Yield the problem of a side that is not a power of two of at least 8. `options.size` is None if unknown."""
    return _problems(options.size, 8)


def from_sixteen(options: Any) -> Iterator[str]:
    """Yield the problem of a side that is not a power of two of at least 16."""
    return _problems(options.size, 16)


def _problems(size: int | None, smallest: int) -> Iterator[str]:
    if size is not None and (size < smallest or size & (size - 1)):
        yield (
            f"it makes images whose side is a power of two of at least {smallest}, not {size}; "
            "write size: 32, 64 or 128 in the generator: samples are resized to the stored size"
        )
