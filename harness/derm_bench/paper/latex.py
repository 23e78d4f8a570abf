"""Text and tables as LaTeX. All text is escaped: labels may come from anybody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from derm_bench.plain_text import printable
from derm_bench.report.tables import SUPPORTED
from derm_bench.report.view import Table

_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}",
    "Δ": r"$\Delta$",
    "±": r"$\pm$",
    "−": r"$-$",
    "×": r"$\times$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "–": "--",
    "…": r"\ldots{}",
    "—": "---",
    "²": r"\textsuperscript{2}",
}
_TRANSLATED = {ord(mark): text for mark, text in _ESCAPES.items()}

PREAMBLE = r"""\documentclass{article}
\usepackage{iftex}
\ifPDFTeX\usepackage[T1]{fontenc}\usepackage[utf8]{inputenc}\else\usepackage{fontspec}\fi
\usepackage{booktabs,graphicx,longtable}
\usepackage[margin=2.5cm]{geometry}
"""


def escape(text: object) -> str:
    """Return text on one line in which nothing is a command of LaTeX."""
    return " ".join(printable(str(text)).split()).translate(_TRANSLATED)


def table(made: Table, label: str) -> str:
    """Return a table environment with booktabs rules, no wider than the line. Verdicts that the data support are bold,
    and nothing else is."""
    columns = "".join("r" if _numeric(made.rows, k) else "l" for k in range(len(made.header)))
    lines = [
        r"\begin{table}[htbp]",
        r"\centering\small",
        rf"\caption{{{escape(made.title) or 'Results'}. {escape(made.note)}}}",
        rf"\label{{tab:{label}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        _row(map(escape, made.header)),
        r"\midrule",
        *(_row(_cell(cell) for cell in row) for row in made.rows),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def long_table(header: Sequence[str], rows: Iterable[Sequence[str]], widths: Sequence[float]) -> str:
    """Return a table over several pages with columns of these shares of the line."""
    columns = "".join(rf"p{{{width:.2f}\linewidth}}" for width in widths)
    head = _row(rf"\textbf{{{escape(name)}}}" for name in header)
    lines = [
        rf"\begin{{longtable}}{{{columns}}}",
        r"\toprule",
        head,
        r"\midrule",
        r"\endhead",
        *(_row(map(escape, row)) for row in rows),
        r"\bottomrule",
        r"\end{longtable}",
    ]
    return "\n".join(lines) + "\n"


def _row(cells: Iterable[str]) -> str:
    return " & ".join(cells) + r" \\"


def _cell(cell: str) -> str:
    supported = cell.lower().startswith(SUPPORTED)
    return rf"\textbf{{{escape(cell)}}}" if supported else escape(cell)


def _numeric(rows: Sequence[Sequence[str]], column: int) -> bool:
    cells = [row[column] for row in rows if row[column]]
    return bool(cells) and all(cell[0] in "+-−–.0123456789<" for cell in cells)
