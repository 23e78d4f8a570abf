"""The rows of pairs.csv: McNemar's and DeLong's tests of each pair of trained models that a comparison is made of.

They are about two trained models, and valid for independent images of one test set: of each lesion or patient one image
is taken, the first by id, and pairs that were scored on different images have no test. They say nothing about other
seeds, so that no verdict uses them.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from derm_bench.rundir.arms import COLUMNS, ArmName, Arms
from derm_bench.scoring.predictions import Predictions
from derm_bench.stats.pair_of_models import delong, mcnemar

if TYPE_CHECKING:
    from derm_bench.rundir.cell_predictions import PredictionSource

MCNEMAR, DELONG = "mcnemar", "delong"
OTHER_IMAGES = "the two models were scored on different images"
FEW = "fewer than two images of the class, or of the others"
KEPT = 256
"""Cells whose predictions are kept while the pairs are gone through, as a baseline is in many."""


def pair_rows(
    arms: Arms, versus: Mapping[ArmName, Sequence[tuple[str, ArmName]]], source: PredictionSource
) -> Iterator[dict[str, Any]]:
    """Yield the rows: for each comparison and each pair of finished runs with predictions, one of McNemar's test and
    one of DeLong's test per class (of two classes the last, as both have the same area)."""

    @functools.lru_cache(KEPT)
    def read(cell: str, test_set: str) -> tuple[tuple[str, ...], Predictions] | None:
        found = source.of(cell, test_set)
        if found is None:
            return None
        first: dict[str, int] = {}
        for i, (group, name) in enumerate(zip(found.groups, found.ids, strict=True)):
            first.setdefault(group or name, i)
        kept, p = list(first.values()), found.predictions
        return tuple(found.ids[i] for i in kept), Predictions(p.labels[kept], p.proba[kept], p.classes)

    for arm, others in versus.items():
        for label, base in others:
            _, runs = arms.both(arm, base, "accuracy")  # which every finished run has
            for cell, other in runs.cells:
                one, two = read(cell, arm[2]), read(other, base[2])
                if one is None or two is None:
                    continue
                head = dict(zip(COLUMNS, arm, strict=True)) | {"baseline": label, "cell": cell}
                same = one[0] == two[0] and one[1].classes == two[1].classes
                tests = _tests(one[1], two[1]) if same else [_none(MCNEMAR, "", OTHER_IMAGES)]
                yield from (head | {"baseline_cell": other, "n_images": len(one[0])} | test for test in tests)


def _none(test: str, label: str, note: str) -> dict[str, Any]:
    unknown = dict.fromkeys(("value", "baseline_value", "p_value"), math.nan)
    return {"test": test, "class": label, **unknown, "note": note}


def _tests(one: Predictions, two: Predictions) -> Iterator[dict[str, Any]]:
    hits = [p.proba.argmax(1) == p.labels for p in (one, two)]
    a, b, p_value = mcnemar(*hits)
    values = {"value": a, "baseline_value": b, "p_value": p_value}
    yield {"test": MCNEMAR, "class": "", **values, "note": ""}
    first = len(one.classes) - 1 if len(one.classes) == 2 else 0
    for k, label in list(enumerate(one.classes))[first:]:
        positive = one.labels == k
        if min(positive.sum(), (~positive).sum()) < 2:
            yield _none(DELONG, label, FEW)
            continue
        found = delong(positive, one.proba[:, k], two.proba[:, k])
        values = {"value": found.first, "baseline_value": found.second, "p_value": found.p_value}
        note = "the areas differ without variance" if math.isnan(found.p_value) else ""
        yield {"test": DELONG, "class": label, **values, "note": note}
