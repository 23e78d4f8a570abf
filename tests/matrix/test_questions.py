"""A matrix that names a question which its arms cannot answer is refused while planning, with what it lacks."""

import pytest
from tests.answers.conftest import matrix_of

from derm_bench.matrix.questions import QUESTIONS, refusals


def refused(matrix):
    return [f"{message}; {hint}" for _, message, hint in refusals(matrix)]


@pytest.mark.parametrize("number", QUESTIONS)
def test_every_question_says_what_it_needs(number):
    [said] = refused(matrix_of(["real-only"], [number]))
    assert f"question {number}" in said and "it needs" in said


def test_arms_that_are_not_compared_are_named():
    [said] = refused(matrix_of(["real-only", "cgan", "duplicate"], [3]))
    assert "list 'duplicate' in compare.baselines" in said
    pair = [{"strategy": "cgan"}, {"strategy": "duplicate"}]
    assert refused(matrix_of(["real-only", "cgan", "duplicate"], [3], (), [pair])) == []


def test_unknown_and_repeated_numbers_are_refused():
    matrix = matrix_of(["real-only", "cgan", "duplicate"], [3, 13, 3], ["duplicate"])
    assert [said.split(";")[0] for said in refused(matrix)] == [
        "there is no question 13",
        "question 3 is listed twice",
    ]


def test_the_command_refuses_with_the_line(in_process, write_matrix):
    from tests.conftest import toy_matrix

    path = write_matrix(toy_matrix(compare={"questions": [3]}))
    ran = in_process("plan", path)
    assert ran.code == 2 and "compare.questions.0" in ran.err and "duplicate" in ran.err
