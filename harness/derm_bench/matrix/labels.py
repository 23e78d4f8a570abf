"""Labels and the patterns that match them: only `*` is wild, commas inside brackets belong to the label."""

from __future__ import annotations

import re
from typing import Any

_LABEL = re.compile(r"[^/*,\[\]\s](?:[^/*,\[\]\x00-\x1f]*[^/*,\[\]\s])?(?:\[[^/*\[\]\x00-\x1f]*\])?")
_IN_LABEL = re.compile(r"[\w.+ -]{1,40}")


def is_label(text: str) -> bool:
    """Whether `text` can stand in a cell's name and in `--only`: no `/`, `*`, comma outside one bracket."""
    return len(text) <= 200 and _LABEL.fullmatch(text) is not None


def in_label(value: Any, number: int) -> str:
    """A swept value in a label: itself, or `#number` for a list, a map or a string that does not fit."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = str(value)
    return text if not isinstance(value, list | dict) and _IN_LABEL.fullmatch(text) else f"#{number}"


def matches(pattern: str, text: str) -> bool:
    """Whether all of `text` matches `pattern`, in which only `*` is wild (not brackets, not `?`)."""
    return (
        re.fullmatch(".*".join(re.escape(part) for part in pattern.split("*")), text, re.DOTALL) is not None
    )


def split_commas(text: str) -> list[str]:
    """Splits at commas outside square brackets."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += (character == "[") - (character == "]")
        if character == "," and depth <= 0:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]
