"""Runs an external program in a folder of its own, within limits of time, size and number of files.

This is no sandbox: the program has the user's rights, and the limits are against accidents.
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
# Looking at all files may take this share of the time, and no more.
WATCHING = 0.1
SHOWN = 1500  # characters of what the program printed that an error shows
# Beside locale and GPU; HOME and TMPDIR are folders of the program's own.
PASSED_ON = (
    *("PATH", "LANG", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "CONDA_PREFIX"),
    *("CUDA_VISIBLE_DEVICES", "CUDA_HOME", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"),
)


class Limits(NamedTuple):
    """Seconds; bytes of all files and of any one; files and folders."""

    seconds: float
    size: int
    files: int


def run_program(argv: Sequence[str], folder: Path, limits: Limits) -> None:
    """Runs `argv` in `folder`/work until it ends by itself, and prints the end of its output to stderr.

    The limits count what it adds to `folder`. UserError where it cannot be found, exceeds
    a limit (it is killed with its process group) or ends with another code than 0.
    """
    path = shutil.which(argv[0])
    if path is None:
        raise UserError(f"there is no program '{argv[0]}'", hint="name one on the PATH, or its whole path")
    work = folder / "work"
    (work / "tmp").mkdir(parents=True)
    before = usage(folder)
    read, write = os.pipe()
    try:
        # Leader of a group of its own, which is killed as a whole; the guard does so if this process is killed itself.
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
            stderr=subprocess.STDOUT,
            pass_fds=[read],
            cwd=work,
            env=_environment(work),
            start_new_session=True,
        )
        tail = OutputTail(process.stdout)
        try:
            wrong = _watched(process, folder, before, limits)
        finally:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            code = process.wait()
            tail.wait(1.0)
    finally:
        os.close(read)
        os.close(write)
    output = tail.text().strip()
    sys.stderr.write(f"$ {' '.join(argv)}\n{output}\n")  # the stage's log
    wrong = wrong or _over(usage(folder), before, limits) or _badly_ended(code)
    if wrong:
        last = f"its last output:\n{output[-SHOWN:]}" if output else "it printed nothing"
        raise UserError(f"the program {argv[0]} {wrong}; {last}")


def usage(folder: Path) -> tuple[int, int]:
    """Bytes and number of what lies below a folder, links not followed; what vanishes meanwhile is left out."""
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
    """Waits for the program's end; what was wrong, or None."""
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
        return f"left {size / 1e6:,.0f} MB, `max_megabytes` allows {limits.size / 1e6:,.0f}"
    if number > limits.files:
        return f"left {number:,} files and folders, `max_files` allows {limits.files:,}"
    return None


def _badly_ended(code: int) -> str | None:
    if code == 128 + signal.SIGXFSZ:
        return "wrote a file larger than `max_megabytes`"
    if 128 < code <= 128 + signal.SIGRTMAX:
        return f"ended by signal {code - 128}"
    return f"ended with exit code {code}" if code else None


def _environment(work: Path) -> dict[str, str]:
    """Few variables, so that results do not depend on the user's shell."""
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return passed | {"HOME": str(work), "TMPDIR": str(work / "tmp"), "PYTHONHASHSEED": "0"}
