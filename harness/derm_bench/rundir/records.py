"""How the stages behind a run directory stand: what building its tables asks of a store, or of a worker's inputs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol


class StageOutcome(Protocol):
    """How one stage stands. `error` is for a person; `cause` the key of the stage that it was skipped for."""

    @property
    def status(self) -> str: ...

    @property
    def error(self) -> str: ...

    @property
    def cause(self) -> str | None: ...


class Records(Protocol):
    """Answers for every stage of a run, by its key, in the parent and in a worker alike."""

    def outcome(self, key: str) -> StageOutcome:
        """How the stage stands."""
        ...

    def result(self, key: str) -> Mapping[str, Any]:
        """The result of a stage that is done; empty for others."""
        ...

    def folder(self, key: str) -> Path | None:
        """The folder of a finished stage's files; None where there is none."""
        ...

    def attempt(self, key: str) -> Mapping[str, Any]:
        """`seconds`, `peak_memory_mb` and `peak_device_mb` of the attempt that finished the stage, else of the last
        one; empty where that is not known."""
        ...
