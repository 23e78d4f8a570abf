"""Records of stages in the store, as `rundir` needs them for its tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from derm_bench.runner.execute import Outcome
from derm_bench.store import Store
from derm_bench.store.stage_files import check_digests, read_stage, records_in


@dataclass(frozen=True)
class StoreRecords:
    """The stages of a run that has just ended: `outcomes` of those that were needed, and the store with their files."""

    outcomes: Mapping[str, Outcome]
    store: Store

    def outcome(self, key: str) -> Outcome:
        """The state of a stage. One that was not needed is done if it has finished, else pending."""
        if key in self.outcomes:
            return self.outcomes[key]
        return Outcome("done") if self.store.has(key) else Outcome("pending", "it was not selected")

    def result(self, key: str) -> Mapping[str, Any]:
        """The result of a stage that is done; empty for others."""
        finished = self.store.finished(key) if self.outcome(key).status == "done" else None
        return finished.result if finished else {}

    def folder(self, key: str) -> Path | None:
        """The folder of a finished stage's files; None where there is none."""
        finished = self.store.finished(key)
        return finished.folder if finished else None

    def attempt(self, key: str) -> Mapping[str, Any]:
        """The attempt that finished a stage; the last record for one that failed."""
        finished = self.store.finished(key)
        if finished:
            return finished.attempt
        return next(iter(reversed(self.store.records(key))), {})

    def statuses(self) -> dict[str, dict[str, str]]:
        """Status and error of the stages that are not done, as the manifest keeps them."""
        return {
            key: {"status": outcome.status, "error": outcome.error} | _cause(outcome)
            for key, outcome in self.outcomes.items()
            if outcome.status != "done"
        }


def _cause(outcome: Outcome) -> dict[str, str]:
    return {"cause": outcome.cause} if outcome.cause else {}


class SavedRecords:
    """The stages of the run of a manifest, read from the store at `root`. Nothing is written or moved there: a
    corrupted stage counts as not finished and is left in place."""

    def __init__(self, root: Path, statuses: Mapping[str, Outcome]) -> None:
        self._root = root
        self._statuses = statuses
        self._read: dict[str, Mapping[str, Any] | None] = {}

    def outcome(self, key: str) -> Outcome:
        """The state of a stage: as in the manifest, else done if the store has it."""
        if key in self._statuses:
            return self._statuses[key]
        return Outcome("done") if self._finished(key) else Outcome("pending", "it is no longer in the store")

    def result(self, key: str) -> Mapping[str, Any]:
        """The result of a stage that is done; empty for others."""
        finished = self._finished(key) if self.outcome(key).status == "done" else None
        return finished["result"] if finished else {}

    def folder(self, key: str) -> Path | None:
        """The folder of a finished stage's files; None where there is none."""
        return self._place(key) if self._finished(key) else None

    def attempt(self, key: str) -> Mapping[str, Any]:
        """The attempt that finished a stage; the last record for one that failed."""
        finished = self._finished(key)
        if finished:
            return finished["attempt"]
        records = records_in(self._root / "records" / key[:2] / f"{key}.jsonl")
        return records[-1] if records else {}

    def _place(self, key: str) -> Path:
        return self._root / "objects" / key[:2] / key

    def _finished(self, key: str) -> Mapping[str, Any] | None:
        if key not in self._read:
            try:
                document = read_stage(self._place(key))
                check_digests(self._place(key), document)
                self._read[key] = document
            except (OSError, ValueError):
                self._read[key] = None
        return self._read[key]
