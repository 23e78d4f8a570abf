"""`derm-bench plan --probe` measures what has no record, and leaves nothing behind."""

import json
from dataclasses import replace

import pytest
from tests.conftest import toy_matrix

from derm_bench.executors.inline import InlineExecutor
from derm_bench.forecast import probe


def test_what_has_no_record_is_probed_and_nothing_is_kept(derm_bench, write_matrix, tmp_path):
    (tmp_path / "temporary").mkdir()
    classifiers = [
        {"name": "toy-centroid"},
        {"name": "toy-centroid", "label": "broken", "trouble": "raise"},
    ]
    strategies = [strategy for strategy in toy_matrix()["strategies"] if strategy["name"] != "flipped"]
    matrix = write_matrix(strategies=strategies, classifiers=classifiers, budget={"updates": 500}, seeds=[0])
    before = sorted(tmp_path.iterdir())
    ran = derm_bench("plan", matrix, "--probe", "--json", env={"TMPDIR": str(tmp_path / "temporary")})
    assert ran.code == 0, ran.err
    plan = json.loads(ran.out)
    sources = {kind: one["source"] for kind, one in plan["estimates"].items()}
    assert sources.pop("train") == "a probe for 2, a guess for 2"
    assert sources.pop("evaluate") == "a probe for 2, a guess for 2"
    assert sources.pop("analyse") == "a probe for 6, a guess for 2", "statistics and figures read a whole run"
    assert sources == dict.fromkeys(("decode", "audit", "fit", "sample"), "a probe")
    failures = {one["stage"]: (one["status"], one["error"]) for one in plan["probe_failures"]}
    assert failures == {"train broken on real-only seed 0": ("failed", "RuntimeError: no idea")}
    assert plan["estimated_peak_mb"] > 50
    assert sorted(tmp_path.iterdir()) == before, "no store, no run directory"
    assert list((tmp_path / "temporary").glob("derm-bench*")) == []


@pytest.fixture
def probed_here(monkeypatch):
    """Probes run in this process, and start no worker."""

    def make(options, settings):
        return InlineExecutor(options, replace(settings, workers=None, timeout=None, memory=None))

    monkeypatch.setattr(probe, "load_object", lambda place: make)


def test_the_table_says_what_was_probed_and_what_could_not_be(in_process, write_matrix, probed_here):
    matrix = write_matrix(
        classifiers=[{"name": "toy-centroid", "trouble": "raise"}],
        strategies=[{"name": "real-only"}],
        seeds=[0],
    )
    ran = in_process("plan", matrix, "--probe")
    assert ran.code == 0, ran.err
    rows = {line.split()[1]: line for line in ran.out.splitlines() if line.startswith("│")}
    assert "a probe" in rows["decode"] and "a guess" in rows["train"]
    assert (
        "'train toy-centroid on real-only seed 0' could not be probed: failed: RuntimeError: no idea"
        in ran.out
    )
    assert "Traceback" not in ran.out + ran.err


def test_what_has_records_is_not_probed(in_process, write_matrix):
    matrix = write_matrix(seeds=[0])
    assert in_process("run", matrix, figures=True).code == 0
    ran = in_process("plan", matrix, "--probe", "--json", "--set", "budget.updates=24")
    plan = json.loads(ran.out)
    assert {one["source"] for one in plan["estimates"].values()} == {"records"}
    assert "probing" not in ran.err


@pytest.mark.slow
def test_a_stage_that_hangs_is_given_up(derm_bench, write_matrix):
    hanging = {"name": "toy-mean", "scope": "pooled", "trouble": "hang"}
    matrix = write_matrix(
        strategies=[{"name": "hanging", "generator": hanging}, {"name": "real-only"}],
        seeds=[0],
        metrics=["fd_domain"],
        limits={"timeout": 30},
    )
    plan = json.loads(derm_bench("plan", matrix, "--probe", "--json").out)
    (failure,) = plan["probe_failures"]
    assert failure["status"] == "timeout" and "30 s per stage" in failure["error"]
    assert plan["estimates"]["fit"]["source"] == "a probe for 1, a guess for 2", (
        "that of the reference is known"
    )
    assert plan["estimates"]["sample"]["source"] == "a guess"
    assert plan["estimates"]["train"]["source"] == "a probe"
    assert plan["estimates"]["fidelity"]["source"] == "a probe", "controls need no generator"
