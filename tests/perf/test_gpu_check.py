"""benchmarks/gpu/check.sh: its steps end in time, nothing that was measured is lost, and what is missing is named."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

GPU = Path(__file__).parents[2] / "benchmarks" / "gpu"


@pytest.fixture(autouse=True)
def _its_modules(monkeypatch):
    monkeypatch.syspath_prepend(str(GPU))


def step(code, name="fake", limit=60.0, **settings):
    """A step that runs a few lines of Python."""
    from steps import Step

    return Step(name, f"the step {name}", [sys.executable, "-c", code], limit, **settings)


def last(output):
    from steps import json_lines

    return json_lines(output)[-1]


def test_figures_are_read_from_the_output_of_a_step():
    from steps import run_step

    entry = run_step(step("print('hello'); print('{\"ratio\": 2.5}')", read=last), 60, {})
    assert entry["status"] == "ok" and entry["figures"] == {"ratio": 2.5}


@pytest.mark.parametrize(
    ("code", "reason"),
    [("raise SystemExit('no such file')", "no such file"), ("raise SystemExit(3)", "exit code 3")],
)
def test_a_step_that_fails_says_why(code, reason):
    from steps import run_step

    entry = run_step(step(code, read=last), 60, {})
    assert (entry["status"], entry["reason"], entry["figures"]) == ("failed", reason, {})


FOREVER = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
print('{"child": %d, "pairs": 2}' % child.pid, flush=True)
print('{"cut of', end="", flush=True)
time.sleep(600)
"""


def test_a_step_over_its_limit_is_ended_with_its_descendants_and_its_figures_are_kept():
    from steps import alive, run_step

    entry = run_step(step(FOREVER, limit=4, read=last), 60, {})
    assert entry["status"] == "over its limit" and entry["figures"]["pairs"] == 2
    assert not alive(entry["figures"]["child"])


def test_a_step_gets_no_more_time_than_the_whole_check_has_left(monkeypatch):
    import steps

    assert steps.run_step(step(FOREVER, limit=600), steps.SHORTEST - 0.1, {})["status"] == "not started"
    monkeypatch.setattr(steps, "SHORTEST", 0.0)
    assert steps.run_step(step(FOREVER, limit=600), 0.1, {})["status"] == "over its limit"


def test_missing_modules_are_named_and_the_step_is_skipped(tmp_path):
    from steps import run_step

    (tmp_path / "carried_by_hand.py").touch()
    environment = {"PYTHONPATH": str(tmp_path)}
    needs = ("json", "carried_by_hand", "nobody_has_this", "nor_that")
    entry = run_step(step("raise SystemExit(1)", needs=needs), 60, environment)
    assert (entry["status"], entry["reason"]) == ("skipped", "not installed here: nobody_has_this, nor_that")


def test_entries_are_saved_after_every_step_and_later_steps_use_figures_of_earlier_ones():
    from steps import run_all

    saved = []
    first = step('print(\'{"precision": "bf16"}\')', "first", read=last)
    second = step("import json; print(json.dumps({'seen': '{precision}'}))", "second", read=last)
    before = step('print(\'{"seen": "{precision}"}\')', "before", read=last)
    run_all([before, first, second], 600, {}, lambda e: saved.append(len(e)), {"precision": "fp32"})
    entries = run_all([before, first, second], 600, {}, lambda _: None, {"precision": "fp32"})
    assert saved == [0, 1, 2, 3]
    assert [entry["figures"].get("seen") for entry in entries] == ["fp32", None, "bf16"]


def test_an_interrupted_check_keeps_the_steps_so_far():
    from steps import run_all

    saved = []
    code = f"""
import os, signal, time
print('{{"pairs": 1}}', flush=True)
os.kill({os.getpid()}, signal.SIGINT)
time.sleep(600)
"""
    interrupting = step(code, read=last)
    with pytest.raises(KeyboardInterrupt):
        run_all([step("pass"), interrupting, step("pass")], 600, {}, lambda e: saved.append(list(e)))
    assert [entry["status"] for entry in saved[-1]] == ["ok", "interrupted"]
    assert saved[-1][-1]["figures"] == {"pairs": 1}


def test_both_files_hold_every_step_and_a_pipe_in_a_reason_breaks_no_row(tmp_path):
    from results import folder_name, save

    entry = {"title": "row 2", "status": "ok", "reason": "a | b", "seconds": 12.0}
    entry["figures"] = {"ours": 400.0, "baseline": 100.0, "ratio": 4.0, "notes": "3 pairs"}
    save(tmp_path / "new", {"card": "NVIDIA H100 80GB HBM3", "torch": "2.11"}, [entry])
    table = (tmp_path / "new/results.md").read_text()
    assert "| row 2 | ok | 12 | 400 | 100 | **4.00** | a / b; 3 pairs |" in table
    assert table.startswith("# GPU check: NVIDIA H100 80GB HBM3")
    assert json.loads((tmp_path / "new/results.json").read_text())["steps"] == [entry]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["results.json", "results.md"]
    assert folder_name("NVIDIA H100 80GB HBM3") == "nvidia-h100-80gb-hbm3"


