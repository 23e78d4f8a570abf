"""Every ready matrix of a question can be planned as a smoke run, and asks its question."""

from pathlib import Path

import pytest

from derm_bench.matrix.load import load_matrix
from derm_bench.plugins import Plugins

FOLDER = Path(__file__).parents[2] / "benchmarks" / "questions"
FILES = sorted(FOLDER.glob("[0-9]*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_ready_matrix_asks_its_question_with_every_preset(path):
    plugins = Plugins(builtins_only=True)
    for presets in ((), ("smoke",), ("ham10000",), ("ham10000", "smoke")):
        matrix = load_matrix(path, plugins, presets=presets)
        assert matrix.compare.questions == (int(path.stem[:2]),)


def test_there_is_one_for_each_question():
    assert [int(path.stem[:2]) for path in FILES] == list(range(1, 13))
