"""Writes report.html (one file, no network) and report.md from a run directory and its figures."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from derm_bench.report import pictures, view
from derm_bench.report.data import ReportData, metric_columns, number, unique
from derm_bench.report.figures import FigureFile, read_figures
from derm_bench.report.glossary import glossary
from derm_bench.report.markdown import markdown_report
from derm_bench.report.tables import write_text
from derm_bench.report.view import Table

FIGURE_BYTES = 16_000_000


def write_report(run_dir: Path, figures_dir: Path | None = None) -> None:
    """Writes report.md and report.html into a run directory; both are rewritten whole.

    figures_dir: what `make_figures` filled; its files are copied to `figures/` so that report.md can link
    to them. None draws on `figures/` as it is. All text of labels and errors is escaped. Raises UserError
    where run_dir is no run directory or cannot be written.
    """
    data = ReportData.load(run_dir)
    own = run_dir / "figures"
    if figures_dir is not None and figures_dir.resolve() != own.resolve():
        _copy_figures(figures_dir, own)
    figures = read_figures(own)
    write_text(
        markdown_report(data, title(data), facts(data), provenance(data), figures, run_dir),
        run_dir / "report.md",
    )
    write_text(render(data, figures, own, run_dir / "samples"), run_dir / "report.html")


def _copy_figures(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for file in sorted(source.iterdir()):
        if file.suffix in (".svg", ".png") or file.name == "figures.json":
            shutil.copyfile(file, target / file.name)


def render(data: ReportData, figures: Sequence[FigureFile], figures_dir: Path, samples_dir: Path) -> str:
    """The text of report.html."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("derm_bench", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=False,
    )
    metrics = unique([*metric_columns(data.results), *(r["metric"] for r in data.summary)])
    sections = {figure.section for figure in figures}
    found = pictures.sheets(samples_dir)
    made, prepared = ([s for s in found if s.preprocessing is which] for which in (False, True))
    shown = pictures.carried(made)
    context: dict[str, Any] = {
        "title": title(data),
        "badges": badges(data),
        "facts": facts(data),
        "headline": [_laid_out(t) for t in view.headline(data)],
        "nothing": "The matrix has no classifiers: only generators were fitted and scored.",
        "failures": _maybe(view.failures(data)),
        "warnings": view.warnings(data),
        "per_class": [_laid_out(t) for t in view.per_class(data)],
        "all_metrics": [_laid_out(t) for t in view.all_metrics(data)],
        "fidelity": [_laid_out(t) for t in (*filter(None, [view.health(data)]), *view.fidelity(data))],
        "composition": [_laid_out(t) for t in view.composition(data)],
        "costs": _maybe(view.costs(data)),
        "samples": pictures.grouped(shown),
        "left_out": len(made) - len(shown),
        "licences": any(sheet.real for sheet in made),
        "preprocessing": pictures.grouped(pictures.carried(prepared)),
        "figures": list(_embedded(figures, figures_dir)),
        "has": {name: name in sections for name in ("scores", "classes", "training")},
        "provenance": provenance(data),
        "glossary": glossary(metrics),
        "css": Markup((files("derm_bench.report") / "report.css").read_text(encoding="utf-8")),  # ours
    }
    context["contents"] = list(_contents(context))
    return environment.get_template("report.html.j2").render(context)


def title(data: ReportData) -> str:
    """The matrix's name."""
    return str(data.matrix.get("name") or "derm-bench run")


def badges(data: ReportData) -> list[dict[str, str]]:
    """The protocol with what it permitted, and whether all cells are done."""
    protocol = data.matrix.get("protocol") or {}
    name = str(protocol.get("name", "fair")) if isinstance(protocol, Mapping) else str(protocol)
    found = [{"text": f"protocol: {name}", "kind": "good" if name == "fair" else "warn"}]
    for permit in protocol.get("allow") or () if isinstance(protocol, Mapping) else ():
        found.append({"text": f"permits {permit}", "kind": "warn"})
    done, cells = _done(data)
    if cells:
        found.append({"text": f"{done} of {cells} cells done", "kind": "good" if done == cells else "bad"})
    if (data.manifest.get("git") or {}).get("dirty"):
        found.append({"text": "uncommitted changes", "kind": "warn"})
    return found


def _done(data: ReportData) -> tuple[int, int]:
    cells = {row["cell"] for row in data.results}
    return len(cells - {row["cell"] for row in data.results if row["status"] != "done"}), len(cells)


