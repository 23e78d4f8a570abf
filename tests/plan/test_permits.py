"""Each permit of `protocol: paper` turns the leak that it names, and no other, into a recorded warning."""

import pytest
from tests.conftest import toy_matrix

from derm_bench.errors import UserError
from derm_bench.machine import Machine
from derm_bench.matrix.cells import cells
from derm_bench.matrix.load import load_matrix
from derm_bench.matrix.model import PERMITS
from derm_bench.plan.planner import make_plan
from derm_bench.plugins import Plugins
from derm_bench.rundir.planned import RunStages
from derm_bench.rundir.tables import protocol_name

BLOBS = {"name": "toy-blobs", "size": 8, "images": 90}
GENERATOR = {"name": "toy-mean", "budget": {"updates": 4}}
REAL = [{"name": "real-only"}]


def made(generator=None, **synthetic):
    return [
        *REAL,
        {
            "name": "made",
            "generator": GENERATOR | (generator or {}),
            "synthetic": {"per_class": 20, **synthetic},
        },
    ]


LEAKS = {
    "generator_sees_test": ({"strategies": made({"fit_on": "all"})}, "strategies.1.generator.fit_on"),
    "synthetic_in_test": (
        {"strategies": made(holdout=0.5), "test_sets": ["test", {"name": "other", "synthetic": "only"}]},
        "test_sets.1.synthetic",
    ),
    "ungrouped_split": ({"dataset": BLOBS | {"split": {"group": "none"}}, "strategies": REAL}, "split.group"),
    "select_on_test": ({"dataset": BLOBS | {"split": {"val": "test"}}, "strategies": REAL}, "split.val"),
    "select_on_synthetic": (
        {"strategies": made(holdout=0.5, val="held_out")},
        "strategies.1.synthetic.val",
    ),
    "duplicates_across_splits": (
        {
            "strategies": REAL,
            "test_sets": ["test", {"name": "other", "dataset": {"name": "toy-blobs", "images": 30}}],
        },
        "test_sets.1.dataset",
    ),
    "unmatched_budget": ({"budget": {"epochs": 2}, "strategies": REAL}, "budget.epochs"),
    "missing_class": (
        {"dataset": BLOBS | {"limit": {"per_class": {"blue": 4}}}, "strategies": REAL},
        "split",
    ),
}


@pytest.fixture
def plan(toys, write_matrix):
    def make(**changes):
        plugins = Plugins()
        matrix = load_matrix(write_matrix(toy_matrix(**({"seeds": [0]} | changes))), plugins)
        return make_plan(matrix, cells(matrix, plugins), plugins, Machine("cpu", ("cpu",), "fp32", 2))

    return make


def test_every_permit_is_tried():
    assert LEAKS.keys() == set(PERMITS)


@pytest.mark.parametrize("permit", PERMITS)
def test_a_leak_without_its_permit_is_refused_at_its_place(plan, permit):
    changes, place = LEAKS[permit]
    with pytest.raises(UserError) as caught:
        plan(**changes)
    message = str(caught.value)
    assert place in message
    assert permit in message, "the permit is named"


@pytest.mark.parametrize("permit", PERMITS)
def test_all_other_permits_do_not_permit_it(plan, permit):
    others = [name for name in PERMITS if name != permit]
    with pytest.raises(UserError):
        plan(**LEAKS[permit][0], protocol={"name": "paper", "allow": others})


@pytest.mark.parametrize("permit", PERMITS)
def test_with_its_permit_the_leak_is_a_recorded_warning_and_stands_in_every_row(plan, permit):
    planned = plan(**LEAKS[permit][0], protocol={"name": "paper", "allow": [permit]})
    recorded = [warning for warning in planned.warnings if warning.startswith("permitted by ")]
    assert recorded and all(warning.startswith(f"permitted by {permit}: ") for warning in recorded)
    stages = RunStages.of(planned)
    assert set(recorded) <= set(stages.warnings) and protocol_name(stages.matrix) == f"paper[{permit}]"


@pytest.mark.parametrize("permit", PERMITS)
def test_a_permit_alone_records_nothing(plan, permit):
    planned = plan(strategies=REAL, protocol={"name": "paper", "allow": [permit]})
    assert not [warning for warning in planned.warnings if "permitted" in warning]
