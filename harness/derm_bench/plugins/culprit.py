"""Errors that a plugin's code raises where the parent calls it: whose they are, and at which line."""

from __future__ import annotations

import traceback
from pathlib import Path


def line_in(error: BaseException | None, file: Path) -> int | None:
    """The last line of `file` that an exception passed through, or the line of a syntax error in it; None if it did not
    pass through the file."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename) == file:
        return error.lineno
    frames = traceback.extract_tb(error.__traceback__) if error is not None else []
    lines = [frame.lineno for frame in frames if Path(frame.filename).resolve() == file]
    return lines[-1] if lines else None
