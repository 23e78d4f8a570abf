"""Finds image files below folders, and says what it left out.

A reader names its folders and works with paths; what was ignored ends in the notes of its description::

    found = find_images(root, [root / "images", root / "images_2"])
    found.paths                   # absolute paths, sorted; strings, because there may be 400,000
    found.name(found.paths[0])    # the path below root, with `/`: an id
    description = DatasetDescription(..., notes=[*found.notes(), *matched.notes])

Links that the user put there are followed: links to files, and links to folders, each folder once. Folders that belong
to programs (`__MACOSX`, `@eaDir`), hidden files, thumbnails and byte-equal copies (`x (1).jpg` beside `x.jpg`) are set
aside and listed.
"""

from __future__ import annotations

import errno
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from derm_bench.errors import UserError
from derm_bench.fingerprint import UNREADABLE, file_digests
from derm_bench.imageio import MAX_BYTES, SUFFIXES
from derm_bench.specs import Note

MAX_ENTRIES = 2_000_000
"""The largest number of files and folders below a folder of images."""
MAX_DEPTH = 32
"""The largest number of folders inside each other."""

OF_PROGRAMS = frozenset(
    {
        "__macosx",
        "@eadir",
        "#recycle",
        "@recycle",
        "$recycle.bin",
        "system volume information",
        "lost+found",
        "__pycache__",
        "thumbs",
        "thumbnails",
    }
)
"""Names of folders, in lower case, that programs make beside images."""

_NOT_READ = frozenset(
    {
        ".heic",
        ".heif",
        ".avif",
        ".dcm",
        ".dicom",
        ".svg",
        ".psd",
        ".jp2",
        ".raw",
        ".dng",
        ".nef",
        ".cr2",
        ".arw",
    }
)
_ENDINGS = tuple(sorted(SUFFIXES))
_COPY = re.compile(r"(?: ?\(\d+\)| - copy(?: \(\d+\))?| copy(?: \d+)?)$", re.IGNORECASE)
_LIKE_A_COPY = re.compile(r"(?:\)| copy(?: \d+)?)\.[^./]*$", re.IGNORECASE)
NARROWER = "`root` must be the folder of the images and not one far above it"

HIDDEN = "hidden files and folders"
PROGRAMS = "folders that belong to a program or system"
UNSUPPORTED = "files in image formats that are not read"
OTHER = "files that are no images"
COPIES = "byte-equal copies of an image beside them"
BROKEN = "links that lead nowhere"
AGAIN = "links to a folder that is read already"


@dataclass
class Found:
    """Image files below `root`. `paths` are absolute, sorted and distinct. `ignored` has what was set aside, by reason,
    and `links` the links that were followed; both are paths below `root`."""

    root: Path
    paths: list[str] = field(default_factory=list)
    ignored: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    links: list[str] = field(default_factory=list)

    def name(self, path: str | Path) -> str:
        """Return a path below root as text, with `/` on every system. Bytes that are not UTF-8 become `\\xff`."""
        return below(self.root, path)

    def names(self) -> list[str]:
        """Return `name` of each path, in their order."""
        top = str(self.root).rstrip(os.sep) + os.sep
        if os.sep == "/" and all(map(str.isascii, self.paths)):
            return [path.removeprefix(top) for path in self.paths]
        return list(map(self.name, self.paths))

    @property
    def broken(self) -> list[str]:
        """Links with the name of an image that lead nowhere."""
        return self.ignored.get(BROKEN, [])

    def without(self, reason: str, paths: Iterable[str]) -> Found:
        """Return the search without some images, which are listed under `reason`."""
        left_out = set(paths)
        if not left_out:
            return self
        ignored = defaultdict(list, {why: list(names) for why, names in self.ignored.items()})
        ignored[reason] += [self.name(path) for path in self.paths if path in left_out]
        kept = [path for path in self.paths if path not in left_out]
        return Found(self.root, kept, ignored, self.links)

    def only_images(self, others: Iterable[str]) -> Found:
        """Return the search without paths that are no images, such as masks, and without listing them."""
        left_out = set(others)
        return Found(
            self.root, [path for path in self.paths if path not in left_out], self.ignored, self.links
        )

    def notes(self, used: Iterable[str | Path] = ()) -> list[Note]:
        """Return one note for each reason why something was set aside, and one for links that were followed. Files in
        `used`, such as the table, were not set aside."""
        known = {self.name(path) for path in used}
        left_out = {reason: sorted(set(names) - known) for reason, names in sorted(self.ignored.items())}
        notes = [Note(f"set aside: {reason}", names) for reason, names in left_out.items() if names]
        return [*notes, Note("links that were followed", sorted(self.links))] if self.links else notes


def below(root: Path, path: str | Path) -> str:
    """Return the part of a path below `root` as text that any table can hold; the whole path if it is not below it."""
    text, top = str(path), str(root).rstrip(os.sep) + os.sep
    text = text.removeprefix(top).replace(os.sep, "/")
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def find_images(root: Path, folders: Sequence[Path] | None = None, *, deep: bool = True) -> Found:
    """Return the images in `folders` (default: `root`), at any depth or, without `deep`, directly in them.

    Raises UserError if a folder cannot be opened, since its images would be missing without notice, and if there are
    more than `MAX_ENTRIES` files or `MAX_DEPTH` levels of folders.
    """
    search = _Search(Found(root), deep)
    for folder in [root] if folders is None else folders:
        search.walk(str(folder))
    search.refuse_closed()
    found = search.found
    found.paths = sorted(set(found.paths))
    return found.without(COPIES, _copies(found.paths))


