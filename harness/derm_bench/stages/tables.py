"""The tables of a run inside a stage, built from the rows of the plan and the outcomes of other stages."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derm_bench.rundir.planned import stages_of
from derm_bench.stage_names import STAGE_FILE

if TYPE_CHECKING:
    from derm_bench.rundir.planned import RunStages
    from derm_bench.stages.context import Ended, StageContext


def run_stages(context: StageContext) -> RunStages:
    """The rows of the plan, which the parameters of the stage refer to by their digest."""
    return stages_of(json.loads(context.planned(context.params.rows)))


class EndedRecords:
    """The outcomes of the optional inputs of a stage (`derm_bench.rundir.records.Records`). Their times are not known
    here: statistics and figures do not use times."""

    def __init__(self, ended: Mapping[str, Ended]) -> None:
        self._ended = ended
        self._result = functools.cache(_result)

    def outcome(self, key: str) -> Any:
        return _Outcome(self._ended[key]) if key in self._ended else _UNKNOWN

    def result(self, key: str) -> Mapping[str, Any]:
        folder = self.folder(key)
        return self._result(folder) if folder is not None else {}

    def folder(self, key: str) -> Path | None:
        return self._ended[key].folder if key in self._ended else None

    def attempt(self, key: str) -> Mapping[str, Any]:
        return {}


class _Outcome:
    cause = None

    def __init__(self, ended: Ended) -> None:
        self.status, self.error = ended.status, ended.error


class _Unknown:
    status, error, cause = "pending", "", None


_UNKNOWN = _Unknown()


def _result(folder: Path) -> Mapping[str, Any]:
    result: Mapping[str, Any] = json.loads((folder / STAGE_FILE).read_bytes())["result"]
    return result
