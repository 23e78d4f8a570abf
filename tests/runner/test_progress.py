"""What a run says about stages that do not end well."""

import pytest
from tests.runner.test_execute import stage

from derm_bench.runner import run
from derm_bench.runner.eta import Eta
from derm_bench.runner.failures import failed_stages
from derm_bench.runner.progress import BarProgress, PlainProgress
from derm_bench.terminal import PlainConsole

FIX = "UserError: the weights are missing\n  put resnet18.pth into /weights"


def failed(message, key="a"):
    return {"status": "failed", "seconds": 0.1, "key": key, "error": {"message": message}}


@pytest.fixture(params=["plain", "bars"])
def progress(request, tmp_path):
    def where(key):
        return tmp_path / f"{key}.jsonl"

    if request.param == "plain":
        return PlainProgress(where=where)
    return BarProgress(PlainConsole(stderr=True, width=400), where)


def test_an_error_is_shown_whole_once_with_the_file_that_has_more(progress, capsys, tmp_path):
    progress.begin(4, 0)
    for name in ("a", "b"):
        progress.finished(stage(name), failed(FIX, name))
    progress.finished(stage("c"), failed("RuntimeError: something else\n\nand its fix", "c"))
    progress.end()
    said = capsys.readouterr().err
    assert said.count("put resnet18.pth into /weights") == 1
    assert said.count("and its fix") == 1
    assert str(tmp_path / "a.jsonl") in said and str(tmp_path / "c.jsonl") in said
    assert "the same error as 'a'" in said


def test_a_failure_without_a_message_has_its_status_alone(progress, capsys):
    progress.begin(1, 0)
    progress.finished(stage("a"), {"status": "interrupted", "seconds": 0.1, "error": None})
    progress.end()
    assert "interrupted" in capsys.readouterr().err


def test_what_failed_in_an_earlier_run_is_counted_and_each_error_said_once(progress, capsys):
    progress.begin(0, 7)
    progress.failed_before(
        [*((stage(name), failed(FIX)) for name in "abc"), (stage("d"), failed("out of time"))]
    )
    progress.end()
    said = capsys.readouterr().err
    assert "4 stages failed in an earlier run" in said and "--retry-failed" in said
    assert "a and 2 more stages" in said and said.count("put resnet18.pth") == 1 and "out of time" in said


def test_the_time_left_follows_the_forecast_and_what_stages_take():
    now = [0.0]
    eta = Eta({"a": 100.0, "b": 100.0, "c": 400.0}, workers=2, clock=lambda: now[0])
    assert eta.seconds() == 400.0, "the longest stage, as the others take less beside it"
    assert str(eta) == "about 7 min left"
    eta.started("a")
    now[0] = 200.0
    eta.finished("a")  # twice as long as forecast, and so will be the others
    assert eta.seconds() == pytest.approx(400.0 * 205 / 105)
    eta.started("c")
    now[0] = 220.0
    eta.progressed("c", 10, 100)  # a tenth in 20 s
    assert eta.seconds() == pytest.approx(100.0 * 205 / 105), "b, as c has 180 s left"
    eta.finished("c")
    eta.finished("b", well=False)
    assert (eta.seconds(), str(eta)) == (0.0, "")


def test_a_stage_without_a_forecast_or_without_progress_leaves_the_time_alone():
    eta = Eta({"a": 30.0}, workers=4, clock=lambda: 0.0)
    eta.started("other")
    eta.progressed("other", 1, 0)
    eta.progressed("never started", 1, 2)
    eta.finished("other")
    assert eta.seconds() == 30.0 and str(eta) == "less than a minute left"


def test_the_time_left_stands_in_the_bar(capsys):
    console = PlainConsole(stderr=True, width=160, force_terminal=True)
    bars = BarProgress(console, eta=Eta({"a": 7200.0, "b": 7200.0}, workers=1))
    bars.begin(2, 0)
    bars.started(stage("a"))
    bars.progressed(stage("a"), {"done": 1, "total": 1000, "values": {}})
    bars.end()
    assert "about 4.0 h left" in capsys.readouterr().err


def test_a_run_on_a_terminal_shows_the_time_left(in_process, write_matrix, monkeypatch):
    monkeypatch.setattr(
        run, "PlainConsole", lambda **_: PlainConsole(stderr=True, width=200, force_terminal=True)
    )
    ran = in_process("run", write_matrix(seeds=[0], strategies=["real-only"]))
    assert ran.code == 0 and "less than a minute left" in ran.err


def test_stages_that_a_failure_skips_take_no_time_and_count_as_ended(capsys):
    console = PlainConsole(stderr=True, width=160, force_terminal=True)
    bars = BarProgress(console, eta=Eta({"a": 60.0, "b": 7200.0, "c": 7200.0, "d": 600.0}, workers=1))
    bars.begin(4, 0)
    bars.started(stage("a"))
    bars.finished(stage("a"), failed(FIX))
    bars.skipped(stage("b"))
    bars.skipped(stage("c"))
    bars.end()
    said = capsys.readouterr().err
    assert "about 10 min left" in said and "3/4" in said


def test_plain_lines_count_the_stages_that_a_failure_skips(capsys):
    lines = PlainProgress()
    lines.begin(4, 0)
    lines.finished(stage("a"), failed(FIX))
    for name in "bc":
        lines.skipped(stage(name))
    lines.finished(stage("d"), {"status": "done", "seconds": 0.1})
    assert "[4/4] d: done" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("failed", "skipped", "said"),
    [
        (1, 0, "'s0' ended as failed: no"),
        (1, 1, "'s0' ended as failed: no; 1 stage that needs it was skipped"),
        (
            4,
            2,
            "'s0', 's1', 's2' and 1 other stage ended as failed: no; 2 stages that need one of them were skipped",
        ),
    ],
)
def test_a_warning_counts_what_failed_alike_and_what_needs_it(failed, skipped, said):
    statuses = {f"k{n}": {"status": "failed", "error": "no", "title": f"s{n}"} for n in range(failed)}
    for n in range(skipped):
        statuses[f"skipped{n}"] = {"status": "skipped", "error": "x", "title": "t", "cause": "k0"}
    assert failed_stages(statuses, ()) == [said]
