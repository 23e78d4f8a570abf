"""Which stages cost alike: what one of them took, others like it will take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from derm_bench.plan.keys import canonical

# The parameters that decide what a unit of a stage's work costs. Seeds, budgets and amounts of data do not.
COSTLY = ("options", "size", "resize", "preprocess", "augment", "metrics", "reference", "function")


class CostClass(NamedTuple):
    """Stages of one cost class cost alike, one unit of work for another. `detail`: options, size, precision."""

    kind: str
    plugin: str
    device: str
    detail: str


def cost_class(identity: Mapping[str, Any]) -> CostClass:
    """The cost class of a stage; evaluations go by their classifier, samples by their generator."""
    params, numerics = identity["params"], identity.get("numerics", {})
    name = params.get("classifier") or params.get("generator") or params.get("dataset") or ""
    plugin = name if isinstance(name, str) else canonical(name)
    detail = {field: params[field] for field in COSTLY if field in params}
    detail |= {field: numerics.get(field) for field in ("precision", "threads")}
    return CostClass(identity["kind"], plugin, numerics.get("device", ""), canonical(detail))
