"""Which stages are alike: what one of them took, others of its sort will take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from derm_bench.plan.keys import canonical

# What decides what a unit of a stage's work costs. Seeds, budgets and how much data there is do not.
COSTLY = ("options", "size", "resize", "preprocess", "augment", "metrics", "reference")


class Sort(NamedTuple):
    """Stages of one sort cost alike, a unit of work for a unit of work. `detail`: options, size, precision."""

    kind: str
    plugin: str
    device: str
    detail: str


def sort_of(identity: Mapping[str, Any]) -> Sort:
    """The sort of a stage; evaluations are as their classifier is, samples as their generator."""
    params, numerics = identity["params"], identity.get("numerics", {})
    name = params.get("classifier") or params.get("generator") or params.get("dataset") or ""
    plugin = name if isinstance(name, str) else canonical(name)
    detail = {field: params[field] for field in COSTLY if field in params}
    if isinstance(detail.get("options"), Mapping):
        detail["options"] = {key: value for key, value in detail["options"].items() if key != "budget"}
    detail |= {field: numerics.get(field) for field in ("precision", "threads")}
    return Sort(identity["kind"], plugin, numerics.get("device", ""), canonical(detail))
