"""The whole path on a CUDA device."""

import json

import pytest

from tests.conftest import ROOT, read_csv

pytestmark = pytest.mark.gpu


def test_the_quickstart_runs_on_the_device(derm_bench, tmp_path):
    matrix = ROOT / "benchmarks/quickstart.yaml"
    ran = derm_bench("run", matrix, "--preset", "smoke", "--device", "cuda", "--out", "out")
    assert ran.code == 0, ran.err
    rows = read_csv(tmp_path / "out/results.csv")
    assert {row["status"] for row in rows} == {"done"}
    assert all(float(row["peak_device_mb"]) > 0 for row in rows)
    records = (tmp_path / "store/records").rglob("*.jsonl")
    devices = {json.loads(line)["device"] for path in records for line in path.read_text().splitlines()}
    assert devices == {"cuda:0"}
    assert json.loads((tmp_path / "out/manifest.json").read_text())["machine"]["device"] == "cuda"
    again = derm_bench("run", matrix, "--preset", "smoke", "--out", "again")
    assert "0 stages run" in again.out, "auto finds the same device, and its stages"


def test_cpu_and_device_have_stages_of_their_own(derm_bench):
    matrix = ROOT / "benchmarks/quickstart.yaml"
    keys = {}
    for device in ("cpu", "cuda"):
        plan = json.loads(derm_bench("plan", matrix, "--device", device, "--json").out)
        keys[device] = {stage["kind"]: stage["key"] for stage in plan["stages"]}
    assert keys["cpu"]["decode"] == keys["cuda"]["decode"]
    assert keys["cpu"]["train"] != keys["cuda"]["train"]
