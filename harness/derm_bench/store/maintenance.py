"""Maintenance of a store: summaries of its contents, verification of digests, and removal of garbage."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from derm_bench.regular_files import read_regular
from derm_bench.stage_names import STAGE_FILE
from derm_bench.store.atomic_files import flush
from derm_bench.store.layout import is_own
from derm_bench.store.processes import is_running
from derm_bench.store.stage_files import (
    NOTE_BYTES,
    STAGE_BYTES,
    document_digest,
    file_digest,
    read_stage,
)
from derm_bench.store.store import Store

DAY = 86_400.0
# Days for which files are kept that no process owns, or a process of which it is unknown whether it is running.
UNOWNED_DAYS = 1.0
UNSEEN_DAYS = 30.0
FAILED = ("failed", "timeout", "oom", "diverged", "interrupted")


@dataclass(frozen=True)
class Corrupted:
    """A stage that differs from what was published, and the folder to which it was moved."""

    key: str
    title: str
    problems: tuple[str, ...]
    moved_to: Path | None


@dataclass(frozen=True)
class Garbage:
    """A file or folder that can be removed, the reason, and its size in bytes. `key` is set for a finished stage."""

    why: str
    path: Path
    bytes: int
    key: str = ""


def stage_keys(store: Store) -> Iterator[str]:
    """The keys of all finished stages, sorted."""
    for path in sorted((store.root / "objects").glob("*/*")):
        if path.is_dir() and is_own("objects", path) and path.parent.name == path.name[:2]:
            yield path.name


def plan_data(store: Store) -> list[str]:
    """The digests by which plan data is named, sorted."""
    return [path.name for path in _entries(store, "data") if not path.name.startswith(".")]


def documents(store: Store) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields key and stage file of every readable finished stage. This does not mark stages as used."""
    for key in stage_keys(store):
        try:
            yield key, read_stage(store.folder(key))
        except (OSError, ValueError):
            continue


# ------------------------------------------------------------------------------------ ls


def summarise(store: Store) -> dict[str, Any]:
    """Sizes in bytes and numbers of stages, by kind and in total."""
    kinds: dict[str, dict[str, int]] = {}
    for key in stage_keys(store):
        entry = kinds.setdefault(_kind(store, key), {"stages": 0, "bytes": 0})
        entry["stages"] += 1
        entry["bytes"] += size_of(store.folder(key))
    times = sorted(_mtime(store.folder(key) / STAGE_FILE) for key in stage_keys(store))
    statuses = Counter(
        record["status"]
        for path in (store.root / "records").glob("*/*.jsonl")
        for record in store.records(path.stem)
    )
    places = ("staging", "checkpoints", "aside", "data", "records")
    return {
        "store": str(store.root),
        "bytes": size_of(store.root),
        "stages": sum(entry["stages"] for entry in kinds.values()),
        "kinds": dict(sorted(kinds.items())),
        "attempts": dict(sorted(statuses.items())),
        "failed_attempts": sum(statuses[status] for status in FAILED),
        "places": {name: _place(store.root / name) for name in places},
        "running": len(_active_runs(store)),
        "oldest": _iso(times[0]) if times else None,
        "newest": _iso(times[-1]) if times else None,
    }


def _kind(store: Store, key: str) -> str:
    try:
        return str(read_stage(store.folder(key))["identity"].get("kind", "unknown"))
    except (OSError, ValueError):
        return "corrupted"


def _place(folder: Path) -> dict[str, int]:
    entries = [path for path in folder.iterdir() if path.suffix != ".json"] if folder.is_dir() else []
    return {"entries": len(entries), "bytes": size_of(folder)}


