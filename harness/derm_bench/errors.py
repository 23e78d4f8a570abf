"""Errors for users: what is wrong, where, and what would be valid."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path


class UserError(Exception):
    """The input is wrong. The command line prints it without a traceback and exits with 2.

    `path` is a key path (`("datasets", 0, "root")`), `line` counts from 1.
    """

    def __init__(
        self,
        message: str,
        *,
        file: Path | str | None = None,
        path: Sequence[str | int] = (),
        line: int | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = Path(file) if file is not None else None
        self.path = tuple(path)
        self.line = line
        self.hint = hint

    def __str__(self) -> str:
        where = str(self.file) if self.file else ""
        if self.line is not None:
            where += f":{self.line}"
        parts = [where, dotted(self.path), self.message]
        text = ": ".join(part for part in parts if part)
        return f"{text}\n  {self.hint}" if self.hint else text


MAX_WORD, MAX_WORDS, MAX_LISTED = 200, 2000, 50
"""Longest word and most valid words that are compared for a hint, and most valid words that a hint lists."""

MAX_SHOWN = 10
"""Errors that are printed in full; the rest are counted."""


class UserErrors(UserError):
    """Several errors of one input, reported together so that they can be corrected at once.

    The text shows an error that occurs at many places once, with the number of other places, and at most ten different
    errors; `errors` holds them all.
    """

    def __init__(self, errors: Sequence[UserError]) -> None:
        super().__init__("\n".join(_merged(errors)))
        self.errors = list(errors)

    def __str__(self) -> str:
        return self.message


def _merged(errors: Sequence[UserError]) -> list[str]:
    """The text of each different error, at most ten, and how many more there are."""
    same: dict[tuple[str, str], list[UserError]] = {}
    for error in errors:
        same.setdefault((error.message, error.hint), []).append(error)
    shown = []
    for alike in list(same.values())[:MAX_SHOWN]:
        others = len(alike) - 1
        places = f" (and at {others} more place{'s' if others > 1 else ''})" if others else ""
        first, newline, hint = str(alike[0]).partition("\n")
        shown.append(f"{first}{places}{newline}{hint}")
    left = len(same) - MAX_SHOWN
    return [*shown, f"and {left} more error{'s' if left > 1 else ''}"] if left > 0 else shown


class Waiting(Exception):
    """A stage needs a person before it can go on, for example to sort images into folders. The message is the
    instruction. It is not a failure: every run tries the stage again, and stages that need it are skipped with the
    instruction."""


class NoValue(Exception):
    """A metric of images has no value for these images, for example because they are too few. The message is the
    reason, which `fidelity.csv` has as the note of the row. It is not a failure."""


class Diverged(Exception):
    """Training has produced NaN, infinity or a collapsed generator. The stage is recorded as `diverged`.

    `curve` holds the last points of the training curves, each `[step, metric, value]`.
    """

    def __init__(self, message: str, *, curve: Sequence[Sequence[int | str | float]] = ()) -> None:
        super().__init__(message)
        self.curve = [list(row) for row in curve]


def dotted(path: Iterable[str | int]) -> str:
    """Joins a key path as `--set` takes it: `("datasets", 0, "root")` becomes `datasets.0.root`."""
    return ".".join(str(part) for part in path)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint with the nearest valid word, or with the valid words (at most fifty) if none is near."""
    names = sorted(set(known))
    # The search for the nearest word takes seconds for thousands of words or for a word of a megabyte.
    small = len(word) <= MAX_WORD and len(names) <= MAX_WORDS
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.6) if small else []
    if close:
        return f"did you mean '{close[0]}'?"
    if not names:
        return "nothing is valid here"
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return "valid here: " + ", ".join(names[:MAX_LISTED]) + more
