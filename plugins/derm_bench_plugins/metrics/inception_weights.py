"""Finds the Inception weights, and reports if they are missing. Imports no torch and downloads nothing."""

from __future__ import annotations

import functools
import hashlib
import os
from pathlib import Path
from typing import Any

FILE = "weights-inception-2015-12-05-6726825d.pth"
SOURCE = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{FILE}"
VARIABLE = "DERM_BENCH_INCEPTION"


def places(options: Any) -> list[Path]:
    """Return the absolute paths that are tried; if the user has named a path, only that one."""
    named = options.weights or os.environ.get(VARIABLE)
    if named:
        path = Path(named).expanduser().absolute()
        return [path / FILE if path.is_dir() else path]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    home = Path(os.environ.get("TORCH_HOME") or cache / "torch")
    return [home.expanduser().absolute() / "hub" / "checkpoints" / FILE]


def find_weights(options: Any) -> Path | None:
    """Return the weights file, or None. It raises no error; `preflight` returns the message."""
    return next((path for path in places(options) if path.is_file()), None)


def digest(path: Path) -> str:
    """Return the SHA-256 of the file, in hex. The file is read again only if its size or modification time changes."""
    status = path.stat()
    return _digest(path, status.st_size, status.st_mtime_ns)


def used_weights(options: Any) -> dict[str, str]:
    """Return the digest of the weights that would be used, on which the values depend in addition to the options."""
    path = find_weights(options)
    return {"inception": digest(path)} if path else {}


def preflight(options: Any) -> list[str]:
    """Return the problems that a run would have; none if the weights are found."""
    if find_weights(options):
        return []
    looked = ", ".join(str(path) for path in places(options))
    return [
        f"the Inception weights are missing; looked at {looked}. Download {FILE} from {SOURCE} and put it "
        f"there, or name it with the metric's option `weights: PATH` or the environment variable {VARIABLE}; "
        "mmd_domain and the other _domain metrics need no weights"
    ]


@functools.lru_cache(maxsize=8)
def _digest(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
