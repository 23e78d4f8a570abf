"""A single digest over many files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from derm_bench.fingerprint import file_digests
from derm_bench.image_list import line_of


def tree_digest(paths: Mapping[str, Path], largest: int | None = None) -> str:
    """Return the SHA-256, in hex, over the names and contents of files, in the order of their names.

    Files of more than `largest` bytes count as unreadable.
    """
    lines = [line_of(item) for item in sorted(file_digests(paths, largest).items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
