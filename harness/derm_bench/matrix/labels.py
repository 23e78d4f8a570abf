"""Labels and the patterns that match them. `*` is the only wildcard; commas inside brackets belong to the label."""

from __future__ import annotations

import re
from typing import Any

from derm_bench.plain_text import printable

_LABEL = re.compile(r"[^/*,\[\]\s](?:[^/*,\[\]\x00-\x1f]*[^/*,\[\]\s])?(?:\[[^/*\[\]\x00-\x1f]*\])?")
# Labels become parts of the names of files, of which file systems allow 255 bytes.
MAX_BYTES = 200
_IN_LABEL = re.compile(r"[\w.+ -]{1,40}")


def is_label(text: str) -> bool:
    """Whether `text` can be part of a cell's name and of `--only`: no `/`, no `*`, no comma outside one pair of
    brackets, no control characters, not only dots, and at most `MAX_BYTES` in UTF-8."""
    plain = _LABEL.fullmatch(text) is not None and printable(text) == text
    return plain and bool(text.strip(".")) and len(text.encode()) <= MAX_BYTES


def in_label(value: Any, number: int) -> str:
    """A swept value as a label shows it: its text, or `#number` for a list, a map or a string that no label may
    have."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = str(value)
    return text if not isinstance(value, list | dict) and _IN_LABEL.fullmatch(text) else f"#{number}"


def matches(pattern: str, text: str) -> bool:
    """Whether all of `text` matches `pattern`, in which `*` is the only wildcard."""
    first, *rest = pattern.split("*")
    if not rest:
        return text == pattern
    *middle, last = rest
    if not text.startswith(first):
        return False
    # Taking each part at its first occurrence loses no match, and takes linear time where a regular expression with
    # many `.*` backtracks.
    at = len(first)
    for part in middle:
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(text) - at >= len(last) and text.endswith(last)


def split_commas(text: str) -> list[str]:
    """Splits `text` at commas outside square brackets."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character == "[") - (character == "]")
        if character == "," and depth <= 0:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]
