"""`derm-bench run` where classifiers are built on generators, on each other and on other data, and generators on
classifiers: with toys that train in moments."""

import json

import numpy as np
import pandas as pd
import pytest
from tests.conftest import read_csv

MEAN = {"name": "toy-mean", "budget": {"updates": 4}}
BUILT = {"name": "toy-built", "from": {"generator": MEAN, "part": "net"}}
COMMITTEE = {"name": "toy-committee", "members": ["toy-centroid", BUILT]}
STRATEGIES = [
    {"name": "real-only"},
    {"name": "graded", "generator": {"name": "toy-graded", "budget": {"updates": 2}, "learns_from": "samples"},
     "synthetic": {"per_class": 4}},
    {"name": "look", "generator": {**MEAN, "scope": "pooled"}},
]  # fmt: skip
OTHER = {"name": "toy-blobs", "images": 60, "copies": 1, "classes": ["red", "green"]}


@pytest.fixture
def run(in_process, write_matrix, tmp_path, monkeypatch):
    """Runs the toy matrix with changes, without figures; returns the run directory and what was printed."""
    monkeypatch.setattr("derm_bench.runner.rebuild.make_figures", lambda *arguments: [])

    def call(**changes):
        content = {"strategies": STRATEGIES, "seeds": [0], **changes}
        ran = in_process("run", write_matrix(**content), "--out", "out", "--json")
        return tmp_path / "out", ran

    return call


def proba(out, cell):
    rows = pd.read_parquet(out / "predictions.parquet")
    columns = [name for name in rows if name.startswith("p_")]
    return rows[rows["cell"].str.endswith(cell)].set_index("image_id")[columns].sort_index()


def training_seconds(out):
    """The seconds that the store recorded for each training, by its title."""
    documents = (json.loads(path.read_text()) for path in out.parent.glob("store/objects/*/*/stage.json"))
    attempts = [document["attempt"] for document in documents if document["identity"]["kind"] == "train"]
    return {attempt["title"]: attempt["seconds"] for attempt in attempts}


def test_everything_is_built_and_a_committee_says_the_mean_of_what_its_members_say(run, in_process):
    out, ran = run(classifiers=["toy-centroid", BUILT, COMMITTEE])
    assert ran.code == 0, ran.err
    rows = {row["cell"].removeprefix("toy-blobs/"): row for row in read_csv(out / "results.csv")}
    assert {row["status"] for row in rows.values()} == {"done"} and len(rows) == 6

    for strategy in ("real-only", "graded"):
        plain, built, joined = (
            proba(out, f"{strategy}/toy-{n}/0") for n in ("centroid", "built", "committee")
        )
        assert np.abs(plain - built).to_numpy().max() > 1e-3
        np.testing.assert_allclose(joined, (plain + built) / 2, atol=1e-6)

    # What a classifier is built on counts as its cost, once, and is shared out among the cells.
    plain, built, joined = (rows[f"real-only/toy-{name}/0"] for name in ("centroid", "built", "committee"))
    assert float(plain["generator_seconds"]) == 0 < float(built["generator_seconds"])
    assert float(built["generator_seconds_shared"]) == pytest.approx(
        float(built["generator_seconds"]) / 4, rel=1e-3
    )
    took = [seconds for title, seconds in training_seconds(out).items() if "real-only" in title]
    assert len(took) == 3 and float(joined["train_seconds"]) == pytest.approx(sum(took), rel=1e-3)
    assert (plain["generator_seed"], built["generator_seed"]) == ("", "0")

    history = pd.read_csv(out / "history.csv")
    listed = history[history["role"] == "generator"]["name"].unique()
    assert {"graded", "look", "graded/toy-mean"} <= set(listed), "the samples' generator has its curve too"

    again = in_process("run", out.parent / "matrix.yaml", "--out", "out", "--json")
    assert json.loads(again.out)["stages_run"] == 0, "nothing is done twice"
    before = (out / "results.csv").read_bytes()
    assert in_process("report", out, "--store", out.parent / "store").code == 0
    assert (out / "results.csv").read_bytes() == before


def test_what_is_needed_while_fitting_alone_is_there_then(run):
    graded = {"name": "toy-graded", "needed": "fit", "budget": {"updates": 2}}
    strategies = [{"name": "graded", "generator": graded, "synthetic": {"per_class": 4}}]
    out, ran = run(strategies=strategies, classifiers=["toy-pupil"])
    assert ran.code == 0, ran.err
    assert [row["status"] for row in read_csv(out / "results.csv")] == ["done"]


