"""`synthetic.filter`: more samples than the quota are drawn and graded, and the best are kept."""

import json

import numpy as np
import pytest
import torch
from tests.conftest import read_csv, toy_matrix

from derm_bench.errors import UserError
from derm_bench.machine import Machine
from derm_bench.matrix.cells import cells
from derm_bench.matrix.load import load_matrix
from derm_bench.plan.planner import make_plan
from derm_bench.plan.quota import WINDOW, drawn_for, kept_of_window
from derm_bench.plugins import Plugins
from derm_bench.specs import Task, create
from derm_bench.stages.filter import best_of_windows

CONFIDENCE = {"by": "confidence", "keep": 0.5, "classifier": "toy-centroid"}


def strategy(n=20, filter=CONFIDENCE, generator="toy-mean", **synthetic):
    return {
        "name": "filtered",
        "generator": {"name": generator, "budget": {"updates": 4}},
        "synthetic": {"per_class": n, "filter": filter, **synthetic},
    }


@pytest.fixture
def plan(toys, write_matrix):
    def make(*strategies, **changes):
        plugins = Plugins()
        matrix = load_matrix(write_matrix(toy_matrix(strategies=list(strategies), **changes)), plugins)
        return make_plan(matrix, cells(matrix, plugins), plugins, Machine("cpu", ("cpu",), "fp32", 2))

    return make


def of_kind(plan, kind):
    return [stage for stage in plan.stages.values() if stage.kind == kind]


