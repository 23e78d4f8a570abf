"""Errors of a plugin's code where this process calls it: whose they are, and at which line."""

from __future__ import annotations

import contextlib
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from derm_bench.errors import UserError
from derm_bench.specs import SPEC_TYPES, PluginSpec


class PluginBug(UserError):
    """A plugin's code has raised an exception that is not for the user. The message names the plugin, its distribution
    and the line; the exception is the cause."""


@contextlib.contextmanager
def blaming(spec: PluginSpec, plugins: Any, doing: str) -> Iterator[None]:
    """Context manager around a call of a plugin's code, `doing` in words: turns an exception into a PluginBug. A
    UserError is passed on, as is an OSError of a built-in plugin, which is about the user's files.

    plugins: where the plugin was found, for its distribution.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        owner = next((one for one in getattr(plugins, "all", list)() if one.spec is spec), None)
        if isinstance(error, OSError) and owner is not None and owner.distribution == "derm-bench":
            raise
        kind = next((kind for kind, of_kind in SPEC_TYPES.items() if type(spec) is of_kind), "plugin")
        of = f" of {owner.distribution} {owner.version}" if owner is not None else ""
        raise PluginBug(
            f"{kind} '{spec.name}'{of}: {doing} raised {type(error).__name__}: {error}{_at(error, spec)}",
            hint="this is an error in the plugin; `derm-bench --debug ...` shows its traceback",
        ) from error


def _at(error: BaseException, spec: PluginSpec) -> str:
    """The place in the plugin's code where an exception was raised, to be appended to a message."""
    modules = {spec.create.partition(":")[0], spec.options.__module__}
    place = place_of(error, *(module.partition(".")[0] for module in modules))
    return f" ({place})" if place else ""


def place_of(error: BaseException, *packages: str) -> str:
    """`file:line` of the last call in the code of `packages` that an exception passed through, or else of its last
    call; empty if it has none."""
    files = [getattr(sys.modules.get(package), "__file__", None) for package in packages]
    roots = [Path(file).parent if Path(file).name == "__init__.py" else Path(file) for file in files if file]
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if any(Path(frame.filename).is_relative_to(root) for root in roots)]
    last = (own or frames)[-1:]
    return f"{last[0].filename}:{last[0].lineno}" if last else ""


def line_in(error: BaseException | None, file: Path) -> int | None:
    """The last line of `file` that an exception passed through, or the line of a syntax error in it; None if it did not
    pass through the file."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename) == file:
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == file]
    return lines[-1] if lines else None
