"""Time, memory and size of finished stages in the store, by cost class."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from derm_bench.forecast.costs import Costs
from derm_bench.plan.alike import CostClass, cost_class
from derm_bench.plan.kinds import KINDS
from derm_bench.regular_files import read_regular
from derm_bench.stage_names import STAGE_FILE
from derm_bench.store import Store
from derm_bench.store.stage_files import STAGE_BYTES

# Number of finished stages that are read: enough for medians, and quick for a store of any size.
LOOKED_AT = 400


class Took(NamedTuple):
    """Time, memory and size of one finished stage. `units` is its amount of work in the unit of its kind, None if
    unknown. `per_unit` are the seconds per unit and `fixed` the others: start-up, evaluations, writing. `cost` is that
    of one unit (`Costs.per_unit`)."""

    seconds: float
    peak_mb: float
    megabytes: float
    units: float | None
    fixed: float = 0.0
    per_unit: float | None = None
    cost: float | None = None


class Past:
    """Finished stages by cost class."""

    def __init__(self, stages: Mapping[CostClass, Sequence[Took]]) -> None:
        self._exact = stages
        self._plugins: dict[tuple[str, str, str], list[Took]] = defaultdict(list)
        for group, some in stages.items():
            self._plugins[group[:3]] += some

    def __bool__(self) -> bool:
        return bool(self._exact)

    def of_class(self, group: CostClass) -> Sequence[Took]:
        """Stages with the same options and size."""
        return self._exact.get(group, ())

    def alike(self, group: CostClass) -> Sequence[Took]:
        """Stages with the same options and size, else those of the same plugin on the same type of device."""
        return self.of_class(group) or self._plugins.get(group[:3], ())


def finished_stages(
    store: Store, limit: int = LOOKED_AT, costs: Costs | None = None
) -> dict[CostClass, list[Took]]:
    """Reads at most `limit` finished stages of the store. Keys are digests, so the first ones are a random sample."""
    costs = costs or Costs()
    found: dict[CostClass, list[Took]] = defaultdict(list)
    for folder in islice(_folders(store), limit):
        try:
            document = json.loads(read_regular(f"{folder}/{STAGE_FILE}", STAGE_BYTES))
            group, took = _took(folder, document, costs)
        except (
            OSError,
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
            RecursionError,
        ):  # corrupted, or being removed
            continue
        found[group].append(took)
    return found


def _folders(store: Store) -> Iterator[str]:
    try:
        for shelf in os.scandir(store.root / "objects"):
            yield from (folder.path for folder in os.scandir(shelf.path))
    except OSError:
        return


def _took(folder: str, document: Mapping[str, Any], costs: Costs) -> tuple[CostClass, Took]:
    attempt, identity, result = document["attempt"], document["identity"], document["result"]
    size = sum(os.stat(f"{folder}/{name}").st_size for name in document["files"])  # noqa: PTH116
    kind = KINDS.get(identity["kind"])
    units = result.get(kind.work.result) if kind is not None and kind.work is not None else None
    seconds = float(attempt["seconds"])
    fixed, per_unit = _parts(seconds, units, attempt.get("pace"))
    took = Took(seconds, float(attempt.get("peak_memory_mb") or 0), size / 2**20, units, fixed, per_unit)
    return cost_class(identity), took._replace(cost=costs.per_unit(identity))


def _parts(seconds: float, units: float | None, pace: Any) -> tuple[float, float | None]:
    """The fixed seconds of a stage, and those per unit of work. Without a pace all seconds count as work."""
    if not units:
        return 0.0, None
    if pace is None:
        return 0.0, seconds / units
    (first, began), (last, ended) = pace
    per_unit = max(0.0, (ended - began) / (last - first))
    # A stage that was resumed has begun with more work done than this attempt has.
    return max(0.0, began - per_unit * first) + max(0.0, seconds - ended), per_unit