def facts(data: ReportData) -> list[tuple[str, str]]:
    """(name, value) of what was run, as the head of the report lists it."""
    matrix, results = data.matrix, data.results
    done, cells = _done(data)
    fractions = unique(f"{number(r['train_fraction']) or 1:g}" for r in results)
    tests = unique(f"{int(number(r['n_test']) or 0):,}" for r in results if number(r.get("n_test")))
    sizes = unique(
        f"{d['label']} ({d['size']} px)" for d in matrix.get("datasets") or () if "size" in d and "label" in d
    )
    found = [
        ("Cells", f"{done} done of {cells}" if cells else ""),
        ("Data", ", ".join(sizes or unique(r["dataset"] for r in results))),
        ("Training fractions", ", ".join(fractions) if fractions not in ([], ["1"]) else ""),
        ("Test images", " / ".join(tests)),
        ("Strategies", str(len(data.strategies))),
        ("Classifiers", ", ".join(unique(r["classifier"] for r in results if r["classifier"]))),
        ("Seeds", ", ".join(unique(str(r["seed"]) for r in results if str(r["seed"])))),
        (
            "Budget of a classifier",
            ", ".join(f"{v:,g} {k}" for k, v in (matrix.get("budget") or {}).items() if v and cells),
        ),
        ("Primary metric", data.primary.replace("_", " ") if cells else ""),
    ]
    return [(name, value) for name, value in found if value]


def provenance(data: ReportData) -> list[tuple[str, str]]:
    """(name, value) of versions, digests, machine and commit, and the command that repeats the run."""
    skipped = {"matrix", "warnings", "stages", "command"}
    rows = [
        pair for key, value in data.manifest.items() if key not in skipped for pair in _flat(str(key), value)
    ]
    command = data.manifest.get("command")
    file = data.matrix.get("file") or "MATRIX.yaml"
    again = " ".join(map(str, command)) if command else f"derm-bench run {file}"
    return [("run it again", again), *rows]


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}: {key}" if ":" not in name else f"{name}.{key}", inner)
    elif isinstance(value, list):
        yield name, ", ".join(map(str, value))
    elif value is not None and value != "":
        yield name, str(value)


@dataclass(frozen=True)
class _Layout:
    """A table with what the template asks of it: which columns are numbers, which rows repeat the first
    cell."""

    table: Table
    numeric: Sequence[bool]
    same: Sequence[bool]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.table, name)

    @property
    def grouped(self) -> bool:
        return any(self.same)


_NUMERIC = re.compile(r"[+\-–−]?[\d.,]*( .*)?$")


def _laid_out(table: Table) -> _Layout:
    columns = range(len(table.header))
    numeric = [
        k > 0 and all(_NUMERIC.match(row[k]) for row in table.rows) and any(row[k] for row in table.rows)
        for k in columns
    ]
    firsts = [row[0] for row in table.rows]
    same = [k > 0 and firsts[k] == firsts[k - 1] for k in range(len(firsts))]
    return _Layout(table, numeric, same if "strategy" in table.header[:1] else [False] * len(firsts))


def _maybe(table: Table | None) -> _Layout | None:
    return None if table is None else _laid_out(table)


def _embedded(figures: Sequence[FigureFile], folder: Path) -> Iterator[dict[str, str]]:
    left = FIGURE_BYTES
    for figure in figures:
        content = (folder / figure.file).read_bytes() if (folder / figure.file).is_file() else b""
        left -= len(content)
        kind = "svg+xml" if figure.file.endswith(".svg") else "png"
        uri = (
            f"data:image/{kind};base64,{base64.b64encode(content).decode()}" if content and left >= 0 else ""
        )
        yield {
            "title": figure.title,
            "caption": figure.caption,
            "section": figure.section,
            "file": figure.file,
            "uri": uri,
        }


def _contents(context: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "results", "Results"
    has = context["has"]
    for anchor, name, shown in (
        ("failed", "Failed", context["failures"]),
        ("warnings", "Keep in mind", context["warnings"]),
        ("scores", "Scores", has["scores"]),
        ("classes", "Classes", has["classes"] or context["per_class"]),
        ("preprocessing", "Preprocessing", context["preprocessing"]),
        ("samples", "Synthetic images", context["samples"]),
        ("fidelity", "Fidelity", context["fidelity"]),
        ("data", "Training sets", context["composition"]),
        ("training", "Training curves", has["training"]),
        ("costs", "Time and memory", context["costs"]),
        ("provenance", "Provenance", True),
        ("glossary", "Glossary", True),
    ):
        if shown:
            yield anchor, name
