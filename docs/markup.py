"""Markdown: pages as lines, code, prose, rows of tables, and docstrings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

Lines = Iterator[str]


def page_text(lines: Lines) -> str:
    """The text of a page. Consecutive empty lines become one."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip("\n") + "\n"


def write_if_changed(path: Path, text: str) -> None:
    """Writes a page unless it is up to date, so that Sphinx reads it again only if it has changed."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def markdown(docstring: str) -> str:
    """A docstring with its indented examples fenced, so that they are highlighted."""
    lines: list[str] = []
    block: list[str] = []
    for line in [*docstring.splitlines(), "end"]:
        if line.startswith("    ") or (block and not line):
            block.append(line[4:])
            continue
        if block:
            code = "\n".join(block).strip("\n")
            lines += ["```python", code, "```", ""]
            block = []
        lines.append(line)
    return "\n".join(lines[:-1]).strip()


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def prose(text: str) -> str:
    """Escapes plain text for Markdown; text in backticks stays code."""
    parts = re.split(r"(`[^`]*`)", text)
    escaped = (part if part[:1] == "`" else re.sub(r"([*_<>\[\]\\])", r"\\\1", part) for part in parts)
    return "".join(escaped)


def row(*cells: str) -> str:
    return "| " + " | ".join(" ".join(cell.replace("|", "\\|").split()) for cell in cells) + " |"


def sentence(text: str) -> str:
    text = text.strip()
    return text and text[0].upper() + text[1:] + ("" if text.endswith((".", ":", ")")) else ".")
