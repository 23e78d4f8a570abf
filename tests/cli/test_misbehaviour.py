"""Plugins that misbehave in every way cost their own rows, each with its reason; ten good cells beside them finish."""

import json
from collections import Counter

import pytest
from tests.conftest import read_csv, toy_matrix
from tests.kills import flaws

# mood -> status and what the row must say
LOUD = {
    "raises": ("failed", "RuntimeError: no mood for this"),
    "hangs": ("timeout", "the limit is 8 s per stage"),
    "segfaults": ("failed", "SIGSEGV"),
    "exits": ("failed", "exit code 3"),
    "nan-loss": ("diverged", "loss"),
    "nan-proba": ("diverged", "not a number"),
    "wrong-shape": ("failed", "probabilities [N,3], N >= 1; got"),
    "wrong-dtype": ("failed", "each row of probabilities must be >= 0 and sum to 1"),
    "overwrites-input": ("failed", "PermissionError"),
    "stops-at-half": ("failed", "toy-moody: fit() took 2 of 4 updates"),
    "second-budget": ("failed", "called again after all 4 updates"),
    "own-loader": ("failed", "trained outside of run.batches: it took 0 of 4 updates"),
}
HARMLESS = ("overwrites-output", "prints")
# These need workers of their own. A worker is replaced after each failure: the others go without, seconds faster.
OF_WORKERS = ("hangs", "segfaults", "exits", "overwrites-input", *HARMLESS)
GENERATORS = {"dtype": "expected uint8"}  # wrong shapes: test_failures.py


def matrix_of(moods, generators=()) -> dict:
    """Ten good cells, one for each mood, and one for each misbehaving generator."""
    good = [{"name": "toy-centroid", "label": f"good{k}", "lr": 0.01 * (k + 1)} for k in range(10)]
    bad = [{"name": "toy-moody", "label": mood, "mood": mood} for mood in moods]
    strategies = [
        {
            "name": f"samples-{kind}",
            "generator": {"name": "toy-mean", "trouble": kind, "budget": {"updates": 1}},
            "synthetic": {"per_class": {"blue": 4}},
        }
        for kind in generators
    ]
    return toy_matrix(
        seeds=[0],
        budget={"updates": 4},
        strategies=["real-only", *strategies],
        classifiers=[*good, *bad],
        product=False,
        include=[
            {"strategy": "real-only"},
            *({"strategy": entry["name"], "classifier": "good0"} for entry in strategies),
        ],
        numerics={"threads": 1},
    )


def rows_of(out) -> dict[str, dict[str, str]]:
    rows = read_csv(out / "results.csv")
    return {row["classifier"] if row["strategy"] == "real-only" else row["strategy"]: row for row in rows}


def check_rows(ran, out, moods) -> dict[str, dict[str, str]]:
    """Each mood has its row, and ten good cells finished."""
    assert ran.code == 1, ran.err
    assert "Traceback" not in ran.out + ran.err
    assert "chatty" not in ran.out + ran.err
    assert not list((out.parent / "store/staging").iterdir()), "nothing of a dead worker is left"
    rows = rows_of(out)
    for mood in set(moods) - set(HARMLESS):
        status, said = LOUD[mood]
        assert (rows[mood]["status"], said in rows[mood]["error"]) == (status, True), rows[mood]
    good = Counter(row["status"] for name, row in rows.items() if name.startswith("good"))
    assert good == {"done": 10}
    return rows


def test_each_way_of_going_wrong_is_a_row_and_ten_good_cells_finish(in_process, write_matrix, tmp_path):
    moods = [mood for mood in LOUD if mood not in OF_WORKERS]
    ran = in_process("run", write_matrix(matrix_of(moods, GENERATORS)), "--out", "out")
    rows = check_rows(ran, tmp_path / "out", moods)
    for kind, said in GENERATORS.items():
        row = rows[f"samples-{kind}"]
        assert (row["status"], said in row["error"]) == ("skipped", True), row
    assert flaws(tmp_path / "store") == []


def test_each_way_of_spoiling_a_worker_is_a_row_and_ten_good_cells_finish(
    derm_bench, in_process, write_matrix, tmp_path
):
    matrix = write_matrix(matrix_of(OF_WORKERS))
    # Cells are run in no order that a test could rely on: the one that is spoiled has finished before.
    assert in_process("run", matrix, "--out", "before", "--only", "classifier=good0").code == 0
    ran = derm_bench("run", matrix, "--out", "out", "--timeout", "8")
    rows = check_rows(ran, tmp_path / "out", OF_WORKERS)
    assert {mood: (rows[mood]["status"], rows[mood]["error"]) for mood in HARMLESS} == dict.fromkeys(
        HARMLESS, ("done", "")
    )
    # What was forced open and changed is found by its digest when tables are made, and set aside; nothing else is.
    assert flaws(tmp_path / "store") == []
    records = [path.read_text().splitlines()[-1] for path in (tmp_path / "store/records").glob("*/*.jsonl")]
    (last,) = [record for record in map(json.loads, records) if record["status"] == "corrupt"]
    assert "history.csv" in last["error"]["message"]


@pytest.mark.slow
def test_a_stage_that_allocates_without_bound_is_stopped(derm_bench, write_matrix, tmp_path):
    matrix = write_matrix(matrix_of(["allocates"]))
    assert derm_bench("run", matrix, "--out", "out", "--memory", "1500").code == 1
    rows = rows_of(tmp_path / "out")
    assert rows["allocates"]["status"] == "oom"
    assert "the limit is 1500 MB per stage" in rows["allocates"]["error"]
    assert Counter(row["status"] for row in rows.values()) == {"done": 10, "oom": 1}


@pytest.mark.slow
def test_a_stage_that_forces_its_inputs_open_fails_and_says_so(derm_bench, write_matrix, tmp_path):
    ran = derm_bench(
        "run", write_matrix(matrix_of(["forces-input"])), "--out", "out", "--only", "classifier=f*"
    )
    assert ran.code == 1
    (row,) = read_csv(tmp_path / "out/results.csv")
    assert row["status"] == "failed"
    assert "published files were changed while it ran" in row["error"]
    assert "images.npy" in row["error"]


@pytest.mark.slow
def test_a_worker_that_leaks_is_replaced_before_the_next_stage(derm_bench, write_matrix, tmp_path):
    """Three leaks of 1 GB would not fit one worker under this limit."""
    leaky = [
        {"name": "toy-moody", "label": f"leaks{k}", "mood": "leaks", "lr": 0.01 * (k + 1)} for k in range(3)
    ]
    matrix = write_matrix(toy_matrix(seeds=[0], strategies=["real-only"], classifiers=leaky))
    ran = derm_bench("run", matrix, "--out", "out", "--memory", "2500", "--workers", "1")
    assert ran.code == 0, ran.err
    rows = read_csv(tmp_path / "out/results.csv")
    assert all(1024 < float(row["peak_memory_mb"]) < 2500 for row in rows)
