"""The findings of an audit as they are stored, read and judged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from derm_bench.errors import UserError

AUDIT_FILE = "audit.json"
"""The output file of the audit stage."""


def judged(findings: Sequence[Mapping[str, Any]], permits: Sequence[str]) -> list[dict[str, Any]]:
    """The findings, with each stop that a permit covers as a warning that names the permit; stops first."""
    order = ("stop", "warning", "note")
    found = [_judged(one, permits) for one in findings]
    return sorted(found, key=lambda one: order.index(one["severity"]))


def _judged(one: Mapping[str, Any], permits: Sequence[str]) -> dict[str, Any]:
    if one["severity"] != "stop" or one["permit"] not in permits:
        return dict(one)
    said = f"{one['sentence']} (permitted by {one['permit']})"
    return {**one, "severity": "warning", "sentence": said}


def refuse_stops(findings: Sequence[Mapping[str, Any]], permits: Sequence[str]) -> None:
    """Raises UserError, with one sentence for each stop that no permit covers, and the permits that would."""
    stops = [one for one in judged(findings, permits) if one["severity"] == "stop"]
    if not stops:
        return
    needed = dict.fromkeys(str(one["permit"]) for one in stops)
    raise UserError(
        ". ".join(str(one["sentence"]) for one in stops),
        hint=f"correct the data or the split; to reproduce a study that had this, write protocol: "
        f"{{name: paper, allow: "
        f"[{', '.join(needed)}]}}",
    )
