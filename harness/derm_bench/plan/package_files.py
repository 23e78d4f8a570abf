"""The files of import packages: those that are not source count with their content."""

from __future__ import annotations

import functools
from pathlib import Path

from derm_bench.errors import UserError
from derm_bench.fingerprint import file_digests

MAX_FILES = 20_000
# What only people, type checkers and the interpreter read.
_PASSED_OVER = frozenset({"__pycache__", "py.typed"})
_FOR_PEOPLE = ("readme", "license", "licence", "changelog", "changes", "authors", "contributing")
_NOT_DATA = (".py", ".pyc", ".pyi", ".pyo")


@functools.cache
def data_files(package: str, root: Path) -> dict[str, Path]:
    """The files inside of a top-level package that are not source, by their name: `my_gan/config.json`. Hidden files,
    links, and files for people such as README are left out. Raises UserError beyond `MAX_FILES`."""
    return {name: path for name, path in _files(package, root).items() if path.suffix not in _NOT_DATA}


def file_digests_of(package: str, root: Path) -> dict[str, str]:
    """The digests of all files of a package, source included, by their name."""
    kept = {name: path for name, path in _files(package, root).items() if path.suffix not in _NOT_DATA[1:]}
    return file_digests(kept)


def _files(package: str, root: Path) -> dict[str, Path]:
    if root.is_file():
        return {root.name: root}
    found: dict[str, Path] = {}
    waiting = [root]
    while waiting:
        for path in waiting.pop().iterdir():
            if path.name.startswith(".") or path.name in _PASSED_OVER or path.is_symlink():
                continue
            if path.is_dir():
                waiting.append(path)
            elif path.is_file() and not path.name.lower().startswith(_FOR_PEOPLE):
                found[f"{package}/{path.relative_to(root).as_posix()}"] = path
        if len(found) > MAX_FILES:
            raise UserError(
                f"the package {package} in {root} has more than {MAX_FILES:,} files",
                hint="keep data that a plugin reads in a folder of its own, and name it in an option of type Path",
            )
    return found
