"""Running an external program: it is heard, held to its limits, and never outlives its caller."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydantic import ValidationError

from derm_bench.errors import UserError
from derm_bench_plugins.generators import command_planning
from derm_bench_plugins.generators.command_line import filled
from derm_bench_plugins.generators.command_planning import digests
from derm_bench_plugins.generators.external_program import Limits, run_program
from derm_bench_plugins.generators.specs.command import CommandOptions

GENEROUS = Limits(seconds=20, size=10**8, files=1000)


def shell(tmp_path, script, limits=GENEROUS):
    run_program(["sh", "-c", script], tmp_path, limits)


def gone(pid) -> bool:
    """Whether a process has ended, within five seconds."""
    for _ in range(100):
        try:
            os.kill(pid, 0)
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.05)
    return False


def test_arguments_arrive_as_they_are_and_no_shell_sees_them(tmp_path):
    word = "$HOME; `id` 'a b' *"
    run_program(
        [sys.executable, "-c", "import sys; open('said', 'w').write(sys.argv[1])", word], tmp_path, GENEROUS
    )
    assert (tmp_path / "work" / "said").read_text() == word


def test_it_sees_a_home_of_its_own_and_none_of_the_users_variables(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    shell(tmp_path, 'env > seen; [ "$HOME" = "$PWD" ]')
    assert "hunter2" not in (tmp_path / "work" / "seen").read_text()


@pytest.mark.parametrize(
    ("script", "limits", "said"),
    [
        ("echo why; exit 3", GENEROUS, r"exit code 3; its last output:\nwhy"),
        ("echo 1 of 9; echo why >&2; exit 3", GENEROUS, r"exit code 3; its last error output:\nwhy$"),
        ("printf '10%%\\r20%%\\r\\n\\nwhy\\r\\n' >&2; exit 9", GENEROUS, r"error output:\n20%\n\nwhy$"),
        ("kill -SEGV $$", GENEROUS, "ended by signal 11, SIGSEGV"),
        ("sleep 60", GENEROUS._replace(seconds=0.3), "stopped after 0.3 s, its `timeout`"),
        ("head -c 3000000 /dev/zero > big", GENEROUS._replace(size=10**6), "`max_megabytes`"),
        (
            "i=0; while :; do i=$((i+1)); head -c 90000 /dev/zero > $i; done",
            GENEROUS._replace(size=10**6),
            "stopped: it left",
        ),
        ("i=0; while :; do i=$((i+1)); : > $i; done", GENEROUS._replace(files=50), "`max_files` allows 50"),
        ("for i in 1 2 3 4; do : > $i; done", GENEROUS._replace(files=3), "`max_files` allows 3"),
    ],
)
def test_what_goes_wrong_is_said(tmp_path, script, limits, said):
    with pytest.raises(UserError, match=said):
        shell(tmp_path, script, limits)


def test_the_error_is_shown_in_whole_lines_and_bounded(tmp_path):
    script = "for i in $(seq 1 900); do echo line $i of a long story >&2; done; echo the reason >&2; exit 1"
    with pytest.raises(UserError) as caught:
        shell(tmp_path, script)
    head, *lines = caught.value.message.split("\n")
    assert head.endswith("exit code 1; its last error output (the log of the stage has more):")
    assert lines[-1] == "the reason" and all(line.startswith("line ") for line in lines[:-1])
    assert 2900 < sum(len(line) + 1 for line in lines) <= 3001


def test_a_single_line_without_end_is_bounded_too(tmp_path):
    with pytest.raises(UserError) as caught:
        shell(tmp_path, "head -c 9000 /dev/zero | tr '\\0' x; echo end; exit 1")
    assert len(caught.value.message) < 3200 and caught.value.message.endswith("xend")


def test_what_it_leaves_running_is_ended(tmp_path):
    shell(tmp_path, "sleep 300 & echo $! > pid")
    assert gone(int((tmp_path / "work" / "pid").read_text()))


def test_it_ends_with_its_caller(tmp_path):
    script = "sleep 300 & echo $! > pid.part; mv pid.part pid; wait"
    code = f"""
from pathlib import Path
from derm_bench_plugins.generators.external_program import Limits, run_program
run_program(["sh", "-c", {script!r}], Path({str(tmp_path)!r}), Limits(60, 10**9, 1000))
"""
    caller = subprocess.Popen([sys.executable, "-c", code])
    pid = tmp_path / "work" / "pid"
    while not pid.exists():
        assert caller.poll() is None
        time.sleep(0.02)
    caller.send_signal(signal.SIGKILL)
    caller.wait()
    assert gone(int(pid.read_text()))


def test_a_program_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UserError, match="no program 'no-such-gan'"):
        run_program(["no-such-gan"], tmp_path, GENEROUS)


def test_placeholders_are_replaced_once_and_inside_words():
    argv = ("--data={train}", "{n}", '{"json": 1}', "{class}")
    values = {"train": "/a/{n}", "n": 5, "class": "{seed}", "seed": 1}
    assert filled(argv, values) == ["--data=/a/{n}", "5", '{"json": 1}', "{seed}"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"argv": ("gan", "{output}")}, "did you mean 'out'"),
        ({"argv": ("gan", "{train}")}, "lacks {out}"),
        ({"argv": ("gan", "{out}", "{class}"), "scope": "pooled"}, "write scope: per_class"),
        ({"argv": ("{program}", "{out}")}, "set the option `program`"),
        ({"argv": "gan {train} {out}"}, "tuple"),
    ],
)
def test_an_argv_that_cannot_work_is_refused(given, said):
    with pytest.raises(ValidationError, match=said):
        CommandOptions(**given)


# ------------------------------------------------------------------------------- the folder of a program


def known_by(folder) -> dict[str, str]:
    return digests(CommandOptions(argv=[sys.executable, "{out}"], program=folder, samples_per_fit=1))


def test_the_folder_of_a_program_is_bounded_in_depth_and_number(tmp_path, monkeypatch):
    deep = tmp_path / "deep"
    (deep / "/".join("n" * 40)).mkdir(parents=True)
    with pytest.raises(UserError, match="more than 32 folders inside each other"):
        known_by(deep)
    monkeypatch.setattr(command_planning, "MAX_PROGRAM_FILES", 3)
    wide = tmp_path / "wide"
    for name in "abcd":
        (wide / name).mkdir(parents=True)  # folders without files count too
    with pytest.raises(UserError, match="more than 3 files"):
        known_by(wide)


def test_a_folder_of_a_program_that_cannot_be_opened_is_named(tmp_path, monkeypatch):
    (tmp_path / "locked").mkdir()
    scandir = os.scandir

    def refusing(place="."):
        if Path(place).name == "locked":
            raise PermissionError(errno.EACCES, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refusing)
    with pytest.raises(UserError, match="locked of the program cannot be opened: permission denied"):
        known_by(tmp_path)


def test_pipes_and_devices_in_the_folder_of_a_program_are_not_read(tmp_path):
    (tmp_path / "code.py").write_text("pass")
    before = known_by(tmp_path)["program"]
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    assert known_by(tmp_path)["program"] == before
