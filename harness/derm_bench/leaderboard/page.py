"""index.html of a board: one self-contained page that can be sorted and filtered, and that opens every row.

Everything that entries state is escaped by the template. The only script is ours, and the page's content security
policy names its digest: a script that got into the page all the same would not run.
"""

from __future__ import annotations

import base64
import hashlib
import math
import shlex
from collections.abc import Iterator, Sequence
from importlib.resources import files
from typing import Any

from derm_bench.leaderboard.entry import SAMPLE_BYTES, SAMPLES
from derm_bench.leaderboard.problems import Verified
from derm_bench.leaderboard.ranking import COMPLETE, BoardRow, costs_of, fidelity_of
from derm_bench.leaderboard.task import Board, BoardTask
from derm_bench.leaderboard.words import delta_of, license_line, mean_of, rank_of, runs_of, tests_of
from derm_bench.report.plots import metric_label
from derm_bench.rundir.files import read_bytes
from derm_bench.scoring import PER_CLASS, higher_is_better, metric_names

SHOWN = 250
"""The rows that the page shows until somebody asks for all: a browser lays out thousands of rows for seconds."""
PAGE_BYTES = 24_000_000
"""The most bytes of all samples on the page."""


def page(board: Board, rows: Sequence[BoardRow], found: Verified) -> str:
    """Return the text of index.html. rows: in the order of the board. found: what was verified."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("derm_bench", "leaderboard"), autoescape=True, undefined=StrictUndefined
    )
    script = _ours("leaderboard", "board.js")
    task = board.task
    shown = list(_rows(board, rows))
    return environment.get_template("index.html.j2").render(
        task=task,
        facts=_facts(board, rows, found),
        rows=shown,
        at_once=SHOWN,
        metrics=[(name, metric_label(name), higher_is_better(name)) for name in metric_names(task.classes)],
        choices={key: sorted({row[key] for row in shown}) for key in ("generator", "classifier", "strategy")},
        self_reported=sorted(found.self_reported),
        css=Markup(_ours("report", "report.css") + _ours("leaderboard", "board.css")),
        script=Markup(script),
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def _ours(package: str, name: str) -> str:
    return (files(f"derm_bench.{package}") / name).read_text(encoding="utf-8")


def _facts(board: Board, rows: Sequence[BoardRow], found: Verified) -> list[tuple[str, str]]:
    task = board.task
    complete = sum(row.status == COMPLETE for row in rows)
    return [
        ("Data", f"{task.dataset.name}, {task.dataset.size} px"),
        ("Licence", license_line(task).removeprefix("licence: ")),
        ("Classes", ", ".join(task.classes)),
        ("Test images", tests_of(board)),
        ("Splits", ", ".join(f"seed {seed}: {digest[:12]}" for seed, digest in task.splits.items())),
        ("Protocol", f"{task.protocol}, version {task.protocol_version}"),
        ("Primary metric", task.metric),
        ("Entries", f"{found.entries} with {len(rows)} rows, {complete} of them complete"),
        ("Verified", f"{found.scores:,} scores of {found.rows:,} runs follow from the predictions"),
    ]


def _rows(board: Board, rows: Sequence[BoardRow]) -> Iterator[dict[str, Any]]:
    task, left = board.task, PAGE_BYTES
    scale = _Scale.of(rows, task.metric)
    for row in rows:
        sheets = []
        for sheet in row.rescored.entry.manifest.samples:
            if sheet.strategy == row.strategy and left > 0:
                content = read_bytes(row.rescored.entry.folder / SAMPLES / sheet.file, SAMPLE_BYTES)
                left -= len(content) * 4 // 3
                uri = f"data:image/webp;base64,{base64.b64encode(content).decode()}"
                sheets.append({"label": f"{sheet.class_name}, seed {sheet.seed}", "uri": uri})
        yield {
            "name": row.name,
            "rank": rank_of(row),
            "rank_low": row.rank.low if row.rank is not None else "",
            "entry": row.entry,
            "by": row.rescored.entry.manifest.by,
            "strategy": row.strategy,
            "generator": row.generator or "none",
            "classifier": row.classifier,
            "status": row.status,
            "score": mean_of(row, task.metric),
            "scores": {name: value for name, value in row.scores.items() if not math.isnan(value)},
            "bar": scale.bar(row),
            "runs": runs_of(row),
            "n_runs": row.done,
            "delta": delta_of(row),
            "delta_value": _number(row.compared.get("delta")),
            "verdict": row.compared.get("verdict") or "",
            "reason": row.compared.get("reason") or "",
            "baseline": row.compared.get("baseline") or "",
            "plot": _plot(row, task),
            "per_class": _per_class(row, task),
            "confusion": _confusion(row),
            "sheets": sheets,
            "costs": [(name.replace("_", " "), f"{value:,.4g}") for name, value in costs_of(row).items()],
            "fidelity": [(name, f"{value:.4g}") for name, value in fidelity_of(row).items()],
            "errors": [
                (run["cell"], run["status"], run["error"]) for run in row.runs if run["status"] != "done"
            ],
            "provenance": list(_provenance(row)),
        }


class _Scale:
    """A common scale of the bars of the primary metric."""

    def __init__(self, low: float, high: float, metric: str) -> None:
        self.low, self.high, self.metric = low, high, metric

    @classmethod
    def of(cls, rows: Sequence[BoardRow], metric: str) -> _Scale:
        ends = [value for row in rows for value in (row.interval or (row.scores.get(metric, math.nan),))]
        known = [value for value in ends if not math.isnan(value)]
        low, high = (min(known), max(known)) if known else (0.0, 1.0)
        room = max(0.05 * (high - low), 0.005)
        return cls(low - room, high + room, metric)

    def bar(self, row: BoardRow) -> dict[str, float] | None:
        mean = row.scores.get(self.metric, math.nan)
        if math.isnan(mean):
            return None
        low, high = row.interval if row.interval is not None else (mean, mean)
        left, middle, right = (
            round(100 * (x - self.low) / (self.high - self.low), 2) for x in (low, mean, high)
        )
        return {"left": left, "width": round(right - left, 2), "mean": middle}


def _plot(row: BoardRow, task: BoardTask) -> dict[str, Any] | None:
    """The difference to the baseline on a scale of -1 to 1 in percent of the width; the margin of equivalence is
    shaded."""
    delta, low, high = (
        _number(row.compared.get(name)) for name in ("delta", "delta_ci_low", "delta_ci_high")
    )
    if delta is None or low is None or high is None:
        return None
    reach = 1.15 * max(abs(low), abs(high), 2 * task.margin)

    def at(value: float) -> float:
        return round(50 + 50 * value / reach, 2)

    return {
        "low": at(low),
        "width": round(at(high) - at(low), 2),
        "mean": at(delta),
        "margin_low": at(-task.margin),
        "margin_width": round(at(task.margin) - at(-task.margin), 2),
        "words": f"{delta:+.3f}, interval {low:+.3f} to {high:+.3f}; margin {task.margin:g}",
        "ends": (f"{-reach:+.3f}", f"{reach:+.3f}"),
    }


def _per_class(row: BoardRow, task: BoardTask) -> list[tuple[str, list[str]]]:
    if not row.done:
        return []
    return [
        (
            name,
            [
                f"{row.scores.get(f'{metric}_{name}', math.nan):.3f}".replace("nan", "–")
                for metric in PER_CLASS
            ],
        )
        for name in task.classes
    ]


def _confusion(row: BoardRow) -> list[list[tuple[int, int]]]:
    """The counts of the confusion matrix, each with its share of the row in percent."""
    return [[(n, round(100 * n / max(1, sum(counts)))) for n in counts] for counts in row.confusion]


def _provenance(row: BoardRow) -> Iterator[tuple[str, str]]:
    manifest = row.rescored.entry.manifest
    run, machine = manifest.run, manifest.run.machine
    yield "matrix", f"{run.matrix.get('name', '')}{'@' + run.selection if run.selection else ''}"
    yield "derm-bench", run.derm_bench
    words = [
        str(machine[key])
        for key in ("device", "precision", "processor", "system", "python")
        if machine.get(key)
    ]
    yield "machine", ", ".join(words)
    if run.git:
        dirty = ", with uncommitted changes" if run.git.get("dirty") else ""
        yield "commit", f"{str(run.git.get('commit', ''))[:12]}{dirty}"
    packages = ("torch", "torchvision", "timm", "numpy")
    yield (
        "packages",
        ", ".join(f"{name} {run.distributions[name]}" for name in packages if name in run.distributions),
    )
    if run.command:
        yield "command", shlex.join(run.command)
    yield "resolved matrix", f"entries/{row.entry}/manifest.json"


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None
