"""The classification accuracy score of samples and its reverse: ratios with intervals, in tables and the report."""

import numpy as np
import pytest
from tests.conftest import read_csv, toy_matrix

from derm_bench.errors import UserError, UserErrors
from derm_bench.machine import Machine
from derm_bench.matrix.cells import cells
from derm_bench.matrix.load import load_matrix
from derm_bench.plan.planner import make_plan
from derm_bench.plugins import Plugins
from derm_bench.rundir.accuracy_scores import NONE_EQUAL, TrainingSets, accuracy_score_rows
from derm_bench.rundir.arms import Arms
from derm_bench.scoring.influence import influences
from derm_bench.scoring.predictions import Predictions
from derm_bench.stats.test_images import Clusters, of_influences

QUOTA = {"ratio": 1.0, "replace_real": True}
STRATEGIES = [
    {"name": "real-only"},
    {"name": "again", "generator": "duplicate", "synthetic": QUOTA},
    {"name": "junk", "generator": "noise", "synthetic": QUOTA},
]
SETS = ["test", {"name": "copies", "synthetic": "only", "strategy": "again"}]
PHANTOM = {
    "name": "phantom-dermoscopy", "images": 140, "side": 32, "size": 16, "classes": ["nv", "vasc"], "views": 1,
    "imbalance": 1, "difficulty": 0.0, "split": {"test": 0.3, "val": 0.1},
}  # fmt: skip


