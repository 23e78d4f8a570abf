"""Runs a program with a limit on file size. When the caller ends, it kills the program and all processes it started.

The guard is started as `python program_guard.py PIPE BYTES PROGRAM ARGUMENT...`, as the leader of a new session. PIPE
is the read end of a pipe whose other end only the caller has. The guard exits with the exit code of the program, with
128 + n if signal n ended the program, or with 127 if the program could not be started. It imports only the standard
library, so that it starts quickly.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading


def main() -> None:
    pipe, most, argv = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    child = os.fork()
    if child == 0:
        os.close(pipe)
        _become(argv, most)
    threading.Thread(target=_end_with, args=(pipe,), daemon=True).start()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os._exit(code if code >= 0 else 128 - code)


def _become(argv: list[str], most: int) -> None:
    # Python ignores these signals, and the program would inherit that.
    for number in (signal.SIGINT, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        os.execv(argv[0], argv)
    except OSError as error:
        os.write(2, f"{argv[0]} cannot be started: {error.strerror}\n".encode())
        os._exit(127)


def _end_with(pipe: int) -> None:
    """Wait for the caller to end, then kill the process group. Nothing is ever written to the pipe, so that reading
    returns only when the caller ends."""
    os.read(pipe, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
