"""Trackers, which send the logged values of a run to an experiment tracking tool. None is used unless `--tracker` names
one."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from derm_bench.plain_text import from_csv_cell

TRACKERS = {
    "tensorboard": "derm_bench_plugins.trackers.tensorboard:TensorBoardTracker",
    "mlflow": "derm_bench_plugins.trackers.mlflow:MlflowTracker",
}


@dataclass(frozen=True)
class Score:
    """A mean over seeds from summary.csv. `arm` is dataset/strategy/classifier, and `metric` is test_set/metric."""

    arm: str
    metric: str
    mean: float


def scores(out: Path) -> Iterator[Score]:
    """Yield the means of a run directory's summary.csv, each of them once (the file has one row per baseline)."""
    path = out / "summary.csv"
    if not path.exists():
        return
    seen = set()
    with path.open(newline="") as handle:
        for cells in csv.DictReader(handle):
            row = {name: from_csv_cell(cell) for name, cell in cells.items()}
            dataset = row["dataset"] + ("" if row["train_fraction"] == "1.0" else f"@{row['train_fraction']}")
            arm = "/".join(filter(None, [dataset, row["strategy"], row["classifier"]]))
            metric = "/".join(filter(None, [row["test_set"], row["metric"]]))
            if row["mean"] and (arm, metric) not in seen:
                seen.add((arm, metric))
                yield Score(arm, metric, float(row["mean"]))


def plain(name: str) -> str:
    """Return the name with only letters, digits and `-_./ `, which file systems and tracking servers accept."""
    return re.sub(r"[^\w\-./ ]+", "_", name, flags=re.ASCII)
