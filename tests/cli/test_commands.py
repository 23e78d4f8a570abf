"""The commands beside `run`."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from derm_bench.cli import precision
from derm_bench.machine import profile_file


def test_the_module_is_the_command():
    done = subprocess.run([sys.executable, "-m", "derm_bench", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("derm-bench, version")


def test_plugins_are_listed_as_the_contract_says(in_process):
    rows = json.loads(in_process("plugins", "list", "--json").out)
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


def test_third_parties_can_be_left_out(in_process):
    assert "toy-mean" not in in_process("--no-plugins", "plugins", "list", "--json").out


def test_the_schema_knows_all_installed_plugins(in_process):
    text = in_process("schema").out
    assert json.loads(text)["$schema"].startswith("https://json-schema.org/")
    assert "toy-centroid" in text and "z_dim" in text


def test_plan_executes_nothing(in_process, write_matrix, tmp_path):
    ran = in_process("plan", write_matrix(), "--json")
    assert ran.code == 0, ran.err
    plan = json.loads(ran.out)
    assert plan["to_run"] == {
        "decode": 1,
        "audit": 2,
        "fit": 8,
        "sample": 8,
        "train": 6,
        "evaluate": 6,
        "analyse": 14,
    }
    assert plan["detectable_difference"] is None and plan["detectable"][0]["why"] == "two seeds"
    assert not (tmp_path / "store").exists()
    said = in_process("plan", tmp_path / "matrix.yaml").out
    assert "no difference can be detected (two seeds)" in said
    three = in_process("plan", tmp_path / "matrix.yaml", "--set", "seeds=[0, 1, 2]", "--json")
    assert 0 < json.loads(three.out)["detectable_difference"] < 1
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


@pytest.fixture
def unmeasured():
    """The file of the profile, on a machine where precision has not been measured yet."""
    profile_file().unlink()
    return profile_file()


@pytest.fixture
def probe_prints(monkeypatch):
    """Replaces the measurement by one that prints a given text."""

    def replace(text: str):
        asked = []

        run = subprocess.run

        def answer(command, **how):
            if "derm_bench.training.probe" not in command:
                return run(command, **how)
            asked.append(command)
            return subprocess.CompletedProcess(command, 0, text, "")

        monkeypatch.setattr(precision.subprocess, "run", answer)
        return asked

    return replace


# One cell.
SMALL = {"seeds": [0], "strategies": ["real-only"], "metrics": []}
BF16_WINS = '{"images_per_second": {"fp32": 100, "bf16": 230}, "precision": "bf16"}'


# With small batches and no time for more than three rounds: the command itself takes ten seconds.
SHORT_PROBE = "from derm_bench.training import probe; probe.BATCH, probe.SECONDS = 4, 0.0; probe.main()"


def test_the_probe_saves_a_profile_that_later_runs_use(in_process, unmeasured, monkeypatch):
    run = subprocess.run

    def shorter(command, **how):
        if (words := list(command))[1:3] == ["-m", "derm_bench.training.probe"]:
            words[1:3] = ["-c", SHORT_PROBE]
        return run(words, **how)

    monkeypatch.setattr(precision.subprocess, "run", shorter)
    ran = in_process("doctor", "--probe")
    assert ran.code == 0, ran.err
    assert "probe on cpu: fp32" in ran.out
    (saved,) = json.loads(unmeasured.read_text())["devices"].values()
    assert saved["precision"] in ("fp32", "bf16") and saved["images_per_second"]["fp32"] > 0


def test_the_first_run_measures_precision_and_later_ones_use_it(
    in_process, write_matrix, unmeasured, probe_prints
):
    matrix = write_matrix(**SMALL)
    asked = probe_prints(BF16_WINS)
    assert "`run` measures" in in_process("plan", matrix).out and not asked
    first = in_process("run", matrix, "--device", "cpu")
    assert (
        len(asked) == 1 and "precision: bf16 from now on (fp32 100 images/s, bf16 230 images/s)" in first.err
    )
    second = in_process("run", matrix, "--device", "cpu")
    assert len(asked) == 1 and "; 0 stages run" in second.out, "nothing is measured or trained again"
    machine = json.loads(Path("runs/toy/manifest.json").read_text())["machine"]
    assert machine["precision"] == "bf16"
    assert machine["precision_from"] == "auto, measured: fp32 100, bf16 230 images/s"


def test_a_matrix_that_names_its_precision_is_not_measured(
    in_process, write_matrix, unmeasured, probe_prints
):
    asked = probe_prints(BF16_WINS)
    assert in_process("run", write_matrix(**SMALL, numerics={"precision": "fp32"})).code == 0
    assert not asked


@pytest.mark.parametrize("answer", ["", "no JSON", '{"images_per_second": {}, "precision": "fp8"}'])
def test_without_a_measurement_the_run_goes_on_in_fp32(
    in_process, write_matrix, unmeasured, probe_prints, answer
):
    probe_prints(answer)
    ran = in_process("run", write_matrix(**SMALL))
    assert ran.code == 0 and "could not be measured" in ran.err and "fp32 is used" in ran.err


def test_a_measurement_that_cannot_be_saved_is_not_used(
    in_process, write_matrix, unmeasured, probe_prints, tmp_path
):
    """It might differ in the next run, which would then train everything again."""
    probe_prints(BF16_WINS)
    unmeasured.parent.rmdir()
    unmeasured.parent.write_text("a file where the folder should be")
    ran = in_process("run", write_matrix(**SMALL))
    assert ran.code == 0 and "cannot be written" in ran.err and "fp32 is used" in ran.err


def test_shipped_matrices_plan_and_their_smoke_presets_shrink_them(in_process):
    from tests.conftest import ROOT

    whole, smoke = (
        json.loads(in_process("plan", ROOT / "benchmarks/quickstart.yaml", *extra, "--json").out)
        for extra in ([], ["--preset", "smoke"])
    )
    assert len(whole["cells"]) == len(smoke["cells"]) == 8
    trained = [plan["estimates"]["train"]["seconds"] for plan in (whole, smoke)]
    assert trained[1] < trained[0] / 10, "the fixed costs (reference network, scores) stay; training shrinks"