@pytest.mark.parametrize(
    ("machine", "says"),
    [
        ({"torch": None, "card": None}, "torch cannot be imported"),
        ({"torch": "2.5.1+cu121", "card": "a card"}, "too old"),
        ({"torch": "2.11.0+cu130", "card": None}, "--dry-run"),
        ({"torch": "2.11.0+cu130", "card": "a card"}, ""),
    ],
)
def test_a_machine_that_cannot_be_checked_is_told_why(machine, says):
    import check

    assert says in check.unfit(machine, dry_run=False)
    assert bool(check.unfit(machine, dry_run=False)) == bool(says)


def test_a_checkout_that_is_not_installed_has_its_plugins_in_the_steps(tmp_path):
    import check

    code = (
        "import importlib.metadata as m; d = m.distribution('derm-bench');"
        "print(d.locate_file('').resolve(), sorted(p.name for p in d.entry_points if p.group == 'derm_bench'))"
    )
    with check.importable(tmp_path) as environment:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | environment,
            cwd=tmp_path,  # an installed checkout has metadata of its own
        )
    assert done.stdout.split() == [str((tmp_path / "site").resolve()), "['builtins']"]


def test_a_row_reports_its_pairs_and_that_its_sides_do_not_agree():
    import check

    line = {"row": 2, "ours": 4.0, "baseline": 1.0, "ratio": 4.0, "spread": 0.1, "target": 4, "also": []}
    partly = line | {"pairs": 2, "parity": "not checked yet", "passed": None}
    cut = json.dumps(partly) + "\n" + json.dumps(partly)[:20]
    assert check.read_row(cut)["notes"] == "2 pairs; spread 10%; target 4; not checked yet"
    whole = line | {"pairs": 3, "parity": "FAILED: losses apart", "passed": False}
    assert "do not agree" in check.read_row(json.dumps(whole))["problem"]


def test_rows_too_long_for_eight_minutes_run_only_if_they_are_named(tmp_path):
    import check

    steps = check.all_steps("cpu", tmp_path, toy=True)
    assert {step.name for step in steps} - set(check.default_steps(steps)) == {"row4", "row5"}


def test_tables_that_differ_beyond_times_are_named_with_the_first_difference(tmp_path):
    import same

    for name, accuracy, seconds in (("a", "0.5", "1.0"), ("b", "0.5", "2.0"), ("c", "0.6", "1.0")):
        (tmp_path / name).mkdir()
        text = f"cell,accuracy,train_seconds,peak_device_mb\nx,{accuracy},{seconds},{seconds}\n"
        (tmp_path / name / "results.csv").write_text(text)
        summary = f"metric,mean\naccuracy,0.5\ntrain_seconds,{seconds}\n"
        (tmp_path / name / "summary.csv").write_text(summary)
    a, b, c = (same.tables(tmp_path / name) for name in "abc")
    assert same.differences(a, b) == []
    assert same.differences(a, c) == ["results.csv, row 1, accuracy: 0.5 and 0.6 (and 0 more)"]
    assert same.differences(a, c | {"results.csv": []}) == ["results.csv has 1 and 0 rows"]


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_dry_run_walks_through_all_steps(tmp_path):
    command = [GPU / "check.sh", "--dry-run", "--out", tmp_path / "out", "--limit", "1500"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"PYTHON": sys.executable}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    steps = json.loads((tmp_path / "out/results.json").read_text())["steps"]
    assert [entry["step"] for entry in steps] == [
        *("precision", "row2", "row3", "row1", "row6", "row7", "same", "tests", "row9")
    ]
    for entry in steps:
        assert entry["status"] in ("ok", "skipped"), entry
        if entry["step"].startswith("row") and entry["status"] == "ok":
            assert entry["figures"]["ratio"] > 0 and entry["figures"]["pairs"] == 1
    table = (tmp_path / "out/results.md").read_text()
    assert all(entry["title"] in table for entry in steps)


@pytest.mark.slow
def test_a_check_that_is_terminated_leaves_its_table(tmp_path):
    command = [GPU / "check.sh", "--dry-run", "--only", "tests", "--out", tmp_path / "out"]
    process = subprocess.Popen(command, env=os.environ | {"PYTHON": sys.executable}, stderr=subprocess.PIPE)
    while not (tmp_path / "out/results.md").exists():
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 1
    assert "| pytest -m gpu | interrupted |" in (tmp_path / "out/results.md").read_text()
