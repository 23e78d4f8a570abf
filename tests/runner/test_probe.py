"""Small versions of stages, the lines drawn through how long they took, and forecasts that follow from them."""

import pytest

from derm_bench.cli.common import plan_request
from derm_bench.forecast.forecast import EVALUATIONS, forecast
from derm_bench.forecast.past import Past
from derm_bench.forecast.probe import Probed, _fitted, _Run, unknown
from derm_bench.forecast.shrink import ShrunkenPlan, Size, small_split
from derm_bench.plan.alike import cost_class
from derm_bench.plan.params import as_dict
from derm_bench.splits import PlannedSplit
from derm_bench.training.selection import Selection


@pytest.fixture
def planned(toys, write_matrix):
    def plan(**changes):
        flags = {"no_plugins": False, "strict_plugins": False}
        chosen = {"presets": (), "sets": (), "only": (), "device": "cpu", "store": None}
        return plan_request(flags, write_matrix(**changes), **chosen).plan

    return plan


def run_of(seconds, units, peak_mb=100.0, images=10):
    return _Run(seconds, units, peak_mb, 1.0, images)


def test_start_up_and_work_are_told_apart():
    probed = _fitted(run_of(1.2, 2), run_of(3.0, 20), run_of(9.0, 1, peak_mb=300.0, images=7))
    assert probed.per_unit == pytest.approx(0.1)
    assert probed.fixed == pytest.approx(1.0)
    assert probed.seconds(2000) == pytest.approx(201.0)
    assert (probed.peak_mb, probed.images) == (300.0, 7)  # of the largest peak


@pytest.mark.parametrize(
    ("short", "long", "expected"),
    [
        (run_of(20.0, 2), None, 1000.0),  # too slow to be run again
        (run_of(3.0, 2), run_of(2.0, 4), 50.0),  # the machine was busy during the first
        (run_of(5.0, None), None, 5.0),  # what always takes the same
    ],
)
def test_where_no_line_can_be_drawn_the_last_run_counts(short, long, expected):
    assert _fitted(short, long, short).seconds(100) == pytest.approx(expected)


def test_one_stage_is_probed_for_each_combination_of_plugin_and_options(planned):
    classifiers = [
        {"name": "toy-centroid", "label": "slow", "lr": 0.1},
        {"name": "toy-centroid", "label": "fast", "lr": 0.2},
    ]
    plan = planned(classifiers=classifiers)
    chosen = unknown(plan, plan.stages, Past({}))
    titles = sorted(plan.stages[key].title for key in chosen.values() if plan.stages[key].kind == "train")
    # Two classifiers, each with and without flips; seeds and synthetic images make no difference.
    assert titles == [
        f"train {label} on {strategy} seed 0"
        for label in ("fast", "slow")
        for strategy in ("flipped", "real-only")
    ]
    known = {group: ["an earlier one"] for group in chosen if group.kind != "decode"}
    assert [group.kind for group in unknown(plan, plan.stages, Past(known))] == ["decode"]


def test_small_stages_are_of_few_images_and_updates_with_the_same_options(planned):
    plan = planned(budget={"updates": 500})
    trains = [stage for stage in plan.stages.values() if stage.kind == "train"]
    stage = next(s for s in trains if any(name.startswith("synthetic/") for name in s.inputs))
    small = ShrunkenPlan(plan, Size("short", 3, 128, {stage.key: 2}))
    (key,) = small.add([stage.key])
    train = small.plan.stages[key]
    decode = small.plan.stages[train.inputs["decode"]]
    assert set(train.inputs) == {"decode"} and len(small.plan.stages) == 2
    assert train.params.updates == 2
    assert train.params.options == stage.params.options
    assert train.identity["params"] == as_dict(train.params)  # what the worker reads
    lines = small.plan.data[decode.params.images].split(b"\n")
    (split,) = small.plan.splits.values()
    assert sorted(line.split(b"\t")[0].decode() for line in lines) == sorted(split.ids)
    assert set(split.counts("train").values()) == {3}
    assert key not in plan.stages and decode.key not in plan.stages


def test_a_small_split_takes_evenly_from_each_part_and_class():
    names = tuple(f"i{k:02d}" for k in range(30))
    labels = ("a",) * 20 + ("b",) * 10
    split = PlannedSplit(names, labels, names, ("train",) * 18 + ("test",) * 12, ("a", "b"))
    kept = small_split(split, 3)
    assert kept.ids == ("i00", "i06", "i12", "i18", "i19", "i20", "i23", "i26")
    assert kept.counts("test") == {"a": 2, "b": 3}


def test_a_probe_is_scaled_to_the_planned_work(planned):
    plan = planned(budget={"updates": 100}, strategies=[{"name": "real-only"}], seeds=[0])
    classes = {stage.kind: cost_class(stage.identity) for stage in plan.stages.values()}
    probed = {
        classes["train"]: Probed(1.0, 0.5, 400.0, 2.0, 10),
        classes["evaluate"]: Probed(0.25, 0.01, 300.0, 0.5, 10),
    }
    found = forecast(plan, list(plan.stages), Past({}), probed)
    (split,) = plan.splits.values()
    val, test = (sum(split.counts(part).values()) for part in ("val", "test"))
    assert found["train"].seconds == pytest.approx(1.0 + 0.5 * 100 + EVALUATIONS * 0.01 * val)
    assert found["evaluate"].seconds == pytest.approx(0.25 + 0.01 * (val + test))
    assert found["train"].peak_mb > 400.0  # of which more images are to be held than the probe had
    assert [found[kind].source for kind in ("train", "evaluate", "decode")] == [
        "a probe",
        "a probe",
        "a guess",
    ]


def test_forecasts_count_as_many_evaluations_as_a_training_makes():
    assert Selection().evaluations == EVALUATIONS
