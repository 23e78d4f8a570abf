"""The results of the check as one JSON file and one Markdown table, written again after every step."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

JSON, TABLE = "results.json", "results.md"


def save(folder: Path, machine: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> None:
    """Write both files. Each one is replaced at once, so that a reader or a kill never sees half a file."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {"machine": dict(machine), "steps": [dict(entry) for entry in entries]}
    _replace(folder / JSON, json.dumps(document, indent=1) + "\n")
    _replace(folder / TABLE, table(machine, entries))


def table(machine: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the Markdown: the machine in one line, and one row per step."""
    lines = [
        f"# GPU check: {machine.get('card') or 'no card'}",
        "",
        ", ".join(f"{name} {value}" for name, value in machine.items() if name != "card"),
        "",
        "| step | status | s | ours | the plain script | ratio | notes |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *map(_row, entries)]) + "\n"


def folder_name(card: str) -> str:
    """Return the name of a card as a folder name: `NVIDIA H100 80GB HBM3` gives `nvidia-h100-80gb-hbm3`."""
    return re.sub(r"[^a-z0-9]+", "-", card.lower()).strip("-") or "no-card"


def _row(entry: Mapping[str, Any]) -> str:
    figures = entry["figures"]
    cells = [entry["title"], entry["status"], f"{entry['seconds']:.0f}"]
    cells += [_number(figures.get(name)) for name in ("ours", "baseline")]
    cells.append(f"**{figures['ratio']:.2f}**" if figures.get("ratio") else "-")
    cells.append("; ".join(filter(None, [entry["reason"], figures.get("notes", "")])) or "-")
    return "| " + " | ".join(cell.replace("|", "/").replace("\n", " ") for cell in cells) + " |"


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "-"


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    os.replace(partial, path)  # noqa: PTH105
