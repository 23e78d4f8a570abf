"""A whole study as one matrix with `derm-bench run`."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from ours.command import DERM_BENCH
from side import arguments, report

from derm_bench.store.stage_files import read_stage


def matrix(given: Any, plan: dict[str, Any]) -> dict[str, Any]:
    """Return a matrix of generator option sets x classifiers x seeds, with metrics on Inception features."""
    options = {
        "name": "dcgan",
        "ema": 0.0,  # as the plain loop
        "base": 64,
        "batch_size": given.batch,
        "budget": {"updates": given.gan_updates},
    }
    return {
        "name": "row9",
        "dataset": {
            "name": "image-folder",
            "root": str(given.folder),
            "size": 64,
            "split": {"method": "given", "val": 0},
        },
        "seeds": plan["seeds"],
        "budget": {"updates": given.updates},
        "strategies": [
            {"name": f"lr-{lr:g}", "generator": options | {"lr": lr}, "synthetic": {"balance": True}}
            for lr in plan["lrs"]
        ],
        "classifiers": [
            {"name": "timm", "model": model, "batch_size": given.batch, "lr": 1e-3, "select": "last"}
            for model in plan["models"]
        ],
        "compare": {"baselines": [f"lr-{plan['lrs'][0]:g}"]},
        "metrics": ["fid", "kid"],
        "numerics": {"precision": given.precision, "threads": given.threads},
    }


def sharing(store: Path) -> float:
    """Return the ratio of the seconds of all stages if each cell ran its stages separately to the seconds of all stages
    run once. A cell needs all stages that its evaluation depends on, and the health and fidelity stages of its
    generator. Figures are excluded from both."""
    stages = {place.name: read_stage(place) for place in (store / "objects").glob("*/*")}
    seconds = {key: stage["attempt"]["seconds"] for key, stage in stages.items()}

    def needed(key: str) -> set[str]:
        return {key}.union(*map(needed, stages[key]["identity"]["inputs"].values()))

    def keys(kind: str) -> set[str]:
        return {key for key, stage in stages.items() if stage["identity"]["kind"] == kind}

    fits, scores = keys("fit"), [needed(key) for key in keys("health") | keys("fidelity")]
    cells = [needed(key) for key in keys("evaluate")]
    cells = [cell.union(*(score for score in scores if score & cell & fits)) for cell in cells]
    alone = sum(seconds[key] for cell in cells for key in cell)
    return alone / sum(seconds[key] for key in set().union(*cells))


def main() -> None:
    given = arguments(__doc__, folder=None, weights=None, plan="{}", gan_updates=10)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "matrix.yaml"
        file.write_text(yaml.safe_dump(matrix(given, json.loads(given.plan))))
        command = [*DERM_BENCH, "run", str(file), "--out", str(folder / "out"), "--device", given.device]
        places = {"DERM_BENCH_STORE": str(folder / "store"), "DERM_BENCH_CACHE": str(folder / "cache")}
        environment = os.environ | places | {"DERM_BENCH_INCEPTION": str(given.weights)}
        done = subprocess.run(command, env=environment, stdout=sys.stderr, check=False)
        if done.returncode:
            raise SystemExit(f"derm-bench run ended with exit code {done.returncode}")
        shared = sharing(folder / "store")
        with (folder / "out" / "results.csv").open(newline="") as handle:
            rows = list(csv.DictReader(handle))
    cells = [
        {"balanced_accuracy": float(row["balanced_accuracy"])}
        | {name: int(row[name]) for name in ("n_train_real", "n_train_synthetic", "n_test")}
        for row in rows
    ]
    report(cells=cells, sharing=shared)


if __name__ == "__main__":
    main()
