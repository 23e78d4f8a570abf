"""Protocols for the status and outputs of stages, implemented by the store and by the inputs of a worker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class StageOutcome(Protocol):
    """The outcome of one stage. `error` is a message; `cause` is the key of the stage whose failure caused a skip."""

    @property
    def status(self) -> str: ...

    @property
    def error(self) -> str: ...

    @property
    def cause(self) -> str | None: ...


class Records(Protocol):
    """Access to the records of all stages of a run by key, in the parent process and in a worker."""

    def outcome(self, key: str) -> StageOutcome:
        """Return the outcome of the stage."""
        ...

    def result(self, key: str) -> Mapping[str, Any]:
        """Return the result of the stage; empty unless the stage is done."""
        ...

    def folder(self, key: str) -> Path | None:
        """Return the folder with the files of a finished stage, or None."""
        ...

    def attempt(self, key: str) -> Mapping[str, Any]:
        """Return `seconds`, `peak_memory_mb` and `peak_device_mb` of the attempt that finished the stage, or else of
        the last attempt; empty if unknown."""
        ...
