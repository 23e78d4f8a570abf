"""File names made of labels: of plain characters, of bounded length, and never two alike in one folder."""

from __future__ import annotations

import unicodedata

MAX_BYTES = 200
"""The longest name in bytes of UTF-8, its suffix included; file systems take 255."""


class FileNames:
    """Gives the files of one folder their names.

        names = FileNames()
        names.of("dcgan", "mel", "last", suffix=".png")    # dcgan__mel__last.png
        names.of("dcgan", "MEL", "last", suffix=".png")    # dcgan__MEL__last-2.png

    Labels that become equal as file names get a number, also where only the case differs, which some file systems do
    not keep apart. The same labels in the same order always give the same names. Names are for people: what a file
    shows stands in the index beside it, and nobody reads it out of the name.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, *labels: str, suffix: str = "") -> str:
        """A name, not given before, of `labels` joined by two underscores."""
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
    """Letters and digits of any script stay; what file systems or shells treat specially becomes an underscore."""
    composed = unicodedata.normalize("NFC", label)
    plain = "".join(c if c.isalnum() or c in "-_.+=@" else "_" for c in composed)
    return f"_{plain[1:]}" if plain[:1] in (".", "-") else plain or "_"


def _cut(stem: str, size: int) -> str:
    return stem.encode()[:size].decode(errors="ignore")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name.casefold())
