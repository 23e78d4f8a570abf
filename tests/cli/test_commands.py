"""The commands beside `run`."""

import json
import re


def test_plugins_are_listed_as_the_contract_says(derm_bench):
    rows = json.loads(derm_bench("plugins", "list", "--json").out)
    assert all(set(row) == {"name", "kind", "distribution", "version", "status", "error"} for row in rows)
    found = {(row["kind"], row["name"]) for row in rows if row["status"] == "ok"}
    assert found >= {
        ("dataset", "phantom-dermoscopy"), ("dataset", "image-folder"), ("dataset", "ham10000"),
        ("generator", "dcgan"), ("classifier", "timm"), ("classifier", "dermagan-cnn"),
        ("metric", "fid"), ("metric", "fd_domain"), ("transform", "hflip"),
        ("executor", "local"), ("executor", "inline"), ("generator", "toy-mean"),
    }  # fmt: skip


def test_a_plugin_is_shown_with_its_options_and_defaults(in_process):
    shown = in_process("plugins", "show", "dcgan").out
    assert "z_dim" in shown and "100" in shown and "batch_size" in shown
    assert in_process("plugins", "show", "dcgna").code == 2


def test_third_parties_can_be_left_out(derm_bench):
    assert "toy-mean" not in derm_bench("--no-plugins", "plugins", "list", "--json").out


def test_the_schema_knows_all_installed_plugins(derm_bench):
    text = derm_bench("schema").out
    assert json.loads(text)["$schema"].startswith("https://json-schema.org/")
    assert "toy-centroid" in text and "z_dim" in text


def test_plan_executes_nothing(in_process, write_matrix, tmp_path):
    ran = in_process("plan", write_matrix(), "--json")
    assert ran.code == 0, ran.err
    plan = json.loads(ran.out)
    assert plan["to_run"] == {"decode": 1, "fit": 8, "sample": 8, "train": 6, "evaluate": 6, "analyse": 14}
    assert plan["detectable_difference"] > 0
    assert not (tmp_path / "store").exists()
    said = in_process("plan", tmp_path / "matrix.yaml").out
    assert "toy: 6 cells" in said
    assert re.search(r"train red \d+ green \d+ blue \d+", said), "classes are in their own order"


def test_doctor_names_missing_weights_and_where_to_get_them(derm_bench, tmp_path):
    ran = derm_bench("doctor", env={"DERM_BENCH_INCEPTION": str(tmp_path / "weights.pth")})
    assert ran.code == 0
    assert str(tmp_path / "weights.pth") in ran.out
    assert "https://" in ran.out


def test_doctor_says_a_problem_of_several_plugins_in_one_line(in_process, tmp_path, monkeypatch):
    monkeypatch.setenv("DERM_BENCH_INCEPTION", str(tmp_path / "weights.pth"))
    said = [line for line in in_process("doctor").out.splitlines() if line.startswith("!")]
    problems = [line.partition(": ")[2] for line in said]
    assert len(problems) == len(set(problems)), said
    assert any("fid, " in line and "inception_score" in line for line in said), said


def test_the_probe_saves_a_profile_that_later_runs_use(derm_bench, tmp_path):
    ran = derm_bench("doctor", "--probe", env={"CUDA_VISIBLE_DEVICES": ""})
    assert ran.code == 0, ran.err
    assert "probe on cpu: fp32" in ran.out and "bf16" in ran.out
    saved = json.loads((tmp_path / "config/derm-bench/profile.json").read_text())
    assert saved["precision"]["cpu"] in ("fp32", "bf16")


def test_shipped_matrices_plan_and_their_smoke_presets_shrink_them(in_process):
    from tests.conftest import ROOT

    whole, smoke = (
        json.loads(in_process("plan", ROOT / "benchmarks/quickstart.yaml", *extra, "--json").out)
        for extra in ([], ["--preset", "smoke"])
    )
    assert len(whole["cells"]) == len(smoke["cells"]) == 12
    trained = [plan["estimates"]["train"]["seconds"] for plan in (whole, smoke)]
    assert trained[1] < trained[0] / 10, "the fixed costs (reference network, scores) stay; training shrinks"
