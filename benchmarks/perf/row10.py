"""What the harness costs beside the work: no-op cells, the same cached, `--help`, a plan of 10,000 cells.

    python benchmarks/perf/row10.py [--cells 1000] [--benchopt PATH]

A no-op cell trains the toy classifier `toy-nothing` for one update and evaluates it: two stages, two records. With
the path of a benchopt 1.10 executable, a benchopt benchmark of as many no-op runs is timed on the same machine.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

TOYS = Path(__file__).parents[2] / "tests" / "toys"
DERM_BENCH = [sys.executable, "-c", "from derm_bench.cli import main; main()"]
HELP_RUNS = 5


def matrix(name: str, seeds: int, classifiers: int, generators: int) -> dict[str, Any]:
    """A matrix of no-op cells: seeds x classifiers x (real-only and some generators)."""
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


def timed(command: list[str], folder: Path) -> tuple[float, float]:
    """Seconds, and the peak resident MB of the largest process; refuses a command that fails."""
    environment = os.environ | {
        "PYTHONPATH": str(TOYS),
        "DERM_BENCH_STORE": str(folder / "store"),
        "DERM_BENCH_CACHE": str(folder / "cache"),
    }
    began = time.perf_counter()
    with (folder / "log.txt").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        raise SystemExit(f"{' '.join(command)} failed:\n{(folder / 'log.txt').read_text()[-2000:]}")
    return seconds, usage.ru_maxrss / 1024


def ours(cells: int, folder: Path) -> dict[str, tuple[float, float]]:
    """(seconds, peak MB) of each task."""
    small, large = folder / "small.yaml", folder / "large.yaml"
    small.write_text(yaml.safe_dump(matrix("small", cells // 10, 10, 0)))
    large.write_text(yaml.safe_dump(matrix("large", 10, 10, 99)))
    timed([*DERM_BENCH, "--help"], folder)
    found = {"--help": min(timed([*DERM_BENCH, "--help"], folder) for _ in range(HELP_RUNS))}
    found[f"{cells} no-op cells"] = timed([*DERM_BENCH, "run", str(small), "--out", "out"], folder)
    found[f"{cells} cached"] = timed([*DERM_BENCH, "run", str(small), "--out", "again"], folder)
    found["plan of 10,000 cells"] = timed([*DERM_BENCH, "plan", str(large), "--json"], folder)
    return found


OBJECTIVE = """
from benchopt import BaseObjective
class Objective(BaseObjective):
    name = "nothing"
    min_benchopt_version = "1.6"
    def set_data(self, x): self.x = x
    def evaluate_result(self, y): return dict(value=float(y))
    def get_one_result(self): return dict(y=0)
    def get_objective(self): return dict(x=self.x)
"""
DATASET = """
from benchopt import BaseDataset
class Dataset(BaseDataset):
    name = "nothing"
    def get_data(self): return dict(x=0)
"""
SOLVER = """
from benchopt import BaseSolver
class Solver(BaseSolver):
    name = "nothing"
    sampling_strategy = "run_once"
    parameters = {"k": list(range(%d))}
    def set_objective(self, x): self.x = x
    def run(self, _): self.y = self.k
    def get_result(self): return dict(y=self.y)
"""


def theirs(benchopt: Path, cells: int, folder: Path) -> dict[str, tuple[float, float]]:
    """The same of benchopt: a run of as many solvers that do nothing, and again from its cache."""
    place = folder / "benchmark"
    for name, text in (
        ("objective", OBJECTIVE),
        ("datasets/nothing", DATASET),
        ("solvers/nothing", SOLVER % cells),
    ):
        path = place / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    run = [str(benchopt), "run", str(place), "--no-plot", "--no-html", "-n", "1", "-r", "1"]
    timed([str(benchopt), "--help"], folder)
    return {
        "--help": min(timed([str(benchopt), "--help"], folder) for _ in range(HELP_RUNS)),
        f"{cells} no-op cells": timed(run, folder),
        f"{cells} cached": timed(run, folder),
    }


def main() -> None:
    """Prints a table; with --json the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cells", type=int, default=1000)
    parser.add_argument("--benchopt", type=Path, help="a benchopt executable, in an environment of its own")
    parser.add_argument("--json", action="store_true", dest="as_json")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        mine = ours(given.cells, Path(folder))
        other = theirs(given.benchopt.absolute(), given.cells, Path(folder)) if given.benchopt else {}
    if given.as_json:
        print(json.dumps({"derm-bench": mine, "benchopt": other}))
        return
    print(f"{'task':<24}{'derm-bench':>12}{'peak MB':>10}{'benchopt':>12}{'ratio':>8}")
    for task, (seconds, peak) in mine.items():
        them = f"{other[task][0]:>10.2f} s{other[task][0] / seconds:>8.2f}" if task in other else ""
        print(f"{task:<24}{seconds:>10.2f} s{peak:>10.0f}{them}")
    each = mine[f"{given.cells} no-op cells"][0] / given.cells
    print(f"a no-op cell: {each * 1000:.1f} ms")


if __name__ == "__main__":
    main()
