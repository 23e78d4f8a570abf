"""Sizes and codecs of the image files of a data set, from their headers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

from derm_bench.image_header import read_header

MAX_HEADERS = 2_000
"""The largest number of files whose headers are read."""
MOST_COMMON = 5


def file_facts(paths: Mapping[str, Path | str], ids: Sequence[str]) -> dict[str, Any] | None:
    """What the headers of at most `MAX_HEADERS` files say, evenly spaced over all; None if no image is a file.

    `looked_at` and `of` are numbers of files; `codecs` and `sizes` (`600 x 450`) the number of files by name, of sizes
    the most common; `shorter_side` and `bytes` have min, median and max; `unreadable` are ids.
    """
    known = [name for name in ids if name in paths]
    if not known:
        return None
    step = -(-len(known) // MAX_HEADERS)
    chosen = known[::step]
    with ThreadPoolExecutor(4) as pool:
        headers = list(pool.map(lambda name: read_header(Path(paths[name])), chosen))
    read = [header for header in headers if header is not None]
    sizes = Counter(f"{header.width} x {header.height}" for header in read)
    return {
        "looked_at": len(chosen),
        "of": len(known),
        "codecs": dict(Counter(header.codec for header in read).most_common()),
        "sizes": dict(sizes.most_common(MOST_COMMON)),
        "different_sizes": len(sizes),
        "shorter_side": _range([min(header.width, header.height) for header in read]),
        "bytes": _range([header.bytes for header in read]),
        "unreadable": [name for name, header in zip(chosen, headers, strict=True) if header is None],
    }


def _range(values: Sequence[int]) -> dict[str, float] | None:
    if not values:
        return None
    return {"min": min(values), "median": median(values), "max": max(values)}
