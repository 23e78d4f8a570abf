"""Where each value of a matrix was written: a line of the file, a preset, `--set`, or a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from derm_bench.errors import UserError
from derm_bench.yamlio import Document, KeyPath


@dataclass(frozen=True)
class Written:
    """A value written elsewhere than where it counts. `at`: its key path in the file; None from `--set`."""

    text: str
    at: KeyPath | None = None


@dataclass
class Source:
    """The file and what was laid over it. Key paths are those after `dataset:` became `datasets.0`."""

    document: Document
    file: Path
    overrides: dict[KeyPath, Written] = field(default_factory=dict)
    aliases: dict[KeyPath, KeyPath] = field(default_factory=dict)

    def written(self, path: KeyPath) -> tuple[KeyPath, Written] | None:
        """The override that `path` stands in, the most specific one."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.overrides:
                return path[:end], self.overrides[path[:end]]
        return None

    def base(self, path: KeyPath) -> Path:
        """The folder that a path value is relative to: the file's, or the current one for `--set`."""
        found = self.written(path)
        return Path.cwd() if found and found[1].at is None else self.file.parent

    def error(self, message: str, path: KeyPath, hint: str = "") -> UserError:
        found = self.written(path)
        if found is None:
            return UserError(message, file=self.file, path=path, line=self.line(path), hint=hint)
        top, origin = found
        if origin.at is None:
            return UserError(f"{message} (from {origin.text})", path=path, hint=hint)
        line = self.document.line((*origin.at, *path[len(top) :]))
        return UserError(f"{message} (from {origin.text})", file=self.file, path=path, line=line, hint=hint)

    def line(self, path: KeyPath) -> int | None:
        for resolved, written in self.aliases.items():
            if path[: len(resolved)] == resolved:
                path = written + path[len(resolved) :]
        return self.document.line(path)


@dataclass(frozen=True)
class Where:
    """A place in the matrix. `swept` leads from a swept place to the sweep value that stands there."""

    path: KeyPath = ()
    swept: Mapping[KeyPath, KeyPath] = field(default_factory=dict)

    def child(self, *keys: str | int) -> Where:
        path = self.path + keys
        for end in range(len(path), len(self.path), -1):
            if path[:end] in self.swept:
                return Where(self.swept[path[:end]] + path[end:])
        return Where(path, self.swept)


@dataclass(frozen=True)
class Problem:
    """Something wrong at a key path of the resolved matrix (plugin options flat, as they are written)."""

    path: KeyPath
    message: str
    hint: str = ""
