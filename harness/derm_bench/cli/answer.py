"""`derm-bench answer`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import click

from derm_bench.answers.answer import answers
from derm_bench.answers.model import SETTLED, Answer
from derm_bench.report.data import ReportData
from derm_bench.rundir.archive import run_folder
from derm_bench.terminal import say

SHOWN = 12
"""The most sentences of a question, and the most needs, that are printed; --json has all."""


@click.command()
@click.argument("run_dir", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the answers as JSON, with every number.")
def answer(run_dir: Path, as_json: bool) -> int:
    """Answer the questions that the finished run in RUN_DIR settles, a sentence for each comparison with its numbers,
    or say what would be needed. RUN_DIR may be the archive of a run.

    The questions are those of `compare.questions` in the matrix, else all whose arms it has. Only the tables of the run
    are read; nothing is trained.
    """
    with run_folder(run_dir) as folder:
        found = answers(ReportData.load(folder))
    if as_json:
        shown = {"run_dir": str(run_dir), "answers": [one.as_json() for one in found]}
        click.echo(json.dumps(shown, allow_nan=False))
    elif not found:
        say(
            "The matrix has the arms of none of the twelve questions; docs/questions.md lists what each needs."
        )
    else:
        for one in found:
            _print(one)
    return 0


def _print(one: Answer) -> None:
    say(f"{one.question}. {one.text} {one.status[0].upper()}{one.status[1:]}.")
    _limited(one.sentences, "sentences")
    if one.status != SETTLED and one.needs:
        say("   Needed for what is open:")
        _limited(one.needs, "lines")


def _limited(lines: Sequence[str], what: str) -> None:
    for line in lines[:SHOWN]:
        say(f"   - {line}")
    if len(lines) > SHOWN:
        say(f"   and {len(lines) - SHOWN} more {what}; --json has all")