def test_a_start_on_other_data_keeps_the_trunk_and_leaves_the_head_fresh(run):
    init = {**BUILT, "label": "started", "init": {"dataset": OTHER, "budget": {"updates": 5}}}
    out, ran = run(strategies=[{"name": "real-only"}], classifiers=[BUILT, init])
    assert ran.code == 0, ran.err
    plain, started = read_csv(out / "results.csv")
    assert (started["status"], started["updates"]) == ("done", plain["updates"])
    took = training_seconds(out)
    (own,) = (title for title in took if title.startswith("train started") and "init" not in title)
    (init,) = (title for title in took if title.startswith("train started") and "init" in title)
    assert float(started["train_seconds"]) == pytest.approx(took[own] + took[init], rel=1e-3)
    manifest = json.loads((out / "manifest.json").read_text())
    assert set(manifest["splits"]) == {"toy-blobs/0", "toy-blobs (init)/0"}
    names = list(pd.read_csv(out / "history.csv")["name"].unique())
    assert "started/toy-built" in names


def test_what_fails_upstream_skips_the_cells_that_are_built_on_it_and_no_others(run):
    broken = {**BUILT, "from": {"generator": {**MEAN, "trouble": "raise"}, "part": "net"}}
    out, ran = run(strategies=[{"name": "real-only"}], classifiers=["toy-centroid", broken])
    assert ran.code == 1
    plain, skipped = read_csv(out / "results.csv")
    assert (plain["status"], skipped["status"]) == ("done", "skipped")
    assert "needs 'fit toy-mean [red+green+blue] seed 0', which ended as failed" in skipped["error"]
    assert "on strike" in skipped["error"]


def test_a_part_that_is_not_there_is_named_with_those_that_are(run):
    wrong = {**BUILT, "from": {"generator": MEAN, "part": "discriminator"}}
    out, _ = run(strategies=[{"name": "real-only"}], classifiers=[wrong])
    (row,) = read_csv(out / "results.csv")
    assert row["status"] == "failed" and "Mean has no part 'discriminator'" in row["error"]


def test_plan_and_explain_tell_of_what_is_built_on(run, in_process, write_matrix, tmp_path):
    content = {"strategies": [{"name": "real-only"}], "classifiers": [BUILT], "seeds": [0]}
    planned = json.loads(in_process("plan", write_matrix(**content), "--json").out)
    assert planned["to_run"] == {"decode": 1, "audit": 2, "fit": 2, "train": 1, "evaluate": 1, "analyse": 2}
    for what in ("fit", "check the health of"):
        assert f"{what} toy-mean [red+green+blue] seed 0" in planned["cells"][0]["to_run"]
    run(**content)
    changed = "classifiers.0.from.generator.budget.updates=5"
    told = in_process("explain", tmp_path / "matrix.yaml", "*/toy-built/*", "--set", changed)
    assert "updates: 4 -> 5" in told.out
    assert "upstream 'fit toy-mean [red+green+blue] seed 0' changed" in told.out


@pytest.mark.slow
def test_paper_004s_discriminator_shares_its_gan_with_a_strategy_and_joins_an_ensemble(run):
    gan = {"name": "dcgan-mutepfe", "preset": "tiny", "scope": "pooled"}
    source = {"generator": gan, "part": "discriminator"}
    discriminator = {"name": "dcgan-discriminator", "batch_size": 8, "from": source}
    cnn = {"name": "dermagan-cnn", "preset": "tiny"}
    out, ran = run(
        dataset={"name": "phantom-dermoscopy", "size": 16, "limit": 16, "classes": ["mel", "nv"]},
        budget={"updates": 3},
        strategies=[{"name": "real-only"}, {"name": "look", "generator": gan}],
        classifiers=[
            {**discriminator, "sweep": {"mode": ["finetune", "linear-probe", "k+1"]}},
            {"name": "ensemble", "members": [cnn, discriminator], "member_weights": [1, 3]},
        ],
    )
    assert ran.code == 0, ran.err
    # decode, fit and its health, sample for the pictures, those three, 5 trainings, 4 evaluations: one fit for all
    assert json.loads(ran.out)["stages_run"] == 1 + 2 + 1 + 3 + 5 + 4
    rows = {row["classifier"]: row for row in read_csv(out / "results.csv")}
    assert {row["status"] for row in rows.values()} == {"done"}
    assert list(rows) == [f"dcgan-discriminator[mode={m}]" for m in ("finetune", "linear-probe", "k+1")] + [
        "ensemble"
    ]
    assert float(rows["ensemble"]["train_seconds"]) > 0
