"""Compares the files of a run directory, which may be untrusted, with the digests in its manifest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from derm_bench.errors import UserError
from derm_bench.rundir.directory import NAMES
from derm_bench.rundir.files import FOLDERS, TABLE_BYTES, opened
from derm_bench.rundir.manifest import MANIFEST, REPORTS

TOTAL_BYTES = 32 * 2**30
"""The maximum size of all files together."""


@dataclass(frozen=True)
class FileCheck:
    """Names of files whose content differs from the manifest, that are missing, and that the manifest does not list.
    `equal` counts those that agree."""

    changed: Sequence[str]
    missing: Sequence[str]
    unlisted: Sequence[str]
    equal: int

    @property
    def lost(self) -> list[str]:
        """The missing files that a report is made of."""
        return [name for name in self.missing if name not in REPORTS and not name.startswith("figures/")]


def check_files(folder: Path, manifest: Mapping[str, Any]) -> FileCheck:
    """Hash the files that a manifest lists. Raises UserError for a name that leads out of the directory, for links and
    special files, and above `TOTAL_BYTES`."""
    changed, missing, equal, total = [], [], 0, 0
    listed = manifest.get("files", {})
    for name, digest in listed.items():
        path = _place(folder, name)
        try:
            with opened(path, TABLE_BYTES) as descriptor:
                total += os.fstat(descriptor).st_size
                if total > TOTAL_BYTES:
                    raise UserError(f"its files have more than {TOTAL_BYTES:,} bytes", file=folder)
                with os.fdopen(descriptor, "rb", closefd=False) as file:
                    same = hashlib.file_digest(file, "sha256").hexdigest() == digest
        except FileNotFoundError:
            missing.append(name)
            continue
        equal += same
        if not same:
            changed.append(name)
    return FileCheck(changed, missing, sorted(name for name in _owned(folder) if name not in listed), equal)


def _place(folder: Path, name: str) -> Path:
    parts = name.split("/")
    inside = len(parts) == 1 or (len(parts) == 2 and parts[0] in FOLDERS)
    if not inside or parts[-1] in ("", ".", "..") or "\0" in name:
        raise UserError(
            f"`files` has the name {name[:60]!r}, which is none of a run directory", file=folder / MANIFEST
        )
    return folder / name


def _owned(folder: Path) -> Iterator[str]:
    """The files of a directory that a run may have written, except the manifest and partially written ones."""
    yield from (name for name in NAMES if name != MANIFEST and (folder / name).is_file())
    for above in FOLDERS:
        if (folder / above).is_dir():
            yield from (
                f"{above}/{entry.name}" for entry in os.scandir(folder / above) if entry.name[0] != "."
            )
