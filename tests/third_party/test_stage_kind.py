"""A stage kind written as a third party would: one entry, one function, and the place that enters it."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from derm_bench.executors.base import ExecutorSettings
from derm_bench.executors.local import LocalExecutor
from derm_bench.forecast.forecast import forecast
from derm_bench.forecast.past import Past
from derm_bench.machine import Machine
from derm_bench.matrix.cells import cells
from derm_bench.matrix.load import load_matrix
from derm_bench.plan.book import StageBook
from derm_bench.plan.explain import differences
from derm_bench.plan.kinds import KINDS, kind_of
from derm_bench.plan.planner import make_plan
from derm_bench.plugins import Plugins
from derm_bench.runner.execute import Execution
from derm_bench.runner.progress import PlainProgress
from derm_bench.store import Store, maintenance
from tests.conftest import toy_matrix

HERE = Path(__file__).parent


@pytest.fixture
def colours(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setenv("PYTHONPATH", f"{HERE}:{sys.path[1]}")
    import colours

    yield colours
    KINDS.pop(colours.KIND.name, None)
    for name in ("colours", "colours.stage"):
        sys.modules.pop(name, None)


@pytest.fixture
def book(toys, write_matrix):
    plugins = Plugins()
    matrix = load_matrix(write_matrix(toy_matrix(strategies=[{"name": "real-only"}], seeds=[0])), plugins)
    made = StageBook(
        make_plan(matrix, cells(matrix, plugins), plugins, Machine("cpu", ("cpu",), "fp32", 1)), plugins
    )
    return made


def test_it_is_planned_run_stored_and_shown_like_any_other(colours, book, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{HERE}:{HERE.parent / 'toys'}")
    key = colours.enter(book, "toy-blobs")
    stage = book.plan.stages[key]
    assert (stage.title, kind_of(stage).word) == ("count the colours of toy-blobs", "analyse")
    assert forecast(book.plan, [key], Past({}))["analyse"].stages == 1

    store = Store(tmp_path / "store")
    store.prepare()
    for content in book.plan.data.values():
        store.put(content)
    executor = LocalExecutor(None, ExecutorSettings(store.root, book.plan.machine, workers=1))
    execution = Execution(book.plan, store)
    try:
        execution.run(executor, [key], PlainProgress(quiet=True))
    finally:
        executor.stop()
    assert execution.outcomes[key].status == "done", execution.outcomes[key].error
    assert store.finished(key).result["colours"] >= 3
    assert maintenance.summarise(store)["kinds"]["count-colours"]["stages"] == 1


def test_its_parameters_and_its_code_are_its_identity_and_explain_tells_them_apart(colours, book):
    first, second = (book.plan.stages[colours.enter(book, "toy-blobs", levels=n)] for n in (8, 16))
    assert first.key != second.key
    assert differences(second.identity, first.identity) == ["levels: 8 -> 16"]


def test_two_functions_of_one_module_with_equal_parameters_are_two_stages(colours, book):
    first = colours.enter(book, "toy-blobs")
    other = replace(colours.KIND, function="colours.stage:count_pixels")
    KINDS[other.name] = other
    second = colours.enter(book, "toy-blobs")
    assert first != second


def test_a_name_is_taken_once(colours):
    from derm_bench.plan.kinds import register

    with pytest.raises(ValueError, match="a stage kind named 'count-colours' already exists"):
        register(replace(colours.KIND, title="other"))
