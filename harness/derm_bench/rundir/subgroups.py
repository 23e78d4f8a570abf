"""The rows of subgroups.csv: scores within the values of the attributes of test images, such as site, sex or age."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from derm_bench.plain_text import recorded
from derm_bench.rundir.arms import COLUMNS, ArmName, Arms, Runs, number
from derm_bench.rundir.cell_predictions import CellPredictions
from derm_bench.rundir.frames import Row
from derm_bench.rundir.sampled import deviations_of
from derm_bench.scoring.confusion_matrix import accuracy, balanced_accuracy
from derm_bench.scoring.intervals import t_interval
from derm_bench.scoring.predictions import Predictions
from derm_bench.scoring.ranking import auc_macro

if TYPE_CHECKING:
    import numpy as np

    from derm_bench.rundir.cell_predictions import PredictionSource
    from derm_bench.stats.test_images import Deviations

METRICS = {"accuracy": accuracy, "balanced_accuracy": balanced_accuracy, "auc_macro": auc_macro}
AGES = (0, 30, 45, 60, 75)
"""The lowest age of each band, in years."""

MOST_VALUES = 30
"""The most values of an attribute; one with more is an identifier, and no subgroups are made of it."""

FEW = 10
"""A subgroup has few images if a class has fewer lesions or patients in it."""

UNKNOWN = "unknown"
Key = tuple[str, str]


def subgroup_rows(results: Sequence[Row], source: PredictionSource) -> Iterator[dict[str, Any]]:
    """Yield the rows of subgroups.csv: one per arm, attribute, subgroup and metric, over the finished runs. Images
    without a value of the attribute are the subgroup `unknown`."""
    arms = Arms.of(results)
    for arm in arms.rows:
        runs = arms.of_arm(arm, "accuracy")  # which every finished run has
        found: dict[Key, dict[int, _Scores]] = {}
        for position, (cell,) in enumerate(runs.cells):
            predicted = source.of(cell, arm[2])
            for key, scores in ({} if predicted is None else _of_cell(predicted)).items():
                found.setdefault(key, {})[position] = scores
        head = dict(zip(COLUMNS, arm, strict=True))
        for (attribute, name), own in found.items():
            for metric in METRICS:
                summary = _summary(arms, arm, runs, own, metric)
                yield head | {"attribute": attribute, "subgroup": name, "metric": metric} | summary


@dataclass(frozen=True, eq=False)
class _Scores:
    """The scores of one run in a subgroup and how they vary with its images, by metric, and counts of its images."""

    values: Mapping[str, float]
    deviations: Mapping[str, Deviations | None]
    n_images: int
    n_groups: int
    n_rarest: int
    few: bool


def _summary(arms: Arms, arm: ArmName, runs: Runs, own: Mapping[int, _Scores], metric: str) -> dict[str, Any]:
    scores = list(own.values())
    row: dict[str, Any] = {
        "n_images": round(sum(run.n_images for run in scores) / len(scores)),
        "n_groups": round(sum(run.n_groups for run in scores) / len(scores)),
        "n_rarest": min(run.n_rarest for run in scores),
        "few": "few" if any(run.few for run in scores) else "",
    }
    known = [k for k, run in own.items() if not math.isnan(run.values[metric])]
    levels = {axis: [levels[k] for k in known] for axis, levels in runs.levels.items()}
    part = Runs([own[k].values[metric] for k in known], levels, [runs.cells[k] for k in known])
    found = arms.estimate_with(arm, part, [own[k].deviations[metric] for k in known])
    row |= {"n_seeds": len(part), "mean": t_interval(part.values)[0]}
    if found is not None:
        row["ci_low"], row["ci_high"] = found.interval(0.05, 0.0, 1.0)
    return row


def _of_cell(cell: CellPredictions) -> dict[Key, _Scores]:
    import numpy as np

    found: dict[Key, _Scores] = {}
    for attribute, column in cell.attributes.items():
        names = np.array([_named(attribute, value) for value in column], dtype=object)
        present = sorted(set(names), key=lambda name: _order(attribute, name))
        if len(present) > MOST_VALUES or present == [UNKNOWN]:
            continue
        for name in present:
            found[attribute, recorded(str(name))] = _scores(cell, np.flatnonzero(names == name))
    return found


def _scores(cell: CellPredictions, where: np.ndarray) -> _Scores:
    """The scores of the images `where`. Balanced accuracy and AUC are of the classes that the subgroup has; with one
    class they are undefined."""
    import numpy as np

    p = cell.predictions
    part = Predictions(p.labels[where], p.proba[where], p.classes)
    several = len(np.unique(part.labels)) > 1
    names = [cell.groups[i] or cell.ids[i] for i in where]
    groups: dict[int, set[str]] = {}
    for label, name in zip(part.labels, names, strict=True):
        groups.setdefault(int(label), set()).add(name)
    subset = CellPredictions([cell.ids[i] for i in where], names, part)
    defined = [name for name in METRICS if several or name == "accuracy"]
    return _Scores(
        {name: METRICS[name](part) if name in defined else math.nan for name in METRICS},
        {name: deviations_of(subset, name) if name in defined else None for name in METRICS},
        n_images=len(where),
        n_groups=len(set(names)),
        n_rarest=int(np.bincount(part.labels)[list(groups)].min()),
        few=min(map(len, groups.values())) < FEW or not several,
    )


def _named(attribute: str, value: Any) -> str:
    """The subgroup of an image, from the value of its attribute."""
    if attribute == "age":
        years = number(value)
        return UNKNOWN if years is None else _band(years)
    word = "" if value is None else f"{value:g}" if isinstance(value, float) else str(value).strip()
    return word or UNKNOWN


def _band(years: float) -> str:
    """The age band: `0-29`, `30-44`, `45-59`, `60-74` or `75+`."""
    last = max((k for k, low in enumerate(AGES) if years >= low), default=0)
    return f"{AGES[last]}+" if last == len(AGES) - 1 else f"{AGES[last]}-{AGES[last + 1] - 1}"


def _order(attribute: str, name: str) -> tuple[Any, ...]:
    """Ages in their order, other values by name, and unknown last."""
    first = name.split("-")[0].rstrip("+")
    return name == UNKNOWN, int(first) if attribute == "age" and first.isdigit() else 0, name
