"""The metric that selects on validation: it exists, it can be computed there, and it has a direction."""

import pytest
from tests.conftest import toy_matrix

from derm_bench.errors import UserError
from derm_bench.machine import Machine
from derm_bench.matrix.cells import cells
from derm_bench.matrix.load import load_matrix
from derm_bench.plan.planner import make_plan
from derm_bench.plugins import Plugins

CPU = Machine("cpu", ("cpu",), "fp32", 1)


@pytest.fixture
def selecting(toys, write_matrix):
    """What a training is told of a primary metric."""

    def plan(primary, **changes):
        plugins = Plugins()
        content = toy_matrix(analysis={"primary": primary}, seeds=[0], **changes)
        matrix = load_matrix(write_matrix(content), plugins)
        made = make_plan(matrix, cells(matrix, plugins), plugins, CPU)
        (told,) = {
            str(stage.params.primary): stage.params.primary
            for stage in made.stages.values()
            if stage.kind == "train"
        }.values()
        return told

    return plan


@pytest.mark.parametrize(
    ("primary", "higher"),
    [
        ("f1_macro", True),
        ("accuracy", True),
        ("recall_blue", True),
        ("sensitivity_at_0.90", True),
        ("log_loss", False),
        ("brier", False),
        ("ece", False),
    ],
)
def test_it_has_a_formula_and_a_direction(selecting, primary, higher):
    told = selecting(primary)
    assert (told["name"], told["higher_is_better"]) == (primary, higher)
    assert told["function"].startswith("derm_bench.scoring.")


def test_the_direction_of_a_plugin_is_its_own(selecting, tmp_path):
    (tmp_path / "costs.json").write_text("{}")
    told = selecting("toy-cost", metrics=[{"name": "toy-cost", "costs": str(tmp_path / "costs.json")}])
    assert (told["name"], told["higher_is_better"]) == ("toy-cost", False)


@pytest.mark.parametrize("primary", ["recall_nosuch", "fid", "accurracy", "fd_domain"])
def test_what_these_classes_have_not_or_needs_images_is_refused(selecting, primary):
    with pytest.raises(UserError) as refused:
        selecting(primary)
    assert primary in refused.value.message and refused.value.path == ("analysis", "primary")
