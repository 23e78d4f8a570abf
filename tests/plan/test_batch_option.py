"""Budgets in epochs and kimg are counted in batches of the option that the spec names, or refused if it is unclear."""

import pytest
from tests.conftest import toy_matrix

from derm_bench.forecast.costs import Costs
from derm_bench.machine import Machine
from derm_bench.matrix.cells import cells
from derm_bench.matrix.load import load_matrix
from derm_bench.plan.amounts import Amounts
from derm_bench.plan.kinds import guessed_seconds
from derm_bench.plan.planner import make_plan
from derm_bench.plugins import Plugins

CPU = Machine("cpu", ("cpu",), "fp32", 2)


def matrix_of(generator, budget):
    generator = generator | ({"budget": budget} if budget else {})
    strategy = {"name": "gan", "generator": generator, "synthetic": {"per_class": 2}}
    return toy_matrix(seeds=[0], strategies=[strategy], budget={"updates": 2})


@pytest.mark.parametrize("budget", [{"epochs": 3}, {"kimg": 0.06}, {"updates": 5}])
def test_the_option_that_the_spec_names_is_the_batch_size(toys, write_matrix, budget):
    plugins = Plugins()

    def updates(generator):
        matrix = load_matrix(write_matrix(matrix_of(generator, budget)), plugins)
        plan = make_plan(matrix, cells(matrix, plugins), plugins, CPU)
        return [stage.params.updates for stage in plan.stages.values() if stage.kind == "fit"]

    assert updates({"name": "toy-spelled", "batch": 6}) == updates({"name": "toy-mean", "batch_size": 6})


def test_a_fit_is_served_batches_of_that_size(in_process, write_matrix):
    """toy-spelled checks it."""
    matrix = write_matrix(matrix_of({"name": "toy-spelled", "batch": 6}, {"updates": 2}))
    ran = in_process("run", matrix, "--out", "out")
    assert ran.code == 0, ran.err


@pytest.mark.parametrize(
    ("budget", "unit"), [({"epochs": 3}, "epochs"), ({"kimg": 1}, "kimg"), ({}, "epochs")]
)
def test_a_budget_that_cannot_be_counted_is_refused(in_process, write_matrix, budget, unit):
    ran = in_process("plan", write_matrix(matrix_of({"name": "toy-unspelled"}, budget)))
    said = " ".join(ran.err.split())
    assert ran.code == 2 and "strategies.0.generator" in said
    assert (
        f"a budget in {unit} is counted in batches of the option `batch_size`, which it does not have" in said
    )
    assert "`batch` may be it" in said and "budget: {updates: n}" in said


def test_a_budget_in_updates_needs_no_batch_size(in_process, write_matrix):
    ran = in_process("plan", write_matrix(matrix_of({"name": "toy-unspelled"}, {"updates": 5})))
    assert ran.code == 0, ran.err


@pytest.mark.parametrize(
    ("plugin", "batch"), [("toy-spelled", 6), ("toy-unspelled", 64), ("not-installed", 64)]
)
def test_forecasts_know_the_batch_size_by_the_name_that_the_spec_gives(toys, plugin, batch):
    fit = {"kind": "fit", "params": {"generator": plugin, "options": {"batch": 6}, "size": 8}}
    assert Costs(Plugins()).per_unit(fit) == 8**2 * batch


@pytest.mark.parametrize(("plugin", "option"), [("toy-spelled", "batch"), ("toy-mean", "batch_size")])
def test_guesses_before_any_record_know_it_too(toys, write_matrix, plugin, option):
    def guess(batch):
        plugins = Plugins()
        matrix = load_matrix(
            write_matrix(matrix_of({"name": plugin, option: batch}, {"updates": 50})), plugins
        )
        plan = make_plan(matrix, cells(matrix, plugins), plugins, CPU)
        (fit, *_) = [stage for stage in plan.stages.values() if stage.kind == "fit"]
        return guessed_seconds(fit, Amounts(plan))

    assert guess(60) == pytest.approx(10 * guess(6))
