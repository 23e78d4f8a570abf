"""File names made from labels, with plain characters, bounded length, and no two equal names in one folder."""

from __future__ import annotations

import unicodedata

MAX_BYTES = 200
"""The maximum length of a name in bytes of UTF-8, including its suffix; file systems permit 255."""


class FileNames:
    """Names the files of one folder.

        names = FileNames()
        names.of("dcgan", "mel", "last", suffix=".png")    # dcgan__mel__last.png
        names.of("dcgan", "MEL", "last", suffix=".png")    # dcgan__MEL__last-2.png

    Labels that give equal file names are numbered, also if they differ only in case, which some file systems do not
    distinguish. The same labels in the same order always give the same names. Names are for people: programs read the
    content of a file from the index beside it and not from its name.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, *labels: str, suffix: str = "") -> str:
        """A new name, made of `labels` joined by two underscores."""
        stem = _plain("__".join(labels))
        name = _cut(stem, MAX_BYTES - len(suffix)) + suffix
        number = 1
        while _folded(name) in self._taken:
            number += 1
            end = f"-{number}{suffix}"
            name = _cut(stem, MAX_BYTES - len(end)) + end
        self._taken.add(_folded(name))
        return name


def _plain(label: str) -> str:
    """Keeps letters and digits of any script; characters that file systems or shells treat specially become `_`."""
    composed = unicodedata.normalize("NFC", label)
    plain = "".join(c if c.isalnum() or c in "-_.+=@" else "_" for c in composed)
    return f"_{plain[1:]}" if plain[:1] in (".", "-") else plain or "_"


def _cut(stem: str, size: int) -> str:
    return stem.encode()[:size].decode(errors="ignore")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())