def size_of(path: Path) -> int:
    """Bytes of a file, or of all files below a folder. Files that are removed meanwhile count as 0."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(_size(file) for file in files)


def _size(path: Path) -> int:
    try:
        found = path.lstat()
    except OSError:
        return 0
    return 0 if path.is_dir() else found.st_size


def _mtime(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return time.time()


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


# -------------------------------------------------------------------------------- verify


def verify(store: Store) -> Iterator[Corrupted]:
    """Compares every file of every finished stage, and plan data such as splits, with their digests. What differs is
    set aside and yielded."""
    for key in list(stage_keys(store)):
        found = problems(store.folder(key))
        if found and store.folder(key).is_dir():
            title = _title(store.folder(key))
            yield Corrupted(key, title, tuple(found), store.set_aside(key, "; ".join(found)))
    for digest in plan_data(store):
        wrong = store.check_data(digest)
        if wrong:
            yield Corrupted(digest, "plan data", (wrong,), store.set_data_aside(digest))


def problems(folder: Path) -> list[str]:
    """The differences of a finished stage from what was published, one sentence each."""
    try:
        document = read_stage(folder)
        if document.get("digest") != document_digest(document):
            return [f"{STAGE_FILE} changed"]
        files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
        found = [f"{name} was added" for name in sorted(files - {STAGE_FILE} - document["files"].keys())]
        for name, digest in document["files"].items():
            if file_digest(folder / name) != digest:
                found.append(f"{name} changed")
        return found
    except (OSError, ValueError) as error:
        return [str(error)]


def _title(folder: Path) -> str:
    try:
        return str(json.loads(read_regular(folder / STAGE_FILE, STAGE_BYTES))["attempt"]["title"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return folder.name[:12]


# ------------------------------------------------------------------------------------ gc


def garbage(store: Store, older_than: float | None = None) -> list[Garbage]:
    """The files that can be removed safely. `older_than` adds finished stages that no run has used for that many
    days."""
    runs = _active_runs(store)
    unused = list(_unused(store, older_than, runs)) if older_than is not None else []
    going = {item.key for item in unused}
    return [
        *_staging(store, bool(runs)),
        *_checkpoints(store),
        *(Garbage("set aside", path, size_of(path)) for path in _entries(store, "aside")),
        *(() if runs else _data(store, going)),
        *unused,
    ]


def clean(store: Store, items: list[Garbage]) -> list[dict[str, Any]]:
    """Removes garbage. Attempts that died without a record get one first; these records are returned."""
    records = store.recover()
    for item in items:
        if item.key:
            store.remove(item.key)
        elif item.path.is_dir():
            store.discard(item.path)
        else:
            item.path.unlink(missing_ok=True)
    return records


def flush_store(store: Store) -> None:
    """Flushes the whole store to disk, so that it survives a crash of the machine."""
    for name in ("objects", "records", "data"):
        if (store.root / name).is_dir():
            flush(store.root / name)


def _entries(store: Store, name: str) -> list[Path]:
    """The entries of a folder of the store that have names of ours, sorted. Other files are left alone."""
    folder = store.root / name
    found = sorted(folder.iterdir()) if folder.is_dir() and not folder.is_symlink() else []
    return [path for path in found if is_own(name, path)]


def _active_runs(store: Store) -> list[float]:
    """The start times of all runs that are, or may be, active on this store. Notes of dead processes are removed."""
    began = []
    for path in _entries(store, "running"):
        note = _json(path)
        alive = is_running(note) if isinstance(note, dict) and "pid" in note else None
        if alive or (alive is None and _age(path) < UNSEEN_DAYS):
            began.append(_mtime(path))
        else:
            with contextlib.suppress(OSError):  # the store may be read-only
                path.unlink()
    return began


def _staging(store: Store, has_active_run: bool) -> Iterator[Garbage]:
    """Files of attempts that are no longer running."""
    notes = {path.stem: _json(path) for path in _entries(store, "staging") if path.suffix == ".json"}
    for path in _entries(store, "staging"):
        if path.suffix == ".json" and path.with_suffix("").exists():
            continue
        note = notes.get(path.stem)
        process = note.get("process") if isinstance(note, dict) else None
        alive = is_running(process) if isinstance(process, dict) else None
        limit = UNSEEN_DAYS if path.stem in notes or has_active_run else UNOWNED_DAYS
        if alive is False or (alive is None and _age(path) >= limit):
            yield Garbage("left by an attempt that ended", path, size_of(path))


def _checkpoints(store: Store) -> Iterator[Garbage]:
    for path in _entries(store, "checkpoints"):
        key = path.name.partition(".")[0]
        if (store.folder(key) / STAGE_FILE).is_file():
            yield Garbage("checkpoint of a finished stage", path, size_of(path))


def _data(store: Store, going: set[str]) -> Iterator[Garbage]:
    """Plan data that no remaining stage refers to. (An active run may have written data for stages to come.)

    A file whose content does not have the digest that is its name may be somebody else's: it is left for `verify`.
    """
    texts = [
        json.dumps([document["identity"].get("params", {}), document["identity"].get("code", {})])
        for key, document in documents(store)
        if key not in going
    ]
    named = {word for text in texts for word in text.split('"') if len(word) == 64}
    for path in _entries(store, "data"):
        if path.name in named:
            continue
        if _age(path) >= UNOWNED_DAYS if path.name.startswith(".") else not store.check_data(path.name):
            yield Garbage("plan data that no stage uses", path, size_of(path))


def _unused(store: Store, days: float, runs: list[float]) -> Iterator[Garbage]:
    """Finished stages that no run has used for `days` days, and no active run since its start."""
    limit = min([time.time() - days * DAY, *(began - 1.0 for began in runs)])
    for key in stage_keys(store):
        if _mtime(store.folder(key)) < limit:
            folder = store.folder(key)
            yield Garbage(f"not used for {days:g} days", folder, size_of(folder), key)


def _age(path: Path) -> float:
    """Days since a path, or an entry of the folder that it is, was changed."""
    paths = [path, *(path.iterdir() if path.is_dir() else ())]
    return (time.time() - max(_mtime(p) for p in paths)) / DAY


def _json(path: Path) -> Any:
    try:
        return json.loads(read_regular(path, NOTE_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
