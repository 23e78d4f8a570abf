"""Groups stages of similar cost: the time that one of them took is the estimate for the others of its group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from derm_bench.plan.keys import canonical

# The parameters that determine the cost of one unit of a stage's work. Seeds, budgets and amounts of data do not.
COSTLY = ("options", "size", "resize", "preprocess", "augment", "metrics", "reference", "function")


class CostClass(NamedTuple):
    """A class of stages that take about the same time per unit of work. `detail`: options, size and precision."""

    kind: str
    plugin: str
    device: str
    detail: str


def cost_class(identity: Mapping[str, Any]) -> CostClass:
    """The cost class of a stage. Evaluations are classed by their classifier, samples by their generator."""
    params, numerics = identity["params"], identity.get("numerics", {})
    name = params.get("classifier") or params.get("generator") or params.get("dataset") or ""
    plugin = name if isinstance(name, str) else canonical(name)
    detail = {field: params[field] for field in COSTLY if field in params}
    detail |= {field: numerics.get(field) for field in ("precision", "threads")}
    return CostClass(identity["kind"], plugin, numerics.get("device", ""), canonical(detail))
