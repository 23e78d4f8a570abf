"""Stages that did not end well, in words: for the warnings of a run directory, and for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from derm_bench.attempts import FAILURES, RUN_ENDED

REPORTED = (*FAILURES, "interrupted", "waiting")
_SHOWN = 3
_LONGEST = 300
_LONGEST_ERROR = 4000


def failed_stages(statuses: Mapping[str, Mapping[str, Any]], rows: Collection[str]) -> list[str]:
    """One sentence per distinct failure of stages.

    statuses: status, error, title and cause of each stage that is not done, by key, as the manifest has them. rows: the
    keys of stages whose own failure is a row of results.csv already, which are left out.
    """
    needed_by = Counter(str(entry.get("cause", "")) for entry in statuses.values())
    alike: dict[tuple[str, str], list[str]] = {}
    for key, entry in statuses.items():
        if entry["status"] in REPORTED and entry["error"] != RUN_ENDED and key not in rows:
            alike.setdefault((entry["status"], entry["error"]), []).append(key)
    return [
        _sentence(status, error, [str(statuses[key].get("title") or key[:12])[:_LONGEST] for key in keys])
        + _consequence(sum(needed_by[key] for key in keys), len(keys))
        for (status, error), keys in alike.items()
    ]


def _sentence(status: str, error: str, titles: list[str]) -> str:
    named = ", ".join(f"'{title}'" for title in titles[:_SHOWN])
    others = len(titles) - _SHOWN
    more = f" and {others} other {'stage' if others == 1 else 'stages'}" if others > 0 else ""
    said = " ".join(error.split())
    said = said if len(said) <= _LONGEST_ERROR else f"{said[:_LONGEST_ERROR]}..."
    how = "waits for a person" if status == "waiting" else f"ended as {status}"
    return f"{named}{more} {how}: {said}".rstrip(": ")


def _consequence(skipped: int, failed: int) -> str:
    it = "it" if failed == 1 else "one of them"
    one, many = f"; 1 stage that needs {it} was skipped", f"; {skipped} stages that need {it} were skipped"
    return "" if not skipped else one if skipped == 1 else many
