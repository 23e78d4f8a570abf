"""An executor written as a third party would: an entry module, and an executor with options and a machine."""

import json
import os
from pathlib import Path

import pytest

from tests.conftest import read_csv

HERE = Path(__file__).parent


@pytest.fixture
def installed(tmp_path, monkeypatch):
    info = tmp_path / "site" / "batch-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: batch\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[derm_bench]\nbatch = batch\n")
    for place in (str(HERE), str(info.parent)):
        monkeypatch.syspath_prepend(place)
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([place, os.environ.get("PYTHONPATH", "")]))


def test_stages_run_where_it_says_with_the_options_of_the_matrix(
    in_process, write_matrix, installed, tmp_path, monkeypatch
):
    one = {"strategies": [{"name": "real-only"}], "seeds": [0]}
    assert in_process("run", write_matrix(**one)).code == 0  # decodes here: each of its stages imports torch
    matrix = write_matrix(
        **one,
        classifiers=[{"name": "toy-centroid", "lr": 0.5}],
        executor={"name": "batch", "queue": "long"},
    )
    monkeypatch.setattr("derm_bench.runner.run.analyse", lambda *_: {})
    ran = in_process("run", matrix, "--out", "out", inline=False)
    assert ran.code == 0, ran.err
    assert [row["status"] for row in read_csv(tmp_path / "out" / "results.csv")] == ["done"]
    assert len(list((tmp_path / "store" / "batch" / "long").glob("*.record"))) == 2


def test_a_machine_without_a_gpu_plans_for_one_that_has_it(in_process, write_matrix, installed):
    matrix = write_matrix(strategies=[{"name": "real-only"}], seeds=[0])
    plans = [
        json.loads(in_process("plan", matrix, "--json", *flags).out)
        for flags in ((), ("--executor", "batch", "--executor-option", "gpu=true"))
    ]
    assert [plan["device"] for plan in plans] == ["cpu", "cuda"]
    keys = [{s["title"]: s["key"] for s in plan["stages"]} for plan in plans]
    assert not plans[0]["stages"] or keys[0] != keys[1]


def test_an_option_that_it_does_not_have_is_refused_where_it_stands(in_process, write_matrix, installed):
    ran = in_process("plan", write_matrix(executor={"name": "batch", "queu": "long"}))
    assert ran.code == 2
    assert "executor.queu: unknown key 'queu'" in ran.err and "did you mean 'queue'" in ran.err
