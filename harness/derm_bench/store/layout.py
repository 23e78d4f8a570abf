"""The names in a store, and the check that a folder is one. Only names that match are ever removed or moved."""

from __future__ import annotations

import os
import re
from pathlib import Path

import platformdirs

from derm_bench.errors import UserError
from derm_bench.regular_files import read_regular
from derm_bench.store.atomic_files import reason, write_atomically

VERSION = "VERSION"
LAYOUT = "1"
VERSION_BYTES = 1000
FOLDERS = ("objects", "records", "data", "staging", "running", "checkpoints", "aside", "locks")

_ATTEMPT, _KEY, _DIGEST = "[0-9a-f]{32}", "[0-9a-f]{40}", "[0-9a-f]{64}"
# `.<name>.<32 digits>` is a file that is being written (`write_atomically`).
_OWN = {
    "objects": re.compile(_KEY),
    "data": re.compile(rf"{_DIGEST}|\.{_DIGEST}\.{_ATTEMPT}"),
    "staging": re.compile(rf"{_ATTEMPT}(\.json)?|\.{_ATTEMPT}\.json\.{_ATTEMPT}"),
    "running": re.compile(r"[0-9]+\.json"),
    "checkpoints": re.compile(rf"{_KEY}(\..+)?"),
    "aside": re.compile(rf"({_ATTEMPT}\.json|{_KEY}(\.jsonl)?|{_DIGEST})-[0-9]+"),
}
_BEING_WRITTEN = re.compile(rf"\.{VERSION}\.{_ATTEMPT}")
_HINT = "give another folder with --store or DERM_BENCH_STORE"


def default_store() -> Path:
    """The folder `$DERM_BENCH_STORE`, else a folder in the user's cache."""
    named = os.environ.get("DERM_BENCH_STORE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("derm-bench")) / "store"


def is_own(place: str, path: Path) -> bool:
    """Whether an entry of the folder `place` of a store has a name that the store gives, and is not a link."""
    return _OWN[place].fullmatch(path.name) is not None and not path.is_symlink()


def _version(root: Path) -> bytes:
    try:
        return read_regular(root / VERSION, VERSION_BYTES)
    except OSError as error:
        raise UserError(
            f"the store at {root} cannot be used: its file {VERSION} cannot be read: {reason(error)}",
            hint=_HINT,
        ) from error


def check_place(root: Path) -> bool:
    """Whether there is a store at `root`; False for a folder that is empty or does not exist. Writes nothing.

    Raises UserError for any other folder or file, for a store of another layout, and for a store with a damaged
    VERSION.
    """
    try:
        names = {name for name in os.listdir(root) if not _BEING_WRITTEN.fullmatch(name)}  # noqa: PTH208
    except FileNotFoundError:
        return False
    except OSError as error:
        raise UserError(
            f"cannot write the store at {root}: {reason(error)}",
            hint="give a writable folder with --store or DERM_BENCH_STORE",
        ) from error
    if not names:
        return False
    if VERSION not in names or not ((root / "objects").is_dir() or names <= {VERSION, *FOLDERS}):
        raise UserError(f"{root} is not empty and is not a store", hint=_HINT)
    version = _version(root)
    if version != LAYOUT.encode():
        if version.isdigit():
            what = f"has layout '{version.decode()[:20]}', this version reads '{LAYOUT}'"
            raise UserError(f"the store at {root} {what}", hint=_HINT)
        raise UserError(
            f"the store at {root} cannot be used: its file {VERSION} is damaged",
            hint=f"if derm-bench made this folder, write {LAYOUT} into {root / VERSION}, without a line break; "
            f"else {_HINT}",
        )
    return True


def make_folders(root: Path) -> None:
    """Creates the folders of a store, VERSION first, so that a run that is killed meanwhile leaves a store or an empty
    folder. Raises OSError if that is impossible."""
    root.mkdir(parents=True, exist_ok=True)
    if not (root / VERSION).exists():
        write_atomically(root / VERSION, LAYOUT.encode())
    for name in FOLDERS:
        (root / name).mkdir(exist_ok=True)
