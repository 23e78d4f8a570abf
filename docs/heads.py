"""Writes the heads of the published tables and of the boards into README.md, and the list of boards into
leaderboards/README.md, between two comments each."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from markup import Lines, code, row, write_if_changed

from derm_bench.leaderboard.published import PublishedValue, papers, read_published
from derm_bench.leaderboard.task import BOARD, read_board

ROOT = Path(__file__).parent.parent
BOARDS = ROOT / "leaderboards"
HEAD = 2
"""Rows of each paper in README.md."""
BEST = 5
"""Rows of each board."""
BEGIN, END = "<!-- heads: written by docs/generate.py -->", "<!-- end of heads -->"


def pages() -> Iterator[tuple[Path, str]]:
    """Yields each page that has heads, with the text that it should have."""
    for page, lines in ((ROOT / "README.md", readme_heads()), (BOARDS / "README.md", list_of_boards())):
        yield page, _between(page.read_text(), "\n".join(lines))


def write() -> None:
    """Writes both pages."""
    for page, text in pages():
        write_if_changed(page, text)


def _between(text: str, inner: str) -> str:
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    assert begin and end, "the page has no place for heads"
    return f"{before}{BEGIN}\n{inner.strip()}\n{END}{after}"


def readme_heads() -> Lines:
    """The first values of each paper, and the best rows of each board."""
    yield row("paper", "data", "method", "metric", "printed", "flag", "source")
    yield row(*["---"] * 7)
    published = [read_published(paper) for paper in papers()]
    for values in published:
        for value in headline(values):
            data = value.dataset or "not stated"
            cells = (value.paper, data, value.method, code(value.metric), value.in_words(), value.status)
            yield row(*cells, value.source)
    total = [value for values in published for value in values]
    doubtful = sum(value.status in ("inconsistent", "suspect-copy") for value in total)
    yield ""
    yield (
        f"The first accuracies of each paper, of {len(total)} values in all. {doubtful} are marked as inconsistent "
        "with other numbers of their paper or as suspected copies, with the reason in their note."
    )
    for folder in boards():
        yield from board_head(folder)


def headline(values: Sequence[PublishedValue]) -> list[PublishedValue]:
    """The first accuracies of a paper on whole test sets, or else its first values."""
    wanted = [value for value in values if value.metric == "accuracy" and not value.class_name]
    return (wanted or list(values))[:HEAD]


def boards() -> list[Path]:
    """The folders of the boards that are committed."""
    return sorted(path.parent for path in BOARDS.glob(f"*/{BOARD}"))


def board_head(folder: Path) -> Lines:
    """The best rows of a board."""
    task = read_board(folder).task
    with (folder / "leaderboard.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    place = folder.relative_to(ROOT).as_posix()
    yield from ("", f"The head of the board [{task.name}]({place}/README.md), of {len(rows)} rows:", "")
    yield row("rank", "strategy", "classifier", code(task.metric), "Δ to baseline", "verdict")
    yield row(*["---"] * 6)
    for one in rows[:BEST]:
        rank = (
            one["rank_low"]
            if one["rank_low"] == one["rank_high"]
            else f"{one['rank_low']}–{one['rank_high']}"
        )
        mean = _with_interval(one["mean"], one["ci_low"], one["ci_high"], "")
        delta = _with_interval(one["delta"], one["delta_ci_low"], one["delta_ci_high"], "+")
        yield row(rank, one["strategy"], one["classifier"], mean, delta, one["verdict"])


def _with_interval(value: str, low: str, high: str, sign: str) -> str:
    shown = [f"{float(number):{sign}.3f}" if number else "" for number in (value, low, high)]
    return f"{shown[0]} [{shown[1]}, {shown[2]}]" if shown[1] and shown[2] else shown[0]


def list_of_boards() -> Lines:
    """The boards with their data and their number of rows."""
    found = boards()
    yield "Boards built with derm-bench lie here, a folder a board." + (
        "" if found else " There is none yet."
    )
    for folder in found:
        task = read_board(folder).task
        yield (
            f"- [{task.name}]({folder.name}/README.md): {task.dataset.name} at {task.dataset.size} px, by "
            f"{code(task.metric)}"
        )
