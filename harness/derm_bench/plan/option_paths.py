"""Replaces the paths in options by the digests of what lies there, because a key covers content and not paths."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel

from derm_bench.errors import UserError
from derm_bench.fingerprint import UNREADABLE, file_digests
from derm_bench.hashed_options import place_of
from derm_bench.options.paths import parts, paths_in, unwrapped
from derm_bench.options.uses import ClassifierUse
from derm_bench.plan.listing import Listing

MAX_FILES = 20_000
MAX_BYTES = 200_000_000_000
MAX_DEPTH = 32
"""Files, bytes and levels of folders that a folder among the options may have."""

PASSED_OVER = frozenset({"__pycache__", ".git", ".hg", ".svn", ".DS_Store"})
"""Names inside a folder that are not part of its content: programs write them when the folder is only used."""

_ABSENT = object()


class SplitOptions(NamedTuple):
    """Options in two parts: `values` is JSON with the digest of each file and folder in place of its path, `paths` has
    the paths by their place among the options. `listings` are the lists of files behind the digests of folders, by
    digest."""

    values: dict[str, Any]
    paths: dict[str, str]
    listings: dict[str, bytes]


def split_paths(options: BaseModel, *, folders: bool = True) -> SplitOptions:
    """Splits options into content and paths, at any depth.

    A file becomes `{"sha256": digest}` and a folder `{"folder": digest}`, of the listing of its files. Paths that do
    not exist are left out, and so are folders without `folders` (data sets describe them with their `fingerprint`) and
    folders that the plugin itself states (`StatedFolder`); in a list their place is None.
    Raises UserError for a folder that cannot be known by its content.
    """
    found = _Splitter(folders)
    dumped = options.model_dump(mode="json")
    return SplitOptions(found.walk(options, dumped, ()), found.paths, found.listings)


class _Splitter:
    def __init__(self, folders: bool) -> None:
        self.folders = folders
        self.paths: dict[str, str] = {}
        self.listings: dict[str, bytes] = {}

    def walk(self, value: Any, dumped: Any, place: tuple[str | int, ...]) -> Any:
        """`dumped`, which is `value` as JSON, with all paths replaced and sets in order."""
        value = unwrapped(value)
        inner = parts(value)
        if not inner or isinstance(
            value, ClassifierUse
        ):  # the stage of a required classifier covers its files
            return dumped
        if isinstance(dumped, dict):
            return self._in_map(value, dumped, place)
        if isinstance(dumped, list) and len(dumped) == len(inner):
            return self._in_list(value, dumped, place)
        if any(paths_in(value)):
            raise UserError(f"option {place_of(place)} has paths that its JSON has not: {dumped!r:.80}")
        return dumped

    def _in_list(self, value: Any, dumped: list[Any], place: tuple[str | int, ...]) -> list[Any]:
        elements = list(zip((part.value for part in parts(value)), dumped, strict=True))
        if isinstance(value, set | frozenset):  # in an order that depends on neither paths nor the process
            elements.sort(key=lambda pair: json.dumps(self._content(*pair), sort_keys=True, default=str))
        made = [self._one(each, below, (*place, k), False) for k, (each, below) in enumerate(elements)]
        return [None if each is _ABSENT else each for each in made]

    def _in_map(self, value: Any, dumped: dict[str, Any], place: tuple[str | int, ...]) -> dict[str, Any]:
        names = list(dumped)
        for number, part in enumerate(parts(value)):
            if isinstance(part.key, Path):
                raise UserError(
                    f"option {place_of(place)}: {part.key} is a path in the place of a key",
                    hint="write paths as values",
                )
            # The keys of a map are texts in JSON; the order is the same. A field may be left out of the JSON.
            key = names[number] if isinstance(value, Mapping) else str(part.key)
            if key in dumped:
                made = self._one(part.value, dumped[key], (*place, key), part.stated)
                if made is _ABSENT:
                    del dumped[key]
                else:
                    dumped[key] = made
        return dumped

    def _one(self, value: Any, dumped: Any, place: tuple[str | int, ...], stated: bool) -> Any:
        value = unwrapped(value)
        if not isinstance(value, Path):
            return self.walk(value, dumped, place)
        self.paths[place_of(place)] = str(value)
        return self._content(value, _ABSENT if stated else None)

    def _content(self, value: Any, dumped: Any) -> Any:
        """What stands for a path in the identity; `dumped` for any other value, and `_ABSENT` for a folder if it is
        that."""
        if not isinstance(value, Path):
            return dumped
        if value.is_file():
            return {"sha256": file_digests({"": value})[""]}
        if not value.is_dir() or dumped is _ABSENT or not self.folders:
            return _ABSENT
        listing = folder_listing(value)
        self.listings[listing.digest] = listing.content
        return {"folder": listing.digest}


def folder_listing(folder: Path) -> Listing:
    """The digests of all files in a folder by their relative name. Raises UserError as `folder_files`, or if a file
    cannot be read."""
    files, links = folder_files(folder)
    digests = file_digests(files)
    unreadable = next((name for name, digest in digests.items() if digest == UNREADABLE), None)
    if unreadable is not None:
        raise UserError(f"{folder / unreadable} cannot be read")
    return Listing.of(digests | links)


def folder_files(folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """The regular files in a folder by their relative name, with `/` between its parts; and what links to folders
    inside of it lead to.

    A link is followed only to a file inside of the folder. Raises UserError for a link that leads out of it, for a
    pipe, socket or device, for a folder that cannot be opened, and beyond `MAX_FILES`, `MAX_BYTES` and `MAX_DEPTH`.
    """
    top = folder.resolve()
    files: dict[str, Path] = {}
    links: dict[str, str] = {}
    size = 0
    for entry in _entries(top):
        path = Path(entry.path)
        name = path.relative_to(top).as_posix()
        if entry.is_dir():
            links[name] = f"-> {path.resolve().relative_to(top).as_posix()}"
        else:
            size += entry.stat().st_size
            files[name] = path
        if len(files) + len(links) > MAX_FILES or size > MAX_BYTES:
            most = f"{MAX_BYTES / 1e9:g} GB" if size > MAX_BYTES else f"{MAX_FILES:,} files"
            raise UserError(
                f"the folder {folder} has more than {most}",
                hint="name a folder that contains only what the plugin reads",
            )
    return files, links


def _entries(top: Path) -> Iterator[os.DirEntry[str]]:
    """The files below a folder, and the links to files and folders inside of it."""
    waiting = [(top, 0)]
    while waiting:
        folder, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise UserError(f"the folder {top} is more than {MAX_DEPTH} levels deep, at {folder}")
        try:
            with os.scandir(folder) as scanned:
                inside = [entry for entry in scanned if entry.name not in PASSED_OVER]
        except OSError as error:
            raise UserError(f"the folder {folder} cannot be opened: {error.strerror}") from error
        for entry in inside:
            if entry.is_dir(follow_symlinks=False):
                waiting.append((Path(entry.path), depth + 1))
                continue
            if entry.is_symlink() and not Path(entry.path).resolve().is_relative_to(top):
                raise UserError(
                    f"{entry.path} is a link that leads out of the folder {top}",
                    hint="copy what it leads to into the folder",
                )
            if not (entry.is_file() or entry.is_dir()):
                raise UserError(
                    f"{entry.path} is neither a file nor a folder", hint="move it out of the folder"
                )
            yield entry
