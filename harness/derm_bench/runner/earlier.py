"""What finished stages of the store took, and which of them are like a planned one."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from derm_bench.plan.sorts import Sort, sort_of
from derm_bench.store import STAGE_FILE, Store

# Earlier stages that are looked at: enough for medians, few enough for a store of any size.
SAMPLE = 400
# The field of a stage's result that says how much work it was.
UNITS = {"fit": "updates", "train": "updates", "sample": "n", "decode": "images"}


class Earlier(NamedTuple):
    """What one finished stage took. `units`: its updates, or its images; None where it does not say."""

    seconds: float
    peak_mb: float
    megabytes: float
    units: float | None


class Experience:
    """Earlier stages by sort."""

    def __init__(self, stages: Mapping[Sort, Sequence[Earlier]]) -> None:
        self._exact = stages
        self._plugins: dict[tuple[str, str, str], list[Earlier]] = defaultdict(list)
        for sort, some in stages.items():
            self._plugins[sort[:3]] += some

    def __bool__(self) -> bool:
        return bool(self._exact)

    def of_sort(self, sort: Sort) -> Sequence[Earlier]:
        """Stages with the same options and size."""
        return self._exact.get(sort, ())

    def alike(self, sort: Sort) -> Sequence[Earlier]:
        """Stages with the same options and size, else those of the same plugin on such a device."""
        return self.of_sort(sort) or self._plugins.get(sort[:3], ())


def earlier_stages(store: Store, limit: int = SAMPLE) -> dict[Sort, list[Earlier]]:
    """What at most `limit` finished stages of the store took. Keys are digests, so any of them are a fair sample."""
    found: dict[Sort, list[Earlier]] = defaultdict(list)
    for folder in islice(_folders(store), limit):
        try:
            with open(f"{folder}/{STAGE_FILE}", "rb") as file:  # noqa: PTH123  (hundreds of them)
                document = json.loads(file.read())
            sort, one = _earlier(folder, document)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):  # spoiled, or just being removed
            continue
        found[sort].append(one)
    return found


def _folders(store: Store) -> Iterator[str]:
    try:
        for shelf in os.scandir(store.root / "objects"):
            yield from (folder.path for folder in os.scandir(shelf.path))
    except OSError:
        return


def _earlier(folder: str, document: Mapping[str, Any]) -> tuple[Sort, Earlier]:
    attempt, identity, result = document["attempt"], document["identity"], document["result"]
    size = sum(os.stat(f"{folder}/{name}").st_size for name in document["files"])  # noqa: PTH116
    units = result.get(UNITS.get(identity["kind"], ""))
    one = Earlier(float(attempt["seconds"]), float(attempt.get("peak_memory_mb") or 0), size / 2**20, units)
    return sort_of(identity), one
