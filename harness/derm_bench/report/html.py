"""Writes report.html (one file, no network) and report.md from a run directory and its figures."""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derm_bench.report import accuracy_scores, audit, comparisons, extractors, memorization, pictures, view
from derm_bench.report.data import ReportData, metric_columns, unique
from derm_bench.report.facts import badges, facts, notes, provenance, sources, title
from derm_bench.report.figures import FigureFile, read_figures
from derm_bench.report.glossary import glossary
from derm_bench.report.keep_in_mind import keep_in_mind
from derm_bench.report.markdown import markdown_report
from derm_bench.report.view import Table
from derm_bench.rundir.files import copy, emptied, read_bytes, write_text

if TYPE_CHECKING:
    from jinja2 import Template

FIGURE_BYTES = 16_000_000


def write_report(run_dir: Path, figures_dir: Path | None = None, data: ReportData | None = None) -> None:
    """Writes report.md and report.html into a run directory, replacing existing ones.

    figures_dir: a folder that `make_figures` filled. Its files are copied to `figures/`, so that report.md can link to
    them; with None the existing files in `figures/` are used. data: the run; by default it is read from run_dir. The
    text of labels and errors is escaped. Raises UserError if run_dir is not a run directory or cannot be written.
    """
    data = ReportData.load(run_dir) if data is None else data
    own = run_dir / "figures"
    if figures_dir is not None and figures_dir.resolve() != own.resolve():
        _copy_figures(figures_dir, own)
    figures = read_figures(own)
    write_text(markdown_report(data, figures, run_dir), run_dir / "report.md")
    write_text(render(data, figures, own), run_dir / "report.html")


def _copy_figures(source: Path, target: Path) -> None:
    emptied(target)
    for file in sorted(source.iterdir()):
        if file.suffix in (".svg", ".png") or file.name == "figures.json":
            copy(file, target / file.name)


def render(data: ReportData, figures: Sequence[FigureFile], figures_dir: Path) -> str:
    """The text of report.html."""
    context = _head(data) | _tables(data) | _images(data)
    context["figures"] = list(_embedded(figures, figures_dir))
    sections = {figure.section for figure in figures}
    context["has"] = {name: name in sections for name in ("scores", "classes", "training")}
    context["contents"] = list(_contents(context))
    return _template().render(context)


@functools.cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("derm_bench", "report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=False,
    )
    return environment.get_template("report.html.j2")


def _head(data: ReportData) -> dict[str, Any]:
    """The variables of the template for the parts above and below the results."""
    from markupsafe import Markup

    metrics = unique([*metric_columns(data.results), *(row["metric"] for row in data.summary)])
    return {
        "title": title(data),
        "badges": badges(data),
        "facts": facts(data),
        "sources": sources(data),
        "notes": notes(data),
        "provenance": _laid_out(provenance(data)),
        "glossary": glossary(metrics, data.level),
        "css": Markup((files("derm_bench.report") / "report.css").read_text(encoding="utf-8")),  # ours
    }


def _tables(data: ReportData) -> dict[str, Any]:
    """The variables of the template for tables, and the text that is shown if there are no results."""
    return {
        "headline": [_laid_out(t) for t in view.headline(data)],
        "verdicts": [_laid_out(t) for t in comparisons.verdicts(data)],
        "data_sets": _maybe(comparisons.data_sets(data)),
        "pairs": [_laid_out(t) for t in comparisons.pairs(data)],
        "accuracy_scores": [_laid_out(t) for t in accuracy_scores.scores(data)],
        "subgroups": [_laid_out(t) for t in comparisons.subgroups(data)],
        "nothing": "The matrix has no classifiers: only generators were fitted and scored.",
        "failures": _maybe(view.failures(data)),
        "warnings": keep_in_mind(data),
        "per_class": [_laid_out(t) for t in view.per_class(data)],
        "all_metrics": [_laid_out(t) for t in view.all_metrics(data)],
        "fidelity": [
            _laid_out(t)
            for t in (
                *filter(None, [view.health(data), memorization.screens(data)]),
                *view.fidelity(data),
                *extractors.tables(data),
            )
        ],
        "composition": [_laid_out(t) for t in view.composition(data)],
        "costs": _maybe(view.costs(data)),
        "audit": _maybe(audit.findings(data)),
    }


def _images(data: ReportData) -> dict[str, Any]:
    """The variables of the template for sheets of images."""
    found = pictures.pictures(data)
    made, prepared = ([p for p in found if p.preprocessing is which] for which in (False, True))
    shown = pictures.carried(made)
    return {
        "samples": pictures.grouped(shown),
        "left_out": len(made) - len(shown),
        "licences": any(picture.real for picture in made),
        "audited": pictures.grouped(pictures.carried(audit.sheets(data))),
        "preprocessing": pictures.grouped(pictures.carried(prepared)),
    }


@dataclass(frozen=True)
class _Layout:
    """A table with its layout: which columns are numeric, and which rows repeat the first cell of the row above."""

    table: Table
    numeric: Sequence[bool]
    same: Sequence[bool]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.table, name)

    @property
    def grouped(self) -> bool:
        return any(self.same)


_NUMERIC = re.compile(r"[+\-–−]?[\d.,]*( .*)?$")


def _of_images(data: ReportData) -> list[Table]:
    health = view.health(data)
    return [*([health] if health else []), *view.fidelity(data), *extractors.tables(data)]


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
        content = read_bytes(folder / figure.file, FIGURE_BYTES) if (folder / figure.file).is_file() else b""
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
        ("verdicts", "Verdicts", context["verdicts"]),
        ("scores", "Scores", has["scores"]),
        ("classes", "Classes", has["classes"] or context["per_class"]),
        ("pairs", "Pairs of models", context["pairs"]),
        ("accuracy_scores", "Accuracy scores of samples", context["accuracy_scores"]),
        ("subgroups", "Subgroups", context["subgroups"]),
        ("preprocessing", "Preprocessing", context["preprocessing"]),
        ("samples", "Synthetic images", context["samples"]),
        ("fidelity", "Fidelity", context["fidelity"]),
        ("data", "Training sets", context["composition"]),
        ("audit", "Audit of the data", context["audit"]),
        ("training", "Training curves", has["training"]),
        ("costs", "Time and memory", context["costs"]),
        ("sources", "Data sets", context["sources"]),
        ("notes", "Notes on the data", context["notes"]),
        ("provenance", "Provenance", True),
        ("glossary", "Glossary", True),
    ):
        if shown:
            yield anchor, name
