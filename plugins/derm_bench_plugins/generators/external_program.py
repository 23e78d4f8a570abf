"""Runs an external program in a separate folder, with limits on its time and on the size and number of its files.

This is not a sandbox: the program has the user's rights, and the limits only protect against accidents.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from derm_bench.errors import UserError
from derm_bench.executors.output_tail import OutputTail
from derm_bench_plugins.generators import program_guard

POLL_SECONDS = 0.05
# The largest fraction of the time that checking the files may take.
WATCHING = 0.1
SHOWN = 3000  # number of characters of the program's output in an error message
# The environment variables that the program gets, in addition to HOME and TMPDIR, which are set to its own folders.
PASSED_ON = (
    *("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX"),
    *("CUDA_VISIBLE_DEVICES", "CUDA_HOME", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
)


class Limits(NamedTuple):
    """The limits: `seconds`; `size`, bytes of all files together and of each file; `files`, number of files and
    folders."""

    seconds: float
    size: int
    files: int


def run_program(argv: Sequence[str], folder: Path, limits: Limits) -> None:
    """Run `argv` in `folder`/work until it ends, and print the end of its output to stderr.

    The limits apply to what the program adds to `folder`. Raises UserError if the program cannot be found, exceeds a
    limit (then its process group is killed) or ends with a code other than 0.
    """
    path = shutil.which(argv[0])
    if path is None:
        raise UserError(
            f"there is no program '{argv[0]}'", hint="name a program on the PATH, or write its full path"
        )
    work = folder / "work"
    (work / "tmp").mkdir(parents=True)
    before = usage(folder)
    read, write = os.pipe()
    try:
        # The program leads a new process group, which is killed as a whole: by this process, or, if this process is
        # killed itself, by the guard.
        process = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                program_guard.__file__,
                str(read),
                str(limits.size),
                path,
                *argv[1:],
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[read],
            cwd=work,
            env=_environment(work),
            start_new_session=True,
        )
        printed, errors = OutputTail(process.stdout), OutputTail(process.stderr)
        try:
            wrong = _watched(process, folder, before, limits)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
            printed.wait(1.0)
            errors.wait(1.0)
    finally:
        os.close(read)
        os.close(write)
    sys.stderr.write(f"$ {' '.join(argv)}\n{printed.text()}\n{errors.text()}\n")  # the stage's log
    wrong = wrong or _over(usage(folder), before, limits) or _badly_ended(code)
    if wrong:
        raise UserError(f"the program {argv[0]} {wrong}; {_last_lines(printed.text(), errors.text())}")


def _last_lines(printed: str, errors: str) -> str:
    """The last lines of the error output, or of the output if that is empty, as a part of a message. Lines are whole,
    unless one is longer than `SHOWN`."""
    for what, text in (("error output", errors), ("output", printed)):
        # A progress bar writes over its line: what is left of it is behind the last carriage return.
        lines = [line.rstrip("\r").rpartition("\r")[2].rstrip() for line in text.strip().split("\n")]
        shown: list[str] = []
        for line in reversed(lines):
            if shown and sum(map(len, shown)) + len(shown) + len(line) > SHOWN:
                break
            shown.insert(0, line[-SHOWN:])
        if any(shown):
            cut = "" if len(shown) == len(lines) else " (the log of the stage has more)"
            return f"its last {what}{cut}:\n" + "\n".join(shown)
    return "it printed nothing"


def usage(folder: Path) -> tuple[int, int]:
    """Return the total size in bytes and the number of the files and folders below a folder.

    Links are not followed, and files that are deleted meanwhile are left out.
    """
    size = number = 0
    open_folders = [folder]
    while open_folders:
        with contextlib.suppress(OSError), os.scandir(open_folders.pop()) as entries:
            for entry in entries:
                number += 1
                if entry.is_dir(follow_symlinks=False):
                    open_folders.append(Path(entry.path))
                else:
                    with contextlib.suppress(OSError):
                        size += entry.stat(follow_symlinks=False).st_size
    return size, number


def _watched(
    process: subprocess.Popen[bytes], folder: Path, before: tuple[int, int], limits: Limits
) -> str | None:
    """Wait for the program to end. Return the description of an exceeded limit, or None."""
    began = time.monotonic()
    look_at = began
    while process.poll() is None:
        now = time.monotonic()
        if now - began > limits.seconds:
            return f"was stopped after {limits.seconds:g} s, its `timeout`"
        if now >= look_at:
            wrong = _over(usage(folder), before, limits)
            if wrong:
                return f"was stopped: it {wrong}"
            look_at = time.monotonic() + max(POLL_SECONDS, (time.monotonic() - now) / WATCHING)
        time.sleep(POLL_SECONDS)
    return None


def _over(now: tuple[int, int], before: tuple[int, int], limits: Limits) -> str | None:
    size, number = now[0] - before[0], now[1] - before[1]
    if size > limits.size:
        return f"left {size / 1e6:,.0f} MB, but `max_megabytes` allows {limits.size / 1e6:,.0f}"
    if number > limits.files:
        return f"left {number:,} files and folders, but `max_files` allows {limits.files:,}"
    return None


def _badly_ended(code: int) -> str | None:
    if code == 128 + signal.SIGXFSZ:
        return "wrote a file larger than `max_megabytes`"
    if 128 < code <= 128 + signal.SIGRTMAX:
        return f"was ended by signal {code - 128}{_name_of(code - 128)}"
    return f"ended with exit code {code}" if code else None


def _name_of(number: int) -> str:
    """`, SIGSEGV`; empty for a signal without a name."""
    try:
        return f", {signal.Signals(number).name}"
    except ValueError:
        return ""


def _environment(work: Path) -> dict[str, str]:
    """Return a small environment, so that results do not depend on the user's shell."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return passed | {"HOME": str(work), "TMPDIR": str(work / "tmp"), "PYTHONHASHSEED": "0"}
