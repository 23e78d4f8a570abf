"""Overhead of the harness: no-op cells, the same cells cached, `--help`, and a plan of 10,000 cells.

A no-op cell trains the toy classifier `toy-nothing` for one update and evaluates it: two stages, two records.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml
from ours.command import DERM_BENCH
from side import arguments, report
from timed import timed, timed_help

TOYS = Path(__file__).parents[3] / "tests" / "toys"


def matrix(name: str, seeds: int, classifiers: int, generators: int) -> dict[str, Any]:
    """Return a matrix of no-op cells: seeds x classifiers x (real-only and some generators)."""
    strategies: list[Any] = ["real-only"]
    for k in range(1, generators + 1):
        generator = {"name": "toy-mean", "budget": {"updates": k}}
        strategies.append({"name": f"s{k}", "generator": generator, "synthetic": {"balance": True}})
    return {
        "name": name,
        "dataset": {"name": "toy-blobs", "size": 8, "images": 90},
        "seeds": list(range(seeds)),
        "budget": {"updates": 1},
        "strategies": strategies,
        "classifiers": [
            {"name": "toy-nothing", "label": f"c{k}", "lr": 0.001 * (k + 1)} for k in range(classifiers)
        ],
        "metrics": [],
        "numerics": {"threads": 1},
    }


def main() -> None:
    given = arguments(__doc__, cells=1000, planned=10_000, benchopt=None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        places = {
            "PYTHONPATH": str(TOYS),
            "DERM_BENCH_STORE": str(folder / "store"),
            "DERM_BENCH_CACHE": str(folder / "cache"),
        }
        small, large = folder / "small.yaml", folder / "large.yaml"
        small.write_text(yaml.safe_dump(matrix("small", max(1, given.cells // 10), 10, 0)))
        large.write_text(yaml.safe_dump(matrix("large", 10, 10, max(1, given.planned // 100) - 1)))
        run = [*DERM_BENCH, "run", str(small), "--device", "cpu", "--out"]
        report(
            help_seconds=timed_help(DERM_BENCH, folder, **places),
            cell_ms=timed([*run, "first"], folder, **places) / given.cells * 1000,
            cached_ms=timed([*run, "again"], folder, **places) / given.cells * 1000,
            plan_seconds=timed([*DERM_BENCH, "plan", str(large), "--json"], folder, **places),
        )


if __name__ == "__main__":
    main()
