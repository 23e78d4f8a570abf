"""A run of three seeds compares its arms with the predictions, and every number of it is verified from its files."""

import json

import pandas as pd
from tests.conftest import read_csv, toy_matrix


def primary(run, strategy):
    rows = read_csv(run / "summary.csv")
    return next(
        r for r in rows if r["strategy"] == strategy and r["metric"] == "balanced_accuracy" and r["baseline"]
    )


def test_a_run_gives_verdicts_that_are_verified_and_rebuilt(in_process, write_matrix, tmp_path):
    path = write_matrix(
        toy_matrix(
            dataset={"name": "toy-blobs", "size": 8, "images": 240},
            seeds=[0, 1, 2],
            strategies=[
                {"name": "real-only"},
                {"name": "same", "seed_offset": 1000},
                {"name": "flipped", "augment": ["hflip"]},
            ],
        )
    )
    out = tmp_path / "out"
    ran = in_process("run", path, "--out", out)
    assert ran.code == 0, ran.err
    assert "verdict" in ran.out
    same = primary(out, "same")
    assert same["verdict"] in ("equivalent", "inconclusive") and "p = " in same["reason"], same
    assert float(same["p_holm"]) >= float(same["p_value"]) and float(same["variance_test"]) >= 0
    assert float(same["delta_ci_low"]) < float(same["delta"]) < float(same["delta_ci_high"])
    assert 0 < float(same["false_claim"]) <= 0.5 and same["rank_groups"]
    for row in read_csv(out / "summary.csv"):
        if row["metric"].startswith(("recall", "accuracy", "balanced")) and row["ci_low"]:
            assert 0 <= float(row["ci_low"]) <= float(row["ci_high"]) <= 1, row
    ran = in_process("verify", out, "--json")
    assert ran.code == 0 and json.loads(ran.out)["differences"] == [], ran.out
    before = (out / "summary.csv").read_bytes()
    assert in_process("report", out).code == 0 and (out / "summary.csv").read_bytes() == before
    assert "Verdicts" in (out / "report.md").read_text()


def test_an_invented_verdict_is_found(in_process, write_matrix, tmp_path):
    path = write_matrix(toy_matrix(seeds=[0, 1, 2], strategies=[{"name": "real-only"}, {"name": "same"}]))
    out = tmp_path / "out"
    assert in_process("run", path, "--out", out).code == 0
    frame = pd.read_csv(out / "summary.csv", dtype=str, keep_default_na=False)
    mine = (frame["metric"] == "balanced_accuracy") & (frame["baseline"] != "")
    frame.loc[mine, "verdict"] = "helps"
    frame.to_csv(out / "summary.csv", index=False)
    ran = in_process("verify", out)
    assert ran.code == 1 and "verdict of balanced_accuracy is 'helps'" in ran.out.replace("\n", " ")
