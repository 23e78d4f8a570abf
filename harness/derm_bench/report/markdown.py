"""report.md: the tables of report.html in Markdown, with links to the files of the run directory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

from derm_bench.report import accuracy_scores, audit, comparisons, extractors, memorization, pictures, view
from derm_bench.report.data import ReportData
from derm_bench.report.facts import facts, notes, provenance, sources, title
from derm_bench.report.figures import FigureFile
from derm_bench.report.keep_in_mind import keep_in_mind
from derm_bench.report.tables import markdown_escape, markdown_table
from derm_bench.report.view import Table
from derm_bench.rundir.directory import NAMES


def markdown_report(data: ReportData, figures: Sequence[FigureFile], folder: Path) -> str:
    """The text of report.md; links are relative to `folder`, the run directory."""
    parts = [f"# {markdown_escape(title(data))}\n", _pairs(facts(data))]
    failed = view.failures(data)
    parts += _section("Results", view.headline(data))
    parts += _section("Verdicts", comparisons.verdicts(data))
    parts += _section("Pairs of trained models", comparisons.pairs(data))
    across = comparisons.data_sets(data)
    parts += _section("Data sets together", [across] if across else [])
    parts += _section("What failed, and why", [failed] if failed else [])
    warnings = keep_in_mind(data)
    if warnings:
        parts.append("## Keep in mind\n\n" + "".join(f"- {markdown_escape(w)}\n" for w in warnings))
    parts += _section("Recall of each class", view.per_class(data))
    parts += _section("Classification accuracy scores", accuracy_scores.scores(data))
    parts += _section("Subgroups", comparisons.subgroups(data))
    checks = [table for table in (view.health(data), memorization.screens(data)) if table]
    parts += _section("Image metrics", checks + view.fidelity(data) + extractors.tables(data))
    parts += _section("What the classifiers were trained on", view.composition(data))
    audited = audit.findings(data)
    parts += _section("Audit of the data", [audited] if audited else [])
    parts += _links(
        "Images of the findings",
        [(f"{p.heading}: {p.label}", f"audit/{p.path.name}") for p in audit.sheets(data)],
    )
    costs = view.costs(data)
    parts += _section("Time and memory", [costs] if costs else [])
    parts += _links("Figures", [(f.title, f"figures/{f.file}") for f in figures])
    for name, which in (("Preprocessing", True), ("Synthetic images", False)):
        own = [picture for picture in pictures.pictures(data) if picture.preprocessing is which]
        parts += _links(name, [(f"{p.heading}: {p.label}", f"samples/{p.path.name}") for p in own])
    if data_sets := sources(data):
        parts += ["## Data sets\n", _pairs([*data_sets, *notes(data)])]
    parts += _section("Provenance", [provenance(data)])
    others = [name for name in NAMES if name != "report.md"]
    there = [name for name in others if name == "report.html" or (folder / name).is_file()]
    parts += _links("Files", [(name, name) for name in there])
    return "\n".join(parts)


def _pairs(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(f"- **{markdown_escape(name)}**: {markdown_escape(value)}\n" for name, value in pairs)


def _section(name: str, tables: Sequence[Table]) -> Iterator[str]:
    if tables:
        yield f"## {name}\n"
    for table in tables:
        if table.title:
            yield f"### {markdown_escape(table.title)}\n"
        yield markdown_table(table.header, table.rows)
        if table.note:
            yield markdown_escape(table.note) + "\n"


def _links(name: str, links: Sequence[tuple[str, str]]) -> Iterator[str]:
    if links:
        yield f"## {name}\n\n" + "".join(
            f"- [{markdown_escape(words)}]({quote(target)})\n" for words, target in links
        )
