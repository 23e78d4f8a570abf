"""Runs a program under a limit of file size, and kills it with all it started once the caller is gone.

Started as `python program_guard.py PIPE BYTES PROGRAM ARGUMENT...`, as leader of a session of its own; PIPE is the
read end of a pipe whose other end only the caller has. Ends as the program ends (128 + n after signal n, 127 where it
could not be started). Imports the standard library only, so that it starts at once.
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
    # Python ignores these signals, and what is ignored stays so in the program.
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
    """Nothing is ever written: reading ends when the caller does."""
    os.read(pipe, 1)
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
