"""Keeps the end of a process's output."""

from __future__ import annotations

import collections
import os
import threading
from typing import IO

LOG_BYTES = 16_384


class OutputTail:
    """Reads a stream in a thread and keeps its last `LOG_BYTES` bytes."""

    def __init__(self, stream: IO[bytes] | None) -> None:
        self._chunks: collections.deque[bytes] = collections.deque()
        self._size = 0
        self._lock = threading.Lock()
        assert stream is not None
        self._thread = threading.Thread(target=self._drain, args=(stream,), daemon=True)
        self._thread.start()

    def _drain(self, stream: IO[bytes]) -> None:
        with stream:
            while chunk := os.read(stream.fileno(), LOG_BYTES):
                with self._lock:
                    self._chunks.append(chunk)
                    self._size += len(chunk)
                    while self._size - len(self._chunks[0]) >= LOG_BYTES:
                        self._size -= len(self._chunks.popleft())

    def text(self) -> str:
        """The last bytes that have been read, as text."""
        with self._lock:
            return b"".join(self._chunks)[-LOG_BYTES:].decode(errors="replace")

    def wait(self, seconds: float) -> None:
        """Waits until the stream has ended, at most `seconds`, since a surviving child process may keep it open."""
        self._thread.join(seconds)
