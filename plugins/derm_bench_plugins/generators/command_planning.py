"""The functions of `command` that planning calls: problems, digests of the program, and the command lines of a fit.

Imports no torch, because the parent process imports this module.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from derm_bench.errors import UserError
from derm_bench.fingerprint import file_digests
from derm_bench.specs import Provenance
from derm_bench_plugins.generators.command_line import filled, placeholders
from derm_bench_plugins.generators.tree_digest import tree_digest

if TYPE_CHECKING:
    from derm_bench_plugins.generators.specs.command import CommandOptions

MAX_PROGRAM_FILES, MAX_PROGRAM_DEPTH = 20_000, 32
"""Files and folders, and levels of folders, that the folder of a program may have."""


def preflight(options: CommandOptions) -> Iterator[str]:
    """Yield the problems of `argv`: a program that is not found, and relative paths of files, which would not be found
    because the program runs in another folder."""
    if not options.argv:
        yield "argv is empty; write the program and its arguments as a list"
        return
    name = _with_program(options)[0]
    if "/" in name and not Path(name).is_absolute():
        yield f"argv starts with '{name}', a relative path; {_hint(name)}"
    elif shutil.which(name) is None:
        yield f"there is no program '{name}'" + ("" if "/" in name else " on the PATH")
    for word in options.argv[1:]:
        if not Path(word).is_absolute() and Path(word).is_file():
            yield f"'{word}' is a relative path of a file, but the program runs in another folder; {_hint(word)}"


def lines(options: CommandOptions, classes: tuple[str, ...], size: int, seed: int) -> list[list[str]]:
    """Return the command line of a fit on `classes`, with {train} and {out} left as they are."""
    return [filled(options.argv, placeholders(options.samples_per_fit, options.program, classes, size, seed))]


def digests(options: CommandOptions) -> dict[str, str]:
    """Return the digests of the executable, of `program`, and of the files that argv names by an absolute path."""
    argv = _with_program(options)
    program = shutil.which(argv[0]) if argv else None
    named = {"argv.0": Path(program)} if program else {}
    words = dict(enumerate(options.argv[1:], start=1))
    named |= {f"argv.{k}": Path(word) for k, word in words.items() if Path(word).is_absolute()}
    found = file_digests({name: path for name, path in named.items() if path.is_file()})
    if options.program is not None and options.program.is_dir():
        found["program"] = tree_digest(_code_below(options.program))
    return found


def count(options: CommandOptions) -> int:
    """Return the number of images of each class."""
    return options.samples_per_fit


def provenance(options: CommandOptions) -> Provenance:
    """Return a statement that names the program that made the images."""
    name = Path(options.argv[0]).name if options.argv else "nothing"
    return Provenance(f"made by the external program {name}, which was given training images")


def _with_program(options: CommandOptions) -> list[str]:
    return filled(options.argv, {} if options.program is None else {"program": options.program})


def _hint(word: str) -> str:
    return f"set `program` to its folder and write {{program}}/{Path(word).name}"


def _code_below(folder: Path) -> dict[str, Path]:
    """Return the files of a program by their path below `folder`, without hidden files and Python's caches.

    Raises UserError for a folder in it that cannot be opened, since a change there would go unseen, and for more files,
    folders or levels than a program has.
    """
    found: dict[str, Path] = {}
    folders = files = 0
    for place, inner, names in os.walk(folder, onerror=_closed):
        inner[:] = [name for name in inner if not name.startswith(".") and name != "__pycache__"]
        paths = [Path(place, name) for name in names if not name.startswith(".") and name != "__pycache__"]
        found |= {path.relative_to(folder).as_posix(): path for path in paths if os.path.isfile(path)}  # noqa: PTH113
        folders, files = folders + len(inner), files + len(paths)
        if max(folders, files) > MAX_PROGRAM_FILES:
            raise UserError(
                f"{folder} contains more than {MAX_PROGRAM_FILES:,} files, or folders", hint=_NARROWER
            )
        if inner and len(Path(place).relative_to(folder).parts) >= MAX_PROGRAM_DEPTH:
            raise UserError(
                f"{folder} has more than {MAX_PROGRAM_DEPTH} folders inside each other", hint=_NARROWER
            )
    return found


_NARROWER = "set `program` to a folder that contains only the code"


def _closed(error: OSError) -> None:
    reason = (error.strerror or str(error)).lower()
    raise UserError(f"the folder {error.filename} of the program cannot be opened: {reason}", hint=_NARROWER)