@pytest.mark.parametrize("keep", [1.0, 0.5, 0.3, 0.01])
def test_the_quota_is_met_after_filtering_and_what_is_drawn_is_bounded(keep):
    for n in (1, 63, 64, 65, 500):
        drawn = drawn_for(n, keep, np.inf)
        kept = best_of_windows(np.random.default_rng(0).random(drawn), WINDOW, kept_of_window(keep))
        assert len(kept) >= n and drawn <= -(-n // kept_of_window(keep)) * WINDOW


def test_a_generator_with_few_images_gives_all_of_them_to_the_filter_or_is_refused():
    assert drawn_for(100, 0.5, 300) == 256 and drawn_for(150, 0.5, 300) == 300
    assert drawn_for(151, 0.5, 300) is None
    assert len(best_of_windows(np.arange(300.0), WINDOW, kept_of_window(0.5))) == 150


def test_the_images_of_a_small_quota_are_the_first_of_those_of_a_large_one():
    grades = np.random.default_rng(1).random(4 * WINDOW)
    few = best_of_windows(grades[:WINDOW], WINDOW, 40)
    assert best_of_windows(grades, WINDOW, 40)[:40] == few


def test_the_best_of_each_window_are_kept_in_their_order_and_the_first_of_equals():
    assert best_of_windows(np.array([0.1, 0.9, 0.5, 0.5, 0.7, 0.2, 0.8]), 4, 2) == [1, 2, 4, 6]


def test_a_filter_is_fitted_on_real_training_images_and_shared_by_the_cells_of_a_seed(plan):
    planned = plan({"name": "real-only"}, strategy(), strategy() | {"name": "again"}, seeds=[0])
    assert len(of_kind(planned, "filter")) == 3, "one a class, for both strategies"
    grader = {stage.inputs["requires/grader"] for stage in of_kind(planned, "filter")}
    real_only = next(cell.train for cell in planned.cells if cell.cell.strategy == "real-only")
    assert grader == {real_only}, "equal work is one stage"
    assert {stage.params.n for stage in of_kind(planned, "sample") if stage.params.n >= 100} == {WINDOW}


def test_options_of_the_classifier_of_a_filter_change_it_and_nothing_before_it(plan):
    other = CONFIDENCE | {"classifier": {"name": "toy-centroid", "lr": 0.5}}
    before, after = plan(strategy()), plan(strategy(filter=other))
    for kind in ("decode", "fit", "sample"):
        assert {s.key for s in of_kind(before, kind)} == {s.key for s in of_kind(after, kind)}
    assert not {s.key for s in of_kind(before, "filter")} & {s.key for s in of_kind(after, "filter")}


@pytest.mark.parametrize(
    ("filter", "said"),
    [
        ({"by": "discriminator"}, ["'toy-mean' has no discriminator", "filter.by", "confidence"]),
        ({"by": "confidence", "classifier": "toy-centroit"}, ["filter.classifier", "toy-centroid"]),
        ({"by": "confidence", "classifier": {"name": "toy-centroid", "lrr": 1}}, ["classifier.lrr", "lr"]),
        ({"by": "discriminator", "classifier": "toy-centroid"}, ["leave `classifier` out"]),
        ({"by": "confidence", "keep": 0.001}, ["filter.keep", "0.01"]),
        ({"by": "luck"}, ["filter.by", "confidence"]),
    ],
)
def test_a_filter_that_cannot_be_is_refused_with_its_place(plan, filter, said):
    with pytest.raises(UserError) as caught:
        plan(strategy(filter=filter))
    assert all(part in str(caught.value) for part in said), str(caught.value)


def test_the_default_classifier_of_a_filter_is_a_small_network(plan):
    planned = plan(strategy(filter={"by": "confidence"}), seeds=[0])
    grader = planned.stages[of_kind(planned, "filter")[0].inputs["requires/grader"]]
    assert grader.params.classifier == "dermagan-cnn"
    assert [r.owner for r in planned.required] == ["filtered/filter/dermagan-cnn"]


def test_filtered_samples_are_trained_on_and_what_was_left_out_is_counted(in_process, write_matrix, tmp_path):
    write_matrix(toy_matrix(strategies=[{"name": "real-only"}, strategy(holdout=0.25)], seeds=[0]))
    ran = in_process("run", "matrix.yaml", "--out", "out")
    assert ran.code == 0, ran.err
    row = next(r for r in read_csv(tmp_path / "out" / "results.csv") if r["strategy"] == "filtered")
    assert row["n_train_synthetic"] == "45", "three quarters of 20 in each of three classes"
    warnings = json.loads((tmp_path / "out" / "manifest.json").read_text())["warnings"]
    assert (
        "filtered: of the 128 samples of 'red' that were graded, 20 were used, and the others left out"
        in warnings
    )
    results = (tmp_path / "out" / "results.csv").read_text().splitlines()
    again = in_process(
        "run", "matrix.yaml", "--out", "again", "--store", "other", "--workers", "3", inline=False
    )
    assert again.code == 0, again.err
    same = [line.split(",")[-10:] for line in (tmp_path / "again" / "results.csv").read_text().splitlines()]
    assert same == [line.split(",")[-10:] for line in results], "workers change nothing"


def test_the_kept_samples_are_those_that_the_classifier_is_surest_of(in_process, write_matrix, tmp_path):
    write_matrix(toy_matrix(strategies=[strategy(64)], seeds=[0]))
    assert in_process("run", "matrix.yaml", "--out", "out").code == 0
    for document in (tmp_path / "store").glob("objects/**/stage.json"):
        if '"kind": "filter"' in document.read_text() or '"kind":"filter"' in document.read_text():
            grades = np.load(document.parent / "grades.npy")
            places = json.loads((document.parent / "samples.json").read_text())["places"]
            dropped = sorted(set(range(128)) - set(places))
            assert len(places) == 64 and grades[places].min() >= grades[dropped].max()
            break
    else:
        pytest.fail("no filter ran")


def test_the_discriminator_of_the_snapshot_that_is_sampled_grades_its_images(
    in_process, write_matrix, tmp_path
):
    gan = {"name": "acgan", "preset": "tiny", "budget": {"updates": 4}}
    made = {"per_class": 9, "filter": {"by": "discriminator", "keep": 0.25}, "snapshot": 2}
    strategies = [{"name": "filtered", "generator": gan, "synthetic": made}]
    write_matrix(toy_matrix(strategies=strategies, seeds=[0], snapshots={"every": 2}))
    ran = in_process("run", "matrix.yaml", "--out", "out")
    assert ran.code == 0, ran.err
    row = read_csv(tmp_path / "out" / "results.csv")[0]
    assert row["n_train_synthetic"] == "27"
    explained = in_process("explain", "matrix.yaml", "*")
    assert "keep the best 9 red from acgan at 2 seed 0 by discriminator" in explained.out


GRADING = [
    name
    for name in Plugins(builtins_only=True).names("generator")
    if Plugins(builtins_only=True).get("generator", name).realness
]


@pytest.mark.parametrize("name", GRADING)
def test_every_built_in_discriminator_grades_each_image(name):
    torch.manual_seed(0)
    spec = Plugins(builtins_only=True).get("generator", name)
    options = spec.options.model_validate(spec.presets["tiny"])
    classes = ("a", "b", "c") if spec.conditional else ("a",)
    generator = create(spec, options, Task(classes, options.size or 32))
    images = torch.rand(5, 3, options.size or 32, options.size or 32) * 2 - 1
    before = {key: value.clone() for key, value in generator.state().items()}
    grades = generator.realness(images, 0)
    assert grades.shape == (5,) and torch.isfinite(grades).all() and len(set(grades.tolist())) > 1
    assert torch.equal(grades, generator.realness(images, 0))
    assert all(torch.equal(value, before[key]) for key, value in generator.state().items())


def test_built_in_gans_say_that_they_grade():
    assert {"dcgan", "acgan", "cgan", "lapgan", "spggan", "tedgan", "semi-gan", "iagan"} <= set(GRADING)
    assert not {"dermgan", "noise", "duplicate"} & set(GRADING)
