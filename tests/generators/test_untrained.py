"""Generators that train nothing take no budget and no augmentation: writing one is an error, presets skip them."""

import json

import pytest
from tests.conftest import toy_matrix

from derm_bench.matrix.options import compose_options
from derm_bench.plugins import Plugins
from derm_bench.specs import Budget

FOUND = Plugins(builtins_only=True)
UNTRAINED = {
    *("duplicate", "blur", "bottleneck", "shuffled-label", "more-real", "noise"),
    *("aagan", "lesion-paste", "folder", "command", "graded", "stylegan2-hierarchy"),
}


def with_generator(generator, **changes):
    """A small matrix with one synthetic strategy."""
    arm = {"name": "synthetic", "generator": generator, "synthetic": {"per_class": {"blue": 2}}}
    return toy_matrix(seeds=[0], strategies=["real-only", arm], **changes)


def test_these_built_in_generators_train_nothing():
    assert {name for name in FOUND.names("generator") if not FOUND.get("generator", name).trains} == UNTRAINED


@pytest.mark.parametrize("name", sorted(UNTRAINED))
def test_options_of_training_are_no_options_of_a_generator_that_trains_nothing(name):
    model = compose_options(FOUND.get("generator", name))
    assert not {"budget", "augment", "balance"} & set(model.model_fields)
    assert {"size", "scope", "classes"} <= set(model.model_fields)
    assert (model.budget, model.augment, model.balance) == (Budget(updates=1), (), False)


@pytest.mark.parametrize(
    ("option", "value"),
    [("budget", {"epochs": 5}), ("budget", {"updates": 1}), ("augment", ["hflip"]), ("balance", True)],
)
@pytest.mark.parametrize("name", ["noise", "lesion-paste"])
def test_an_option_of_training_is_refused_at_its_place(in_process, write_matrix, name, option, value):
    refused = in_process("plan", write_matrix(with_generator({"name": name, option: value})))
    assert refused.code == 2 and "Traceback" not in refused.err
    assert f"strategies.1.generator.{option}" in refused.err
    assert f"unknown key '{option}'" in refused.err
    assert f"{name} trains nothing, so {option} has no effect: leave it out" in refused.err


def test_a_preset_for_all_budgets_skips_them(in_process, write_matrix):
    matrix = with_generator("noise", presets={"smoke": {"strategies.*.generator.budget": {"updates": 3}}})
    gan = {"name": "gan", "generator": {"name": "dcgan", "base": 4}, "synthetic": {"per_class": {"blue": 2}}}
    matrix["strategies"].append(gan)
    planned = in_process("plan", write_matrix(matrix), "--preset", "smoke", "--json")
    assert planned.code == 0, planned.err
    assert json.loads(planned.out)["cells"]


def test_set_refuses_a_budget_where_there_is_none(in_process, write_matrix):
    path = write_matrix(with_generator("noise"))
    refused = in_process("plan", path, "--set", "strategies.1.generator.budget={updates: 3}")
    assert refused.code == 2 and "unknown key 'budget'" in refused.err


def test_a_matrix_with_them_runs_and_counts_one_update(in_process, write_matrix, tmp_path):
    ran = in_process("run", write_matrix(with_generator("duplicate")))
    assert ran.code == 0, ran.err
    stages = [json.loads(path.read_text()) for path in (tmp_path / "store").rglob("stage.json")]
    fits = [stage for stage in stages if stage["identity"]["params"].get("generator") == "duplicate"]
    fits = [stage for stage in fits if stage["identity"]["kind"] == "fit"]
    assert [stage["result"]["updates"] for stage in fits] == [1]
    assert not {"budget", "augment", "balance"} & set(fits[0]["identity"]["params"]["options"])
