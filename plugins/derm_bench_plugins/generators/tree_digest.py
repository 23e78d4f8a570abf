"""A single digest over many files."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from derm_bench.fingerprint import file_digests


def tree_digest(paths: Mapping[str, Path]) -> str:
    """Return the SHA-256, in hex, over the names and contents of files, in the order of their names."""
    lines = [f"{name}\t{digest}" for name, digest in sorted(file_digests(paths).items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
