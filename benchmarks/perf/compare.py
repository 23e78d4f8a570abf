"""Run the rows of the performance table and their baselines, A B A B, and print ratio, spread and parity.

    python benchmarks/perf/compare.py [--row N]... [--quick] [--json] [--guard FILE] [--save FILE]

`--size gpu-check`, `--folder`, `--seconds`, `--served` and `--partly` are for benchmarks/gpu/check.sh.

Exit codes: 0 for success; 1 if parity or a side failed, or if --guard found a ratio that fell by more than a quarter; 2
for invalid flags.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import Bench, machine
from pairs import Side, SideFailed, alternate, compare, fallen
from parity import NOT_YET, NOTHING, Parity
from rich.console import Console
from rich.table import Table
from rows import ROWS, Measure, Row
from sizes import SIZES

from derm_bench.cli.precision import measure_precision
from derm_bench.errors import UserError
from derm_bench.machine import cuda_devices, without_bf16

MEMORY_TARGET = 1.2  # our peak memory relative to the baseline, on the CPU


def main(argv: Sequence[str] | None = None) -> int:
    given = _parse(argv)
    device = given.device or ("cuda:0" if cuda_devices() else "cpu")
    earlier = _read_ratios(given.guard) if given.guard else {}
    with contextlib.ExitStack() as stack:
        if given.folder:
            given.folder.mkdir(parents=True, exist_ok=True)
        folder = given.folder or stack.enter_context(tempfile.TemporaryDirectory())
        kind = device.partition(":")[0]
        precision = given.precision or measure_precision(kind, Bench.threads).precision
        careful = without_bf16(kind) if precision == "bf16" and not given.precision else ""
        bench = Bench(
            Path(folder).absolute(),
            device,
            precision,
            careful,
            given.size,
            benchopt=given.benchopt,
            data=given.data,
            served=given.served,
            seconds=given.seconds,
            partly=(lambda line: print(json.dumps(line), flush=True)) if given.partly else None,
        )
        where = machine(bench)
        say(", ".join(f"{name} {value}" for name, value in where.items()))
        lines, complete = measure_all(bench, given.row or sorted(ROWS), given.pairs, given.json)
    if not given.json:
        Console(width=None if sys.stdout.isatty() else 150).print(table(lines))
    ratios = {str(line["row"]): line["ratio"] for line in lines if line["ratio"]}
    kind = bench.kind + ("" if bench.size == "full" else f" {bench.size}")  # other sizes have separate ratios
    if given.save:
        _save_ratios(given.save, kind, ratios, where)
    worse = fallen(ratios, earlier.get(kind, {}).get("ratios", {}))
    for sentence in worse:
        say(sentence)
    return 0 if complete and not worse and all(line["passed"] is not False for line in lines) else 1


def measure_all(
    bench: Bench, numbers: Sequence[int], pairs: int | None, as_json: bool
) -> tuple[list[dict[str, Any]], bool]:
    """Return one line per row, and whether all measured rows succeeded. Skipped rows are listed on stderr."""
    lines, complete = [], True
    for number in numbers:
        reason = left_out(bench, number)
        if reason:
            say(f"row {number} is skipped: {reason}")
            continue
        began = time.perf_counter()
        try:
            line = measure(bench, ROWS[number], pairs)
        except SideFailed as error:
            say(f"row {number} failed: {error}")
            complete = False
            continue
        say(f"row {number} took {time.perf_counter() - began:.0f} s")
        lines.append(line)
        if as_json:
            print(json.dumps(line), flush=True)
    return lines, complete


def left_out(bench: Bench, number: int) -> str:
    """Return why a row cannot be measured on this machine, or an empty string."""
    row = ROWS[number]
    if bench.kind == "cuda" and not row.on_gpu:
        return "it is not measured on a GPU; use --device cpu"
    if bench.size in SIZES and number not in SIZES[bench.size]:
        return f"it has no size named {bench.size}"
    missing = bench.missing(row)
    return f"its baseline needs {', '.join(missing)}: pip install '.[perf]'" if missing else ""


def measure(bench: Bench, row: Row, pairs: int | None = None) -> dict[str, Any]:
    """Run the pairs of one row, then its parity check. With `bench.seconds`, no pair is started that would end later,
    if the next one takes as long as the longest so far. Raises SideFailed."""
    began = time.perf_counter()
    arguments = bench.arguments(row)
    pairs = pairs or bench.sizes(row)["pairs"]
    checks = 1 if row.check else 0  # a parity check takes two processes, about as long as a pair

    def after(ours: Sequence[Side], baseline: Sequence[Side]) -> bool:
        mine, theirs = ours[-1], baseline[-1]
        if "sharing" in mine.values:
            mine.values["kernels"] = (
                theirs.values["wall_seconds"] / mine.values["wall_seconds"] / mine.values["sharing"]
            )
        if bench.partly:
            bench.partly(line_of(bench, row, ours, baseline, NOT_YET))
        longest = max(a.seconds + b.seconds for a, b in zip(ours, baseline, strict=True))
        return time.perf_counter() - began + (1 + checks) * longest <= bench.seconds

    with bench.serving(row):
        ours, baseline = alternate(
            lambda: bench.ours(row, arguments), lambda: bench.baseline(row, arguments), pairs, after
        )
        parity = _parity(bench, row, ours[-1], baseline[-1])
    return line_of(bench, row, ours, baseline, parity)


def line_of(
    bench: Bench, row: Row, ours: Sequence[Side], baseline: Sequence[Side], parity: Parity
) -> dict[str, Any]:
    """Return the JSON line of a row: its first measure, the others under `also`, memory and parity."""
    first, *others = [_measured(measure, bench.kind, ours, baseline) for measure in row.measures]
    peaks = [max(side.peak_mb for side in sides) for sides in (ours, baseline)]
    return {
        "row": row.number,
        **first,
        "parity": str(parity),
        "passed": parity.passed,
        "pairs": len(ours),
        "also": others,
        "process_seconds": [
            round(statistics.median(s.seconds for s in sides), 2) for sides in (ours, baseline)
        ],
        "peak_mb": [round(peak) for peak in peaks],
        "memory_ratio": round(peaks[0] / peaks[1], 3) if peaks[1] else None,
        "machine": machine(bench),
    }


def _measured(measure: Measure, kind: str, ours: Sequence[Side], baseline: Sequence[Side]) -> dict[str, Any]:
    mine = [side.values[measure.key] for side in ours if measure.key in side.values]
    theirs = [side.values[measure.key] for side in baseline if measure.key in side.values]
    line: dict[str, Any] = {
        "metric": measure.name,
        "ours": None,
        "baseline": None,
        "ratio": None,
        "spread": None,
    }
    line["target"] = measure.targets.get(kind)
    if mine and theirs:
        line |= compare(mine, theirs, lower_is_better=measure.lower_is_better)._asdict()
    elif mine:
        line["ours"] = statistics.median(mine)
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in line.items()}


def _parity(bench: Bench, row: Row, ours: Side, baseline: Side) -> Parity:
    if row.check:
        return row.check(bench, row)
    return row.judge(bench, row, ours.values, baseline.values) if row.judge else NOTHING


def table(lines: Sequence[dict[str, Any]]) -> Table:
    """Return a table with one line per measure. Ratio and target compare ours to the baseline; above 1 is better."""
    out = Table(
        "row", "metric", "ours", "baseline", "ratio", "spread", "target", "MB ours / theirs", "parity"
    )
    for line in lines:
        memory = " / ".join(map(str, line["peak_mb"]))
        if (line.get("memory_ratio") or 0) > MEMORY_TARGET:
            memory += f" (over {MEMORY_TARGET:g}x)"
        out.add_row(str(line["row"]), *_figures(line), memory, line["parity"])
        for other in line["also"]:
            out.add_row("", *_figures(other), "", "")
    return out


def _figures(line: dict[str, Any]) -> list[str]:
    def text(name: str, form: str) -> str:
        return "-" if line[name] is None else format(line[name], form)

    spread = "-" if line["spread"] is None else f"{line['spread']:.0%}"
    return [
        line["metric"],
        text("ours", ".4g"),
        text("baseline", ".4g"),
        text("ratio", ".2f"),
        spread,
        text("target", "g"),
    ]


def say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _read_ratios(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (OSError, ValueError) as error:
        say(f"--guard {path.absolute()} cannot be read as JSON: {error}")
        raise SystemExit(2) from error


def _save_ratios(path: Path, kind: str, ratios: dict[str, float], where: dict[str, Any]) -> None:
    """Add the ratios of a device type and size to the file. Rows that were not measured keep their ratios."""
    known = _read_ratios(path) if path.exists() else {}
    kept = known.get(kind, {}).get("ratios", {})
    known[kind] = {"machine": where, "ratios": kept | ratios}
    path.write_text(json.dumps(known, indent=1) + "\n")


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    known = sorted(ROWS)
    parser.add_argument("--row", type=int, action="append", choices=known, help="the row to run; repeatable")
    parser.add_argument(
        "--quick",
        action="store_const",
        const="quick",
        dest="size",
        default="full",
        help="use small sizes: all rows take at most 20 minutes on 2 cores",
    )
    parser.add_argument("--size", choices=["full", "quick", *SIZES], default="full", help="the sizes to use")
    parser.add_argument("--folder", type=Path, help="folder that keeps the input files for further calls")
    parser.add_argument(
        "--seconds", type=float, default=float("inf"), help="start no further pair of a row after this time"
    )
    parser.add_argument(
        "--served", action="store_true", help="one process of each side for all pairs of a row"
    )
    parser.add_argument(
        "--partly", action="store_true", help="print a line of JSON with the row so far after every pair"
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON per row")
    parser.add_argument("--pairs", type=int, help="number of pairs (default: set by the row, mostly 5)")
    parser.add_argument("--device", help="cpu or cuda:N (default: a GPU if there is one)")
    parser.add_argument(
        "--precision",
        choices=["fp32", "tf32", "bf16"],
        help="precision of our side (default: the faster one in a probe)",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("DERM_BENCH_DATA") or None,
        help="folder of HAM10000, which row 8 reads instead of phantoms (default: $DERM_BENCH_DATA)",
    )
    parser.add_argument("--benchopt", type=Path, help="path of a benchopt executable in another environment")
    parser.add_argument(
        "--guard", type=Path, help="JSON file of earlier ratios; exit 1 if one fell by more than a quarter"
    )
    parser.add_argument("--save", type=Path, help="JSON file to write the ratios to, for --guard")
    return parser.parse_args(argv)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UserError as failure:
        say(str(failure))
        sys.exit(1)
