"""Signals that end a command. All of them are treated like Ctrl-C, so that what runs is recorded as interrupted."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

from derm_bench.interrupts import ENDING


def interrupt_when_signalled() -> None:
    """Makes the signals that end a command raise KeyboardInterrupt in the main thread. A signal that is ignored stays
    so: `nohup` ignores SIGHUP, and a shell ignores SIGINT for commands in its background."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def how_to_end() -> str:
    """A sentence for a command that Ctrl-C does not end, because the shell that started it asks for that: a script that
    puts a command into the background does. Empty for others."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        return ""
    return f"Ctrl-C is ignored, as in the background of a script; `kill {os.getpid()}` ends this run in the same way"


def _interrupt(number: int, frame: Any) -> None:
    if number == getattr(signal, "SIGHUP", None):
        _leave_terminal()
    raise KeyboardInterrupt


def _leave_terminal() -> None:
    """Sends what is still printed to nowhere if it went to the terminal that has been closed: writing there fails."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream.isatty():
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
        except (OSError, ValueError):  # closed, or not a file
            continue