class _Search:
    def __init__(self, found: Found, deep: bool) -> None:
        self.found, self.deep = found, deep
        self.seen = 0
        self.entered: set[tuple[int, int]] = set()
        self.closed: list[OSError] = []

    def walk(self, folder: str) -> None:
        """Enter a folder and those in it. Links come after folders, so that a folder keeps its own name if a link
        leads to it, too."""
        linked: list[tuple[str, int]] = []
        waiting = [(folder, 0)]
        while waiting or linked:
            place, depth = waiting.pop() if waiting else linked.pop()
            if not self._enter(place, place != folder):
                continue
            if depth > MAX_DEPTH:
                message = f"{folder} has more than {MAX_DEPTH} folders inside each other: {place}"
                raise UserError(message, hint=NARROWER)
            for inner, is_link in self._list(place):
                if self.deep:
                    (linked if is_link else waiting).append((inner, depth + 1))

    def _enter(self, place: str, nested: bool) -> bool:
        """Whether a folder is new. Each is entered once, so that links cannot lead round in a circle."""
        try:
            status = os.stat(place)  # noqa: PTH116
        except OSError as error:
            self.closed.append(error)
            return False
        identity = status.st_dev, status.st_ino
        if identity in self.entered:
            if nested:
                self.found.ignored[AGAIN].append(self.found.name(place))
            return False
        self.entered.add(identity)
        return True

    def _list(self, place: str) -> list[tuple[str, bool]]:
        """Sort the entries of a folder; return the folders in it, and whether each is a link."""
        inner = []
        try:
            with os.scandir(place) as listing:
                paths, seen = self.found.paths, self.seen
                for seen, entry in enumerate(listing, self.seen + 1):
                    if seen > MAX_ENTRIES:
                        raise too_many(place, MAX_ENTRIES)
                    if _is_plain_image(entry):  # nearly every entry
                        paths.append(entry.path)
                    elif self._is_folder(entry):
                        inner.append((entry.path, entry.is_symlink()))
                        if entry.is_symlink():
                            self.found.links.append(self.found.name(entry.path))
                self.seen = seen
        except OSError as error:
            self.closed.append(error)
        return inner

    def _is_folder(self, entry: os.DirEntry[str]) -> bool:
        """Whether an entry is a folder to enter. A file is entered among the images or those set aside."""
        name, found = entry.name, self.found
        suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122
        is_folder = _is_dir(entry)
        if name.startswith("."):
            if suffix in SUFFIXES or is_folder:
                found.ignored[HIDDEN].append(found.name(entry.path))
        elif is_folder:
            if name.lower() not in OF_PROGRAMS:
                return True
            found.ignored[PROGRAMS].append(found.name(entry.path))
        elif entry.is_symlink() and not os.path.exists(entry.path):  # noqa: PTH110
            found.ignored[BROKEN].append(found.name(entry.path))
        elif suffix in SUFFIXES:
            found.paths.append(entry.path)
            if entry.is_symlink():
                found.links.append(found.name(entry.path))
        elif name.lower() not in ("thumbs.db", "desktop.ini"):
            found.ignored[UNSUPPORTED if suffix in _NOT_READ else OTHER].append(found.name(entry.path))
        return False

    def refuse_closed(self) -> None:
        if self.closed:
            raise cannot_open(self.closed)


def _copies(paths: Sequence[str]) -> Iterator[str]:
    """The paths whose name is that of another image with `(1)` or `copy`, and whose bytes are the same."""
    together = "\n".join(paths).casefold()  # one search for hundreds of thousands of paths
    if ")." not in together and " copy" not in together:
        return
    named = [path for path in paths if _LIKE_A_COPY.search(path)]
    present = {path.lower(): path for path in paths}
    originals: dict[str, str] = {}
    for path in named:
        stem, dot, suffix = path.rpartition(".")
        original = _COPY.sub("", stem)
        if original != stem and (beside := present.get((original + dot + suffix).lower())) is not None:
            originals[path] = beside
    digests = file_digests({path: path for path in {*originals, *originals.values()}}, MAX_BYTES)
    for path, original in originals.items():
        if digests[path] == digests[original] != UNREADABLE:
            yield path


def _is_plain_image(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a file, and no link, with the name of an image."""
    name = entry.name
    return name[0] != "." and name.lower().endswith(_ENDINGS) and entry.is_file(follow_symlinks=False)


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def too_many(folder: str | Path, most: int) -> UserError:
    """Return the error for a folder with more than `most` entries."""
    return UserError(f"{folder} contains more than {most:,} files", hint=NARROWER)


def cannot_open(errors: Sequence[OSError]) -> UserError:
    """Return the error for folders that cannot be opened."""
    texts = sorted(f"{error.filename} ({_reason(error)})" for error in errors)
    more = f" and {len(texts) - 5} more" if len(texts) > 5 else ""
    listed = ", ".join(texts[:5]) + more
    return UserError(
        f"{len(errors)} folder{'s' * (len(errors) > 1)} cannot be opened: {listed}",
        hint="their images would be missing: make them readable, or move them out of `root`",
    )


def _reason(error: OSError) -> str:
    if error.errno == errno.ELOOP:
        return "links that lead round in a circle"
    return (error.strerror or str(error)).lower()
