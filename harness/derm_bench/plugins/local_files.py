"""Plugins that are single Python files, which a user names with `--plugin FILE`: a first try without a package.

The folder of the file is put at the end of the import path, so that the file can import modules beside it. Nothing of
it can take the place of an installed module: a file that would be hidden by one is refused.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import keyword
import sys
from collections.abc import Sequence
from pathlib import Path

from derm_bench.errors import UserError

LOCAL = "local"
"""The version of a plugin that is a file. What is in it is part of keys by its digest."""

MAX_BYTES = 2**22
"""The largest file that is taken for a plugin."""

_files: dict[str, Path] = {}
"""The file of each module that was named as a plugin."""


def distinct(files: Sequence[Path]) -> list[Path]:
    """The files as absolute paths, each once. Raises UserError if one cannot be a plugin or two have the same name."""
    found: dict[str, Path] = {}
    for given in files:
        file = given.resolve()
        if not file.is_file():
            raise UserError(
                f"--plugin: {given.absolute()} is not a file", hint="expected a .py file with hooks"
            )
        if file.stat().st_size > MAX_BYTES:
            raise UserError(
                f"--plugin: {file} has more than {MAX_BYTES // 2**20} MiB, which is no Python file"
            )
        name = file.stem
        if file.suffix != ".py" or not name.isidentifier() or keyword.iskeyword(name):
            raise UserError(
                f"--plugin: {file.name} is not the name of a Python module",
                hint="for example my_gan.py: letters, digits and _ only",
            )
        if found.setdefault(name, file) != file:
            raise UserError(
                f"--plugin: {found[name]} and {file} have the same name", hint="rename one of the two"
            )
    return list(found.values())


def make_importable(file: Path) -> str:
    """Makes a file, and modules beside it, importable; returns the name of its module. Raises UserError if Python finds
    another module under that name."""
    name, folder = file.stem, str(file.parent)
    if _files.get(name, file) != file:
        _forget(_files[name].parent)
    _files[name] = file
    if folder not in sys.path:
        sys.path.append(folder)
    importlib.invalidate_caches()
    if _origin(name) != file:
        del _files[name]
        raise UserError(
            f"--plugin: the module '{name}' is another one ({_origin(name)})",
            hint=f"rename {file.name}, for example to my_{file.name}",
        )
    return name


def refuse_hidden(name: str) -> None:
    """Raises UserError if a file imports a module that lies beside it, and Python finds another one of that name."""
    file = _files[name]
    try:
        imported = _imported_names(file)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # which loading it reports
        return
    for module, there in imported:
        beside = (file.with_name(f"{module}.py"), file.parent / module / "__init__.py")
        own = next((path for path in beside if path.is_file()), None)
        if own is not None and _origin(module) not in beside:
            raise UserError(
                f"it imports '{module}', which is {_origin(module)} and not {own.name} beside it",
                file=file,
                line=there,
                hint="rename the module beside it",
            )


def _imported_names(file: Path) -> list[tuple[str, int]]:
    """The top-level names that a file imports, with their lines."""
    found = []
    for node in ast.walk(ast.parse(file.read_bytes(), str(file))):
        if isinstance(node, ast.Import):
            found += [(alias.name.partition(".")[0], node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append((node.module.partition(".")[0], node.lineno))
    return found


def _origin(module: str) -> Path | None:
    """The file that Python imports as this module."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin).resolve() if spec is not None and spec.origin else None


def _forget(folder: Path) -> None:
    """Forgets the modules of a folder, in a process that loads another file of the same name."""
    for name, file in [*_files.items()]:
        if file.parent == folder:
            del _files[name]
    for name, module in [*sys.modules.items()]:
        origin = getattr(module, "__file__", None)
        if origin and Path(origin).is_relative_to(folder):
            del sys.modules[name]
    while str(folder) in sys.path:
        sys.path.remove(str(folder))
