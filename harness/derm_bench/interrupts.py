"""The signals that end a command, and how they are held back while files that belong together are written."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

ENDING = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT") if hasattr(signal, name)
)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Holds back a signal that ends the command until the block has ended; its handler is called then. A second signal
    in the block is not held back. Without effect outside of the main thread, which is the one that gets signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers: dict[int, Any] = {}

    def hold(number: int, frame: Any) -> None:
        if came:
            handlers[number](number, frame)
        came.append(number)

    for number in ENDING:
        handler = signal.getsignal(number)
        if callable(handler):  # neither ignored nor the default of the system
            handlers[number] = handler
            signal.signal(number, hold)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if came:
        handlers[came[0]](came[0], None)
