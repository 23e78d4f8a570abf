"""What a run says about stages that do not end well."""

import pytest
from tests.runner.test_execute import stage

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
