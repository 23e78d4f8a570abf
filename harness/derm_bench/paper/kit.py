"""Writes the paper kit of a run: LaTeX and Markdown of the same content, and the figures as PDF."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from derm_bench.answers.answer import answers
from derm_bench.errors import UserError
from derm_bench.paper import latex
from derm_bench.paper.checklist import checklist
from derm_bench.paper.methods import methods
from derm_bench.report import accuracy_scores, comparisons, plots, view
from derm_bench.report.data import ReportData
from derm_bench.report.figures import all_figures, slug
from derm_bench.report.tables import markdown_escape, markdown_table
from derm_bench.report.view import Table
from derm_bench.rundir.files import emptied, write_text

MAIN = "paper.tex"
FILES = (MAIN, "tables.tex", "tables.md", "methods.tex", "methods.md", "checklist.tex", "checklist.md")
FIGURES = "figures"
HEADER = ("guideline", "item", "answer")


def write_kit(data: ReportData, out: Path) -> list[Path]:
    """Write the kit into `out`, which must be new, empty or an earlier kit, and return its files.

    Raises UserError for another folder, which is left as it is.
    """
    _check(out)
    out.mkdir(parents=True, exist_ok=True)
    named = _tables(data)
    paragraphs = methods(data)
    items = checklist(data, paragraphs)
    figures = _figures(data, out / FIGURES)
    texts = {
        "tables.tex": "\n".join(latex.table(table, slug(name)) for name, table in named),
        "tables.md": "\n".join(_markdown(table) for _, table in named),
        "methods.tex": "\n\n".join(
            rf"\paragraph{{{latex.escape(head)}.}} {latex.escape(text)}" for head, text in paragraphs
        )
        + "\n",
        "methods.md": "\n\n".join(f"**{markdown_escape(h)}.** {markdown_escape(t)}" for h, t in paragraphs)
        + "\n",
        "checklist.tex": latex.long_table(HEADER, items, (0.13, 0.3, 0.48)),
        "checklist.md": markdown_table(HEADER, items),
        MAIN: _main(data, figures),
    }
    for name, text in texts.items():
        write_text(text, out / name)
    return [*(out / name for name in FILES), *(out / FIGURES / file for file, _, _ in figures)]


def _check(out: Path) -> None:
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UserError(f"{out.absolute()} is not a folder", hint="name a new folder with --paper")
    if out.is_dir() and any(out.iterdir()) and not (out / MAIN).is_file():
        raise UserError(
            f"{out.absolute()} has files and is not an earlier paper kit",
            hint="name a new or empty folder with --paper",
        )


def _tables(data: ReportData) -> list[tuple[str, Table]]:
    """(name, table) of all tables; names are distinct, for labels."""
    costs = view.costs(data)
    groups = (
        ("results", view.headline(data)),
        ("verdicts", [_without_reasons(table) for table in comparisons.verdicts(data)]),
        ("recalls", view.per_class(data)),
        ("images", view.fidelity(data)),
        ("accuracy-scores", accuracy_scores.scores(data)),
        ("composition", view.composition(data)),
        ("subgroups", comparisons.subgroups(data)),
        ("costs", [costs] if costs else []),
        ("failures", [table] if (table := view.failures(data)) else []),
        ("answers", _answers(data)),
    )
    return [
        (f"{name}-{k}", _titled(table, name)) for name, tables in groups for k, table in enumerate(tables, 1)
    ]


def _titled(table: Table, name: str) -> Table:
    title = f"{name.capitalize()}: {table.title}" if table.title else name.capitalize()
    return Table(title, table.header, table.rows, table.note)


def _without_reasons(table: Table) -> Table:
    """A table of verdicts without its last column, whose sentences are too long for print."""
    if table.header[-1] != "why":
        return table
    return Table(table.title, table.header[:-1], [row[:-1] for row in table.rows], table.note)


def _answers(data: ReportData) -> list[Table]:
    rows = [[str(one.question), one.text, one.status] for one in answers(data)]
    return (
        [Table("", ("no", "question", "status"), rows, "`derm-bench answer` gives the numbers.")]
        if rows
        else []
    )


def _figures(data: ReportData, folder: Path) -> list[tuple[str, str, str]]:
    """Draw all figures as PDF; return (file, title, caption) of each."""
    import matplotlib

    emptied(folder)
    made: list[tuple[str, str, str]] = []
    with plots.style(), matplotlib.rc_context({"pdf.fonttype": 42}):
        for name, title, caption, _, figure in all_figures(data):
            if figure is None:
                continue
            stem = re.sub(r"[^A-Za-z0-9-]+", "-", slug(name))  # LaTeX reads some other characters as commands
            file = f"{len(made) + 1:02d}-{stem}.pdf"
            plots.save_pdf(figure, folder / file)
            made.append((file, title, caption))
    return made


def _main(data: ReportData, figures: Sequence[tuple[str, str, str]]) -> str:
    name = latex.escape(data.matrix.get("name") or "derm-bench run")
    shown = "\n".join(
        "\n".join(
            [
                r"\begin{figure}[htbp]",
                r"\centering",
                rf"\includegraphics[width=\linewidth,height=0.8\textheight,keepaspectratio]{{{FIGURES}/{file}}}",
                rf"\caption{{{latex.escape(title)}. {latex.escape(caption)}}}",
                r"\end{figure}",
                r"\clearpage" if k % 4 == 0 else "",
            ]
        )
        for k, (file, title, caption) in enumerate(figures, 1)
    )
    return (
        f"{latex.PREAMBLE}\\title{{{name}}}\n\\date{{}}\n\\begin{{document}}\n\\maketitle\n"
        "% To take over single parts, copy the lines \\input{...} into your paper.\n"
        "\\section{Methods}\n\\input{methods}\n\\section{Results}\n\\input{tables}\n\\clearpage\n\\section{Figures}\n"
        f"{shown}\n\\clearpage\n\\section{{Checklist}}\n\\input{{checklist}}\n\\end{{document}}\n"
    )


def _markdown(table: Table) -> str:
    title = f"### {markdown_escape(table.title)}\n\n" if table.title else ""
    note = f"\n{markdown_escape(table.note)}\n" if table.note else ""
    return f"{title}{markdown_table(table.header, table.rows)}{note}"
