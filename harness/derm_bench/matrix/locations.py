"""Where each value of a matrix was written: a line of the file, a preset, `--set`, or a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from derm_bench.errors import UserError
from derm_bench.yamlio import Document, KeyPath


@dataclass(frozen=True)
class Written:
    """Where an overridden value comes from: `text` names it in messages, `at` is its key path in the file (None for
    `--set`)."""

    text: str
    at: KeyPath | None = None


@dataclass
class Locations:
    """The locations of all values: those in the file, and those that presets and `--set` have overridden. Key paths are
    those after `dataset:` became `datasets.0`."""

    document: Document
    file: Path
    overrides: dict[KeyPath, Written] = field(default_factory=dict)
    aliases: dict[KeyPath, KeyPath] = field(default_factory=dict)

    def written(self, path: KeyPath) -> tuple[KeyPath, Written] | None:
        """The most specific override that contains `path`, with its own key path; None without one."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.overrides:
                return path[:end], self.overrides[path[:end]]
        return None

    def base(self, path: KeyPath) -> Path:
        """The folder that a relative path at `path` starts from: the folder of the file, or the current one for
        `--set`."""
        found = self.written(path)
        return Path.cwd() if found and found[1].at is None else self.file.parent

    def error(self, message: str, path: KeyPath, hint: str = "") -> UserError:
        """A UserError for the value at `path`, with the file, key path and line where it was written."""
        found = self.written(path)
        if found is None:
            return UserError(message, file=self.file, path=path, line=self.line(path), hint=hint)
        top, origin = found
        if origin.at is None:
            return UserError(f"{message} (from {origin.text})", path=path, hint=hint)
        line = self.document.line((*origin.at, *path[len(top) :]))
        return UserError(f"{message} (from {origin.text})", file=self.file, path=path, line=line, hint=hint)

    def line(self, path: KeyPath) -> int | None:
        """The line of `path` in the file, counted from 1; None where it is not known."""
        for resolved, written in self.aliases.items():
            if path[: len(resolved)] == resolved:
                path = written + path[len(resolved) :]
        return self.document.line(path)


@dataclass(frozen=True)
class Where:
    """A key path in the matrix. `swept` maps the path of a swept value to the path under `sweep` where it was
    written."""

    path: KeyPath = ()
    swept: Mapping[KeyPath, KeyPath] = field(default_factory=dict)

    def child(self, *keys: str | int) -> Where:
        """The place of the value under `keys`."""
        path = self.path + keys
        for end in range(len(path), len(self.path), -1):
            if path[:end] in self.swept:
                return Where(self.swept[path[:end]] + path[end:])
        return Where(path, self.swept)


@dataclass(frozen=True)
class Problem:
    """An error at a key path of the resolved matrix. Options of plugins have the paths that they are written at.
    `cause` is the exception of a plugin behind it, if there is one."""

    path: KeyPath
    message: str
    hint: str = ""
    cause: BaseException | None = field(default=None, compare=False)
