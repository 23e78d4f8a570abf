"""After one Ctrl-C, or another signal that ends a run, all that the run directory and the terminal say agrees."""

import json
import os
import signal

import pytest
from tests.conftest import read_csv

from derm_bench.executors.inline import InlineExecutor
from derm_bench.interrupts import held_back
from derm_bench.runner import run
from derm_bench.store import file_digest

GOES_ON = "the same command goes on"


def struck(monkeypatch, module, name: str, *, kind: str = "", number: int = signal.SIGINT) -> None:
    """Sends a signal to this process when the function is called, or when a stage of that kind is submitted."""
    called = getattr(module, name)

    def strike(*arguments, **options):
        if not kind or arguments[1].stage.kind == kind:
            os.kill(os.getpid(), number)
        return called(*arguments, **options)

    monkeypatch.setattr(module, name, strike)


def agrees(out, ran) -> None:
    """All files are those of this run, the manifest has their digests, and the terminal names what is there."""
    files = {path.relative_to(out).as_posix(): path for path in out.rglob("*") if path.is_file()}
    stated = json.loads((out / "manifest.json").read_text())["files"]
    assert stated == {name: file_digest(path) for name, path in files.items() if name != "manifest.json"}
    statuses = [row["status"] for row in read_csv(out / "results.csv")]
    report = (out / "report.md").read_text()
    assert f"{statuses.count('done')} done of {len(statuses)}" in report
    assert (ran.out + ran.err).count(GOES_ON) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_directory_of_an_interrupted_run_agrees_with_itself(
    in_process, write_matrix, tmp_path, monkeypatch, number
):
    """Also where an earlier run of fewer cells has left a report and figures of its own."""
    matrix = write_matrix(seeds=[0], strategies=["real-only"])
    assert in_process("run", matrix, "--out", "out", figures=True).code == 0
    assert list((tmp_path / "out/figures").glob("*.svg"))
    with monkeypatch.context() as patched:
        struck(patched, InlineExecutor, "submit", kind="train", number=number)
        ran = in_process("run", write_matrix(seeds=[0, 1], strategies=["real-only"]), "--out", "out")
    assert ran.code == 130
    agrees(tmp_path / "out", ran)
    assert not (tmp_path / "out/figures").exists(), "they show the run before"
    report = (tmp_path / "out/report.html").read_text()
    assert "1 done of 2" in report and "run was interrupted" in report
    for command in ("verify", "report", "verify"):  # figures may be added, and all agrees again
        done = in_process(command, "out")
        assert done.code == 0, done.err
    assert "run was interrupted" in (tmp_path / "out/report.html").read_text()
    assert in_process("run", matrix, "--out", "out").code == 0
    assert "run was interrupted" not in (tmp_path / "out/report.html").read_text()


def test_a_first_run_that_is_interrupted_has_the_report_that_it_names(
    in_process, write_matrix, tmp_path, monkeypatch
):
    with monkeypatch.context() as patched:
        struck(patched, InlineExecutor, "submit", kind="decode")
        ran = in_process("run", write_matrix(seeds=[0], strategies=["real-only"]), "--out", "out", "--json")
    assert ran.code == 130 and json.loads(ran.out)["interrupted"] is True
    assert str(tmp_path / "out/report.html").endswith(json.loads(ran.out)["paths"]["report.html"])
    agrees(tmp_path / "out", ran)


def test_a_run_that_is_interrupted_while_it_draws_figures_has_its_scores_and_no_figures(
    in_process, write_matrix, tmp_path, monkeypatch
):
    matrix = write_matrix(seeds=[0], strategies=["real-only"])
    with monkeypatch.context() as patched:
        struck(patched, InlineExecutor, "submit", kind="figures")
        ran = in_process("run", matrix, "--out", "out", figures=True)
    assert ran.code == 130
    agrees(tmp_path / "out", ran)
    assert not (tmp_path / "out/figures").exists()
    assert {row["status"] for row in read_csv(tmp_path / "out/results.csv")} == {"done"}


@pytest.mark.parametrize("name", ["write_run", "seal"])
def test_a_signal_while_the_directory_is_written_waits_until_it_agrees(
    in_process, write_matrix, tmp_path, monkeypatch, name
):
    matrix = write_matrix(seeds=[0], strategies=["real-only"])
    with monkeypatch.context() as patched:
        struck(patched, run, name)
        ran = in_process("run", matrix, "--out", "out")
    assert ran.code == 130
    agrees(tmp_path / "out", ran)


def test_figures_that_could_not_be_drawn_are_not_those_of_the_run_before(
    in_process, write_matrix, tmp_path, monkeypatch
):
    matrix = write_matrix(seeds=[0], strategies=["real-only"])
    assert in_process("run", matrix, "--out", "out", figures=True).code == 0

    def broken(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("derm_bench.stages.figures.figures", broken)
        two = write_matrix(seeds=[0, 1], strategies=["real-only"])
        assert in_process("run", two, "--out", "out", figures=True).code == 1
    assert not list((tmp_path / "out").glob("figures/*"))
    assert "data:image/svg" not in (tmp_path / "out/report.html").read_text()


def test_a_second_signal_is_not_held_back():
    reached = []
    with pytest.raises(KeyboardInterrupt), held_back():
        os.kill(os.getpid(), signal.SIGINT)
        reached.append("after the first")
        os.kill(os.getpid(), signal.SIGINT)
        reached.append("after the second")
    assert reached == ["after the first"]
