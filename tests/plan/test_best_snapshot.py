"""`synthetic.snapshot: best_fd`: the snapshot that is closest to real training images is sampled."""

import json

import pytest
from tests.conftest import read_csv, toy_matrix

from derm_bench.errors import UserError
from derm_bench.machine import Machine
from derm_bench.matrix.cells import cells
from derm_bench.matrix.load import load_matrix
from derm_bench.plan.planner import make_plan
from derm_bench.plugins import Plugins
from derm_bench.stages.choose import choose

GAN = {"name": "acgan", "preset": "tiny", "budget": {"updates": 6}}


def best(generator=GAN, **synthetic):
    return {
        "name": "made",
        "generator": generator,
        "synthetic": {"per_class": 9, "snapshot": "best_fd", **synthetic},
    }


@pytest.fixture
def plan(toys, write_matrix):
    def make(*strategies, **changes):
        changes = {"snapshots": {"every": 2}, "seeds": [0]} | changes
        plugins = Plugins()
        matrix = load_matrix(write_matrix(toy_matrix(strategies=list(strategies), **changes)), plugins)
        return make_plan(matrix, cells(matrix, plugins), plugins, Machine("cpu", ("cpu",), "fp32", 2))

    return make


def of_kind(plan, kind):
    return [stage for stage in plan.stages.values() if stage.kind == kind]


def refused(plan, *strategies, **changes) -> str:
    with pytest.raises(UserError) as caught:
        plan(*strategies, **changes)
    return str(caught.value)


def test_without_snapshots_there_is_nothing_to_choose_from(plan):
    message = refused(plan, best(), snapshots={})
    assert "synthetic.snapshot" in message and "snapshots: {every: 1000}" in message
    message = refused(plan, best(), snapshots={"every": 50})
    assert "ends before the first snapshot" in message and "snapshots.every" in message
    message = refused(plan, best({"name": "duplicate"}))
    assert "'duplicate' trains nothing" in message


def test_each_fit_is_chosen_for_once_and_another_metric_of_the_matrix_chooses_nothing_else(plan):
    planned = plan(best(), best() | {"name": "again"})
    (choice,) = of_kind(planned, "choose")
    assert set(choice.inputs) == {
        f"score/{step}/{name}" for step in (2, 4, "last") for name in ("red", "green", "blue")
    }
    other = plan(best(), metrics=["kid_domain"])
    assert {s.key for s in of_kind(planned, "train")} <= {s.key for s in of_kind(other, "train")}


def test_the_choice_compares_with_real_training_images_alone(plan):
    planned = plan(best())
    (choice,) = of_kind(planned, "choose")
    for key in planned.upstream(choice.key):
        assert planned.stages[key].kind in (
            "decode",
            "fit",
            "sample",
            "real-features",
            "reference",
            "fidelity",
        )
    scored = [planned.stages[key] for key in choice.inputs.values()]
    assert all(
        stage.params.metrics[0]["name"] == "mmd_domain" and stage.params.control is None for stage in scored
    )


class Context:
    """The context of a `choose` stage whose scores are given by step and class."""

    def __init__(self, folder, scores):
        from types import SimpleNamespace

        self.out, self.inputs = folder, {}
        steps = tuple(None if step == "last" else int(step) for step in scores)
        classes = tuple(next(iter(scores.values())))
        self.params = SimpleNamespace(
            metric="mmd_domain", higher_is_better=False, steps=steps, classes=classes
        )
        for step, values in scores.items():
            for name, value in values.items():
                place = folder / step / name
                place.mkdir(parents=True)
                (place / "values.json").write_text(json.dumps([{"metric": "mmd_domain", "value": value}]))
                self.inputs[f"score/{step}/{name}"] = place


@pytest.mark.parametrize(
    ("scores", "chosen"),
    [
        ({"2": {"a": 3.0, "b": 1.0}, "4": {"a": 1.0, "b": 1.0}, "last": {"a": 2.0, "b": 2.0}}, 4),
        ({"2": {"a": 2.0}, "last": {"a": 1.0}}, "last"),
        ({"2": {"a": 1.0}, "last": {"a": 1.0}}, 2),
        ({"2": {"a": float("nan")}, "last": {"a": 5.0}}, "last"),
    ],
)
def test_the_lowest_mean_over_classes_is_chosen_the_earliest_of_equals(tmp_path, scores, chosen):
    assert choose(Context(tmp_path, scores))["step"] == chosen


@pytest.mark.slow
def test_samples_are_those_of_the_chosen_snapshot_and_the_report_names_it(in_process, write_matrix, tmp_path):
    made = best(filter={"by": "discriminator", "keep": 0.5})
    write_matrix(toy_matrix(strategies=[made], seeds=[0], snapshots={"every": 2}, metrics=["mmd_domain"]))
    ran = in_process("run", "matrix.yaml", "--out", "out")
    assert ran.code == 0, ran.err
    rows = [r for r in read_csv(tmp_path / "out" / "fidelity.csv") if r["strategy"] == "made"]
    means = {step: sum(float(r["value"]) for r in rows if r["step"] == step) for step in ("2", "4", "last")}
    step = min(means, key=means.get)
    state = "the end of the fit" if step == "last" else f"the snapshot after {step} updates"
    warnings = json.loads((tmp_path / "out" / "manifest.json").read_text())["warnings"]
    assert f"made: {state} was chosen for samples of 'red', by mmd_domain (seed 0)" in warnings
