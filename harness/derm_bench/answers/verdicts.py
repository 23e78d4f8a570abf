"""Questions that the verdict on one difference answers: 1, 2, 3, 5, 8, 11 and 12."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from derm_bench.answers.model import Answer, Comparison, status_of
from derm_bench.answers.tables import Finished
from derm_bench.answers.words import numbers, place
from derm_bench.matrix.questions import QUESTIONS, compared
from derm_bench.report.data import number, same


class Words(NamedTuple):
    """What a verdict means for a question; {arm} and {base} are the names of the strategies."""

    helps: str
    hurts: str
    equivalent: str


WORDS: Mapping[int, Words] = {
    1: Words(
        "{arm} helps more than the augmentation {base}",
        "{arm} helps less than the augmentation {base}",
        "{arm} and the augmentation {base} are equivalent",
    ),
    2: Words(
        "{arm} helps more than {base}, which needs no generator",
        "{arm} helps less than {base}, which needs no generator",
        "{arm} and {base}, which needs no generator, are equivalent",
    ),
    3: Words(
        "the gain of {arm} is more than that of real images drawn again ({base})",
        "{arm} is worse than real images drawn again ({base})",
        "{arm} is equivalent to real images drawn again ({base})",
    ),
    5: Words(
        "{arm} is better than {base} alone",
        "{arm} is worse than {base} alone",
        "{arm} is equivalent to {base} alone",
    ),
    8: Words(
        "{arm} beats the control {base}",
        "{arm} is worse than the control {base}",
        "{arm} is equivalent to the control {base}",
    ),
    11: Words(
        "the generator is the better use of compute: {arm} beats {base}",
        "the larger classifier is the better use of compute: {base} beats {arm}",
        "{arm} and {base} are equivalent",
    ),
    12: Words(
        "the filtered samples of {arm} help more than {base}",
        "the filtered samples of {arm} help less than {base}",
        "the filtered samples of {arm} and {base} are equivalent",
    ),
}


def by_verdict(finished: Finished, question: int) -> Answer:
    """The answer to a question that asks which of two arms is better."""
    contrasts = compared(finished.data.matrix, question)
    found = finished.compared(contrasts)
    sentences = [_sentence(one, question) + _cost(finished, one, question) for one in found]
    return with_needs(
        finished, Answer(question, QUESTIONS[question].text, status_of(found), sentences, (), found)
    )


def with_needs(finished: Finished, answer: Answer) -> Answer:
    """The answer with what its open comparisons need, and the arms that the run does not have."""
    contrasts = compared(finished.data.matrix, answer.question)
    needs = dict.fromkeys(
        f"{place(one)}, {one.arm} against {one.baseline.removesuffix(f'/{one.classifier}')}: {one.needs}"
        for one in answer.comparisons
        if one.needs
    )
    listed = list(needs)
    if absent := finished.absent(contrasts):
        listed.append(f"the strategies {', '.join(absent)}, which this run leaves out")
    if not answer.comparisons and not absent:
        listed.append("a comparison of its arms, which summary.csv does not have")
    return Answer(
        answer.question,
        answer.text,
        answer.status,
        answer.sentences,
        listed,
        answer.comparisons,
        answer.values,
    )


def _sentence(one: Comparison, question: int) -> str:
    words = WORDS[question]._asdict()
    base = one.baseline if question == 11 else one.baseline.removesuffix(f"/{one.classifier}")
    if one.verdict in words:
        said = words[one.verdict].format(arm=one.arm, base=base)
        return f"{place(one)}: {said}: {numbers(one)}."
    return f"{place(one)}: the run cannot tell {one.arm} from {base}: {numbers(one)} ({_reason(one)})."


def _reason(one: Comparison) -> str:
    """The reason of a verdict, without the p value that the numbers already have."""
    head, separator, rest = one.reason.partition(", and ")
    return rest if separator and head.startswith("p ") else one.reason


# --------------------------------------------------------------------------------------------- cost


def _cost(finished: Finished, one: Comparison, question: int) -> str:
    """What the two arms of question 11 cost per run, as a further sentence."""
    if question != 11:
        return ""
    strategy, _, classifier = one.baseline.partition("/")
    arm, base = (cost(finished, one, *names) for names in ((one.arm, one.classifier), (strategy, classifier)))
    if arm is None or base is None:
        return ""
    total, other = sum(arm), sum(base)
    said = (
        f" A run of {one.arm} took {total:.0f} s, {arm[0]:.0f} s of them for the generator; one of {one.baseline} "
        f"{other:.0f} s."
    )
    ratio = total / other if other > 0 else math.inf
    if not 2 / 3 <= ratio <= 1.5:
        said += (
            f" The two did not cost the same (ratio {ratio:.1f}), so the comparison favours the dearer one."
        )
    return said


def cost(finished: Finished, one: Comparison, strategy: str, classifier: str) -> tuple[float, float] | None:
    """The mean seconds of the generator (whole, not shared among cells) and of the training of a run of an arm."""
    rows = [
        row
        for row in finished.data.results
        if (row["dataset"], row["test_set"], row["strategy"], row["classifier"], row["status"])
        == (one.dataset, one.test_set, strategy, classifier, "done")
        and same(row["train_fraction"], one.train_fraction)
    ]
    if not rows:
        return None
    return _mean([number(r["generator_seconds"]) or 0.0 for r in rows]), _mean(
        [number(r["train_seconds"]) or 0.0 for r in rows]
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)
