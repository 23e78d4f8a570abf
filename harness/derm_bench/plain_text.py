"""Text of users and plugins made safe for terminals, tables and records; lists of names in sentences."""

from __future__ import annotations

import re
from collections.abc import Sequence

LONGEST = 10_000
"""The largest number of characters of a text that is recorded, such as an error message."""

NAMED = 4
"""The largest number of names in a sentence."""

# Control characters other than line breaks and tabs, characters that change the direction or the lines of what follows,
# and lone surrogates, which no file in UTF-8 can hold.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
# The first characters by which spreadsheets take a cell for a formula, also in their full-width forms.
_FORMULA = re.compile("'*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")


def printable(text: str) -> str:
    """The text with unsafe characters written as escapes (`\\x1b`, `\\udcff`). Line breaks and tabs are kept.

    A terminal would obey control characters: they can move the cursor, hide text or change the title.
    """
    return _UNSAFE.sub(_escape, text.replace("\r\n", "\n"))


def recorded(text: str, longest: int = LONGEST) -> str:
    """The text as it is recorded and written into tables: printable, and with at most about `longest` characters.

    The beginning and the end of a longer text are kept.
    """
    if len(text) > longest:
        head = longest * 3 // 4
        tail = longest - head
        text = f"{text[:head]} [... {len(text) - longest:,} characters left out ...] {text[-tail:]}"
    return printable(text)


def listed(names: Sequence[str]) -> str:
    """The names in a sentence: all of a few, else the first ones and the number of the others."""
    first, last = names[:NAMED], f"{len(names) - NAMED} more"
    if len(names) <= NAMED:
        first, last = names[:-1], names[-1] if names else ""
    return f"{', '.join(first)} and {last}" if first else last


def is_unicode(text: str) -> bool:
    """Whether the text has no lone surrogates, so that a file in UTF-8 can hold it."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def csv_cell(text: str) -> str:
    """The text as a cell of a CSV file. A text that a spreadsheet would take for a formula gets an apostrophe in front.

    So does such a text with apostrophes in front, so that `from_csv_cell` returns exactly the text.
    """
    return f"'{text}" if _FORMULA.match(text) else text


def from_csv_cell(cell: str) -> str:
    """The text of a cell that `csv_cell` made."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