@pytest.mark.slow
def test_copies_of_real_images_score_near_one_and_noise_near_chance(in_process, write_matrix, tmp_path):
    matrix = toy_matrix(
        dataset=PHANTOM, strategies=STRATEGIES, seeds=[0, 1, 2], budget={"updates": 50},
        classifiers=[{"name": "dermagan-cnn", "pooled": True, "batch_size": 16, "lr": 1e-3}],
        test_sets=[*SETS, {"name": "static", "synthetic": "only", "strategy": "junk"}],
    )  # fmt: skip
    ran = in_process("run", write_matrix(matrix), "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    results = read_csv(tmp_path / "out/results.csv")
    assert {row["strategy"] for row in results if row["test_set"] in ("copies", "static")} == {"real-only"}
    assert {row["protocol"] for row in results} == {"fair"}, "the test images of every arm are real"
    summary = read_csv(tmp_path / "out/summary.csv")
    rows = {(row["strategy"], row["test_set"], row["metric"]): row for row in summary}
    again, junk = rows["again", "test", "cas"], rows["junk", "test", "cas"]
    assert (again["baseline"], junk["baseline"], again["n_seeds"]) == ("real-only", "real-only", "3")
    assert float(again["mean"]) == pytest.approx(1, abs=0.15) and float(junk["mean"]) < 0.8
    assert float(again["ci_low"]) < 1 < float(again["ci_high"])
    means = {name: float(rows[name, "test", "accuracy"]["mean"]) for name in ("real-only", "again", "junk")}
    assert float(junk["mean"]) == pytest.approx(means["junk"] / means["real-only"])
    recalls = [float(rows[name, "test", "recall_vasc"]["mean"]) for name in ("again", "real-only")]
    assert float(rows["again", "test", "cas_recall_vasc"]["mean"]) == pytest.approx(recalls[0] / recalls[1])
    near, far = (rows["real-only", name, "reverse_cas"] for name in ("copies", "static"))
    assert float(near["mean"]) == pytest.approx(1, abs=0.15) and float(far["mean"]) < 0.7
    assert not any(row["verdict"] or row["rank_low"] for row in summary if row["test_set"] == "copies")
    report = (tmp_path / "out/report.md").read_text()
    assert "Classification accuracy score: trained on samples" in report and "Reverse score" in report
    verified = in_process("verify", tmp_path / "out")
    assert verified.code == 0, verified.out + verified.err


# ------------------------------------------------------------------------------------ by hand


def made_up(rng, cells, images=80, right=0.8):
    """Predictions of two classes by cell, which are right with a probability that varies a little with the cell."""
    labels = np.arange(images) % 2
    found = {}
    for cell in cells:
        hits = rng.random(images) < right + 0.05 * rng.standard_normal()
        given = np.where(hits, labels, 1 - labels)
        found[cell] = Predictions(labels, np.eye(2)[given] * 0.8 + 0.1, ("a", "b"))
    return found


def scored(rng, right, counts=(40, 40), generator="gan"):
    """The arms, training sets and deviations of a strategy on samples and of real-only, five seeds each."""
    names = {s: [f"{s}/{k}" for k in range(5)] for s in ("gan", "real-only")}
    predictions = made_up(rng, names["gan"], right=right) | made_up(rng, names["real-only"])
    clusters = Clusters.of(np.arange(80) % 2, [f"{i}" for i in range(80)], [f"{i}" for i in range(80)])

    def row(strategy, k):
        p = predictions[f"{strategy}/{k}"]
        hits = p.proba.argmax(1) == p.labels
        scores = {"accuracy": hits.mean()} | {
            f"recall_{c}": hits[p.labels == i].mean() for i, c in enumerate("ab")
        }
        at = {
            "dataset": "d",
            "train_fraction": 1.0,
            "test_set": "test",
            "strategy": strategy,
            "classifier": "c",
        }
        seeds = {"split_seed": 0, "classifier_seed": k, "generator_seed": k if strategy == "gan" else None}
        return {**at, **seeds, "cell": f"{strategy}/{k}", "status": "done", **scores}

    arms = Arms.of([row(strategy, k) for strategy in names for k in range(5)])
    at = {"dataset": "d", "train_fraction": 1.0, "split_seed": 0, "split": "train"}
    composition = [
        {**at, "strategy": "gan", "generator": generator, "class": c, "real": 0, "synthetic": n}
        for c, n in zip("ab", counts, strict=True)
    ] + [
        {**at, "strategy": "real-only", "generator": "", "class": c, "real": 40, "synthetic": 0} for c in "ab"
    ]
    matrix = {"strategies": [{"name": "gan"}, {"name": "real-only"}]}

    def sampled(metric):
        return lambda cell, test_set: of_influences(clusters, influences(metric, predictions[cell]).values)

    return list(accuracy_score_rows(arms, TrainingSets(composition, matrix), sampled, ("a", "b"), 0.05))


def test_intervals_of_the_ratio_cover_the_true_ratio():
    found = [scored(np.random.default_rng(seed), 0.6)[0] for seed in range(60)]
    assert all(row["ci_low"] < row["mean"] < row["ci_high"] for row in found)
    covered = np.mean([row["ci_low"] <= 0.6 / 0.8 <= row["ci_high"] for row in found])
    assert covered >= 0.95 - 2 * np.sqrt(0.05 * 0.95 / 60)
    assert np.mean([row["mean"] for row in found]) == pytest.approx(0.75, abs=0.03)


def test_without_as_many_real_images_of_each_class_there_is_a_reason_and_no_ratio():
    rows = scored(np.random.default_rng(0), 0.6, counts=(60, 20))
    assert {row["metric"] for row in rows} == {"cas", "cas_recall_a", "cas_recall_b"}
    assert all(row.get("mean") is None and row["reason"] == NONE_EQUAL for row in rows)


def test_augmentation_that_differs_is_no_equal_comparison():
    at = {"dataset": "d", "train_fraction": 1.0, "split_seed": 0, "split": "train", "class": "a"}
    composition = [
        {**at, "strategy": "gan", "generator": "gan", "real": 0, "synthetic": 9},
        *({**at, "strategy": s, "generator": "", "real": 9, "synthetic": 0} for s in ("plain", "flipped")),
    ]
    flip = [{"name": "hflip"}]
    strategies = [{"name": "gan", "augment": flip}, {"name": "plain"}, {"name": "flipped", "augment": flip}]
    trained = TrainingSets(composition, {"strategies": strategies})
    assert trained.as_many_real(("d", "1.0", "test", "gan", "c")) == "flipped"


# ------------------------------------------------------------------------------------ planning


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"strategy": "agian"}, "did you mean 'again'"),
        ({"strategy": "real-only"}, "draws no samples to score on"),
        ({"strategy": "again", "synthetic": "added"}, "write synthetic: only"),
    ],
)
def test_a_test_set_of_samples_names_a_strategy_that_draws_some(toys, write_matrix, change, said):
    sets = ["test", {"name": "copies", "synthetic": "only"} | change]
    with pytest.raises((UserError, UserErrors)) as caught:
        load_matrix(write_matrix(toy_matrix(strategies=STRATEGIES, test_sets=sets)), Plugins())
    assert said in str(caught.value) and "test_sets.1.strategy" in str(caught.value)


def test_each_seed_is_scored_on_the_samples_of_its_own_generator(toys, write_matrix):
    plugins = Plugins()
    matrix = load_matrix(
        write_matrix(toy_matrix(strategies=STRATEGIES, test_sets=SETS, seeds=[3, 4])), plugins
    )
    plan = make_plan(matrix, cells(matrix, plugins), plugins, Machine("cpu", ("cpu",), "fp32", 2))
    samples = {(c.cell.strategy, c.cell.seed): set(c.samples.values()) for c in plan.cells}
    for planned in plan.cells:
        if planned.cell.strategy != "real-only":
            assert set(planned.evaluations) == {"test"}
            continue
        inputs = plan.stages[planned.evaluations["copies"]].inputs
        drawn = {key for name, key in inputs.items() if name.startswith("synthetic/")}
        assert drawn == samples["again", planned.cell.seed]
