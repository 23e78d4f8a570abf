"""MLflow: one experiment per matrix. It contains a run with final scores and tables, and one nested run per stage with
its curves."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derm_bench import hookimpl
from derm_bench.errors import UserError
from derm_bench_plugins.trackers import plain, scores

# derm-bench turns off MLflow's telemetry. To use it, set the variable to false.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

try:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param
except ImportError as error:
    raise UserError(
        f"the tracker 'mlflow' needs the package mlflow-skinny ({error})",
        hint="pip install 'derm-bench[mlflow]'",
    ) from error

TABLES = ("results.csv", "summary.csv", "fidelity.csv", "composition.csv", "manifest.json", "report.html")
ENDS = {"done": "FINISHED", "interrupted": "KILLED"}
MAX_METRICS = 1000
"""The largest number of metrics that a server accepts in one request."""


class MlflowTracker:
    """Logs to `place`, a tracking URI or a folder for a database.

    The default is MLFLOW_TRACKING_URI, or else `mlflow/` in the run directory. To view a folder, run
    `mlflow ui --backend-store-uri sqlite:///PLACE/mlflow.db`.
    """

    def __init__(self, place: str | None) -> None:
        self._place = place or os.environ.get("MLFLOW_TRACKING_URI")
        self._client: Any = None
        self._experiment = self._run = ""
        self._stages: dict[str, str] = {}

    @hookimpl
    def derm_bench_run_start(self, matrix: str, out: Path, stages: int) -> None:
        uri, artifacts = _address(self._place or str(out / "mlflow"))
        self._client = MlflowClient(tracking_uri=uri)
        known = self._client.get_experiment_by_name(matrix)
        self._experiment = (
            known.experiment_id
            if known
            else self._client.create_experiment(matrix, artifact_location=artifacts)
        )
        self._run = self._client.create_run(self._experiment, run_name=matrix).info.run_id
        params = [Param("stages", str(stages)), Param("out", str(out.absolute()))]
        self._client.log_batch(self._run, params=params)

    @hookimpl
    def derm_bench_log(self, stage: str, key: str, step: int, values: Mapping[str, float]) -> None:
        if key not in self._stages:
            tags = {"mlflow.parentRunId": self._run, "key": key}
            run = self._client.create_run(self._experiment, run_name=stage, tags=tags)
            self._stages[key] = run.info.run_id
        self._client.log_batch(self._stages[key], [_metric(name, v, step) for name, v in values.items()])

    @hookimpl
    def derm_bench_stage_finish(self, record: Mapping[str, Any]) -> None:
        run = self._stages.pop(record["key"], None)
        if run is None:
            return
        for name in ("kind", "device", "host", "status"):
            self._client.set_tag(run, name, str(record.get(name)))
        self._client.log_batch(run, [_metric("seconds", record["seconds"], 0)])
        self._client.set_terminated(run, ENDS.get(record["status"], "FAILED"))

    @hookimpl
    def derm_bench_run_finish(self, out: Path, statuses: Mapping[str, int]) -> None:
        finals = [_metric(f"{score.arm}/{score.metric}", score.mean, 0) for score in scores(out)]
        for start in range(0, len(finals), MAX_METRICS):
            self._client.log_batch(self._run, finals[start : start + MAX_METRICS])
        for table in TABLES:
            if (out / table).exists():
                self._client.log_artifact(self._run, str(out / table))
        for status, cells in statuses.items():
            self._client.set_tag(self._run, f"cells.{status}", str(cells))
        for run in self._stages.values():
            self._client.set_terminated(run, "KILLED")
        ended = "KILLED" if statuses.get("pending") else "FINISHED" if set(statuses) <= {"done"} else "FAILED"
        self._client.set_terminated(self._run, ended)


def _metric(name: str, value: float, step: int) -> Any:
    return Metric(plain(name)[:250], float(value), int(time.time() * 1000), step)


def _address(place: str) -> tuple[str, str | None]:
    """Return the tracking URI and, for a database in a folder, the location of the artifacts in that folder."""
    if "://" in place or place == "databricks":
        return place, None
    folder = Path(place).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'mlflow.db'}", (folder / "artifacts").as_uri()
