"""Answers the questions of a finished run directory."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from derm_bench.answers import gains
from derm_bench.answers.image_metrics import prediction
from derm_bench.answers.model import Answer
from derm_bench.answers.tables import Finished
from derm_bench.answers.verdicts import by_verdict
from derm_bench.matrix.questions import QUESTIONS, answerable
from derm_bench.report.data import ReportData

OTHERS: Mapping[int, Callable[[Finished], Answer]] = {
    4: gains.amounts,
    6: gains.test_sets,
    7: gains.classes,
    9: gains.starts,
    10: prediction,
}
"""The questions that more than a verdict answers."""


def answers(data: ReportData) -> list[Answer]:
    """Return the answers to the questions that the matrix names, or to all whose arms it has, in their
    order. A manifest without a matrix gives none."""
    finished = Finished(data)
    return [
        OTHERS[number](finished) if number in OTHERS else by_verdict(finished, number)
        for number in answerable(data.matrix)
        if number in QUESTIONS
    ]
