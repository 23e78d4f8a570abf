"""Signals that end a command or a worker are interruptions, whatever the signal and whenever it comes."""

import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from tests.conftest import read_csv

from derm_bench import cli
from derm_bench.cli.signals import ENDING, interrupt_when_signalled
from derm_bench.executors.local import _Worker


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_before_the_run_has_begun_exits_130(number, monkeypatch, capsys):
    monkeypatch.setattr(cli.main_group, "main", lambda **_: os.kill(os.getpid(), number))
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "matrix.yaml"])
    assert ended.value.code == 130
    assert "the same command goes on" in capsys.readouterr().err


def test_a_second_signal_while_the_first_is_dealt_with_exits_130(monkeypatch):
    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.main_group, "main", interrupted)
    monkeypatch.setattr(cli.click, "echo", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit) as ended:
        cli.main(["run", "matrix.yaml"])
    assert ended.value.code == 130


def test_a_signal_that_is_ignored_stays_so():
    """As under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    interrupt_when_signalled()
    os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_run_that_ctrl_c_cannot_end_says_what_does(in_process, write_matrix):
    """Where the shell has Ctrl-C ignored. Whoever sends it, and then ends a worker, sees the stage start again."""
    matrix = write_matrix(seeds=[0], strategies=["real-only"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ran = in_process("run", matrix)
    assert ran.code == 0
    assert f"Ctrl-C is ignored, as in the background of a script; `kill {os.getpid()}` ends" in ran.err
    signal.signal(signal.SIGINT, signal.default_int_handler)
    assert "Ctrl-C" not in in_process("run", matrix).err


@pytest.mark.parametrize(
    ("number", "status"),
    [
        *((number, "interrupted") for number in ("SIGTERM", "SIGHUP", "SIGQUIT", "SIGKILL", "SIGUSR1")),
        *((number, "failed") for number in ("SIGSEGV", "SIGABRT", "SIGXCPU")),
    ],
)
def test_a_worker_that_a_signal_from_outside_ended_is_interrupted_and_a_crash_failed(
    number, status, monkeypatch
):
    monkeypatch.setattr("derm_bench.executors.local.kernel_kills", lambda: 0)
    # A process started under nohup, or in the background of a script, ignores some of these signals.
    usual = lambda: [signal.signal(one, signal.SIG_DFL) for one in ENDING]  # noqa: E731
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], preexec_fn=usual)
    process.send_signal(getattr(signal, number))
    ended, said = _Worker.exit_status(SimpleNamespace(process=process, _kernel_kills=0))
    assert ended == status and number in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_run_that_is_ended_by_a_signal_writes_its_tables_and_goes_on(
    in_process, write_matrix, tmp_path, monkeypatch, number
):
    from derm_bench.executors.inline import InlineExecutor

    matrix = write_matrix(seeds=[0], strategies=["real-only"])
    poll = InlineExecutor.poll

    def struck(self, timeout):
        events = poll(self, timeout)
        os.kill(os.getpid(), number)
        return events

    with monkeypatch.context() as patched:
        patched.setattr(InlineExecutor, "poll", struck)
        assert in_process("run", matrix, "--out", "out").code == 130
    assert {row["status"] for row in read_csv(tmp_path / "out/results.csv")} == {"pending"}
    assert in_process("run", matrix, "--out", "out").code == 0
