"""Runs a matrix twice at the same time, in two empty stores, and says whether the tables are equal but for times."""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# Columns that are measured, and rows of summary.csv about them.
MEASURED = ("seconds", "memory_mb", "device_mb")
DERM_BENCH = [sys.executable, "-c", "from derm_bench.cli import main; main()"]
TABLES = ("results.csv", "summary.csv", "fidelity.csv")


def main() -> int:
    """Print one line of JSON: cells, seconds of both runs, and the differences. Returns 1 if there are any."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("matrix", type=Path)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--preset")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        places = [Path(name) / run for run in ("first", "second")]
        began = time.perf_counter()
        # The first one says here how far it is, for a check that runs out of time.
        running = [start(given, place, heard=place == places[0]) for place in places]
        codes = [process.wait() for process in running]
        seconds = time.perf_counter() - began
        if any(codes):
            said = (places[1] / "log.txt").read_text()[-1000:]
            print(f"{said}\nderm-bench run ended with exit codes {codes}", file=sys.stderr)
            return 1
        first, second = (tables(place / "out") for place in places)
        different = differences(first, second)
        line = {"cells": len(first["results.csv"]), "seconds": round(seconds, 1), "differences": different}
        print(json.dumps(line), flush=True)
    if different:
        print(f"two runs of one matrix differ: {'; '.join(different[:3])}", file=sys.stderr)
    return 1 if different else 0


def start(given: argparse.Namespace, place: Path, heard: bool) -> subprocess.Popen[bytes]:
    """Start a run whose store and run directory are in `place`. Its output goes to stderr if it is `heard`."""
    place.mkdir()
    command = [*DERM_BENCH, "run", str(given.matrix.absolute()), "--device", given.device]
    command += ["--set", f"numerics.precision={given.precision}"]
    command += ["--out", str(place / "out"), "--store", str(place / "store")]
    command += ["--preset", given.preset] if given.preset else []
    with (place / "log.txt").open("w") as log:
        return subprocess.Popen(
            command, stdout=sys.stderr if heard else log, stderr=None if heard else log, cwd=place
        )


def tables(out: Path) -> dict[str, list[dict[str, str]]]:
    """Return the tables of a run directory by name, one dictionary per row, without what is measured."""
    found = {}
    for name in TABLES:
        if not (out / name).exists():
            found[name] = []
            continue
        with (out / name).open(newline="") as handle:
            rows = list(csv.DictReader(handle))
        found[name] = [
            {column: value for column, value in row.items() if not is_measured(column)}
            for row in rows
            if not is_measured(row.get("metric", ""))
        ]
    return found


def is_measured(name: str) -> bool:
    """Whether a column or metric is a time or a peak of memory."""
    return any(word in name for word in MEASURED)


def differences(first: dict[str, list[dict[str, str]]], second: dict[str, list[dict[str, str]]]) -> list[str]:
    """Return one sentence per table that differs, with the first row and column that do."""
    found = []
    for name, rows in first.items():
        others = second[name]
        if len(rows) != len(others):
            found.append(f"{name} has {len(rows)} and {len(others)} rows")
            continue
        cells = [
            f"{name}, row {number}, {column}: {row[column]} and {other.get(column)}"
            for number, (row, other) in enumerate(zip(rows, others, strict=True), 1)
            for column in row
            if row[column] != other.get(column)
        ]
        found += [f"{cells[0]} (and {len(cells) - 1} more)"] if cells else []
    return found


if __name__ == "__main__":
    sys.exit(main())
