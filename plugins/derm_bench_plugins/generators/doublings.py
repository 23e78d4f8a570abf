"""The number of doublings from a small feature map to the side of an image."""

from __future__ import annotations

from derm_bench.errors import UserError


def doublings(plugin: str, size: int, start: int) -> int:
    """Return the number of doublings from a side of `start` pixels (a power of two) to `size`.

    Raises UserError, which names the plugin, if `size` is not a power of two or is too small.
    """
    if size < max(8, start) or size & (size - 1):
        raise UserError(
            f"{plugin} makes images whose side is a power of two, not {size}",
            hint="set the generator's size to 32, 64 or 128; samples are resized to the stored size",
        )
    return (size // start).bit_length() - 1
