"""Rows of a run directory as the report reads them: CSV files, predictions and the manifest."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derm_bench.errors import UserError

if TYPE_CHECKING:
    import numpy as np

Row = Mapping[str, Any]

RESULT_COLUMNS = (
    "cell", "dataset", "train_fraction", "strategy", "generator", "classifier", "seed", "split_seed",
    "generator_seed", "classifier_seed", "protocol", "test_set", "status", "error", "n_train_real",
    "n_train_synthetic", "n_test", "updates", "generator_seconds", "generator_seconds_shared",
    "train_seconds", "eval_seconds", "peak_memory_mb", "peak_device_mb",
)  # fmt: skip
"""What results.csv holds before its metrics; every further column is a classification metric."""

SUMMARY_COLUMNS = (
    "dataset", "train_fraction", "test_set", "strategy", "classifier", "metric", "baseline", "n_seeds",
    "mean", "std", "ci_low", "ci_high", "delta", "delta_ci_low", "delta_ci_high", "p_value", "p_holm",
    "verdict",
)  # fmt: skip

FIDELITY_COLUMNS = (
    "dataset", "train_fraction", "strategy", "generator", "split_seed", "generator_seed", "class", "metric",
    "step", "value", "ci_low", "ci_high", "extractor", "reference", "n_real", "n_synthetic",
)  # fmt: skip

COMPOSITION_COLUMNS = (
    "dataset", "train_fraction", "strategy", "generator", "split_seed", "generator_seed", "split", "class",
    "real", "synthetic",
)  # fmt: skip

HISTORY_COLUMNS = (
    "dataset", "train_fraction", "stage", "role", "name", "class", "seed", "step", "images", "epoch", "split",
    "metric", "value",
)  # fmt: skip

CONTROL = "control"
"""The strategy under which fidelity.csv keeps its reference rows."""


def text(value: Any) -> str:
    """A value as a CSV cell holds it: '' for None and NaN, floats by `repr`, so that equal numbers look
    equal."""
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(float(value))
    return str(value)


def number(value: Any) -> float | None:
    """A cell as a finite float; None where it is empty, NaN, infinite or a word."""
    if value is None or value == "":
        return None
    try:
        result = float(value)
    except (TypeError, ValueError):
        return None
    return result if math.isfinite(result) else None


def unique(values: Iterable[Any]) -> list[Any]:
    """Distinct values in their first order."""
    return list(dict.fromkeys(values))


def metric_columns(results: Sequence[Row]) -> list[str]:
    """The classification metrics of results.csv rows, in the order of its columns."""
    return unique(column for row in results for column in row if column not in RESULT_COLUMNS)


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows of a CSV file; [] where there is no such file."""
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True)
class Scored:
    """Predictions of one cell on one test set: labels, predicted int64 [N] (indices into the classes);
    proba float64 [N,K], rows in class order."""

    labels: np.ndarray
    predicted: np.ndarray
    proba: np.ndarray


@dataclass(frozen=True)
class ReportData:
    """Everything a report is made of. Rows are mappings as the CSV files of the run directory hold them."""

    results: Sequence[Row] = ()
    summary: Sequence[Row] = ()
    fidelity: Sequence[Row] = ()
    composition: Sequence[Row] = ()
    history: Sequence[Row] = ()
    manifest: Mapping[str, Any] = field(default_factory=dict)
    predictions: Path | None = None

    @classmethod
    def load(cls, folder: Path) -> ReportData:
        """Reads what is there of results.csv, summary.csv, fidelity.csv, composition.csv, history.csv,
        predictions.parquet and manifest.json.

        Raises UserError where the folder has no results.csv or a damaged manifest.json."""
        if not (folder / "results.csv").is_file():
            raise UserError(
                f"no run directory: it has no results.csv: {folder}", hint="give the folder that `run` wrote"
            )
        predictions = folder / "predictions.parquet"
        return cls(
            results=read_csv(folder / "results.csv"),
            summary=read_csv(folder / "summary.csv"),
            fidelity=read_csv(folder / "fidelity.csv"),
            composition=read_csv(folder / "composition.csv"),
            history=read_csv(folder / "history.csv"),
            manifest=_read_manifest(folder / "manifest.json"),
            predictions=predictions if predictions.is_file() else None,
        )

    @property
    def matrix(self) -> Mapping[str, Any]:
        """The resolved matrix of the manifest; {} without one."""
        return self.manifest.get("matrix") or {}

    @property
    def primary(self) -> str:
        """The metric that the matrix compares by."""
        return str((self.matrix.get("analysis") or {}).get("primary") or "balanced_accuracy")

    @property
    def margin(self) -> float:
        """Differences within +-margin of the primary metric count as none."""
        return number((self.matrix.get("analysis") or {}).get("margin")) or 0.02

    @cached_property
    def baselines(self) -> list[str]:
        """Every baseline that summary.csv compares with."""
        return unique(row["baseline"] for row in self.summary if row.get("baseline"))

    @cached_property
    def strategies(self) -> list[str]:
        """Labels in the order of the matrix, then any others that the tables name."""
        entries = self.matrix.get("strategies") or ()
        planned = [entry["name"] for entry in entries if isinstance(entry, Mapping) and "name" in entry]
        seen = [row["strategy"] for row in (*self.results, *self.fidelity) if row.get("strategy") != CONTROL]
        named = set(seen)
        return unique([name for name in planned if name in named] + seen)

    @cached_property
    def groups(self) -> list[tuple[str, str, str]]:
        """(dataset, train_fraction, test_set) of results.csv, as text, in order."""
        return unique((row["dataset"], text(row["train_fraction"]), row["test_set"]) for row in self.results)

    def of_group(self, rows: Iterable[Row], group: Sequence[str]) -> list[Row]:
        """The rows of one (dataset, train_fraction[, test_set])."""
        keys = ("dataset", "train_fraction", "test_set")[: len(group)]
        return [
            row
            for row in rows
            if all(same(row.get(key), value) for key, value in zip(keys, group, strict=True))
        ]

    def scored(self) -> tuple[tuple[str, ...], dict[tuple[str, str], Scored]]:
        """Class names and test predictions by (cell, test_set). Reads predictions.parquet at each call."""
        if self.predictions is None:
            return (), {}
        return _read_predictions(self.predictions)


def same(a: Any, b: Any) -> bool:
    """Equal as CSV cells, or as numbers (`1`, `1.0` and 1.0 are one training fraction)."""
    if a == b:
        return True
    left, right = number(a), number(b)
    return left is not None and left == right


def group_title(group: Sequence[str]) -> str:
    """`ham10000@0.1, test set external`: what a reader calls a (dataset, train_fraction[, test_set])."""
    fraction = number(group[1])
    title = group[0] if fraction in (None, 1.0) else f"{group[0]}@{fraction:g}"
    return f"{title}, test set {group[2]}" if len(group) > 2 and group[2] != "test" else title


def _read_manifest(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"not valid JSON: {error}", file=path, hint="run the matrix again to rewrite it"
        ) from error
    if not isinstance(manifest, dict):
        raise UserError("expected a JSON object", file=path)
    return manifest


def _read_predictions(path: Path) -> tuple[tuple[str, ...], dict[tuple[str, str], Scored]]:
    import numpy as np
    import pyarrow.parquet as pq

    names = pq.read_schema(path).names
    if "label" not in names:  # no cell is done yet
        return (), {}
    columns = ["cell", "split", "test_set", "label", "predicted", *(n for n in names if n.startswith("p_"))]
    table = pq.read_table(path, columns=columns, filters=[("split", "=", "test")])
    coded = {
        name: table.column(name).combine_chunks().dictionary_encode()
        for name in ("cell", "test_set", "label", "predicted")
    }
    code = {name: np.asarray(column.indices) for name, column in coded.items()}
    words = {name: column.dictionary.to_pylist() for name, column in coded.items()}
    all_classes = [name[2:] for name in columns if name.startswith("p_")]
    proba = np.stack([np.asarray(table.column(f"p_{c}"), dtype=np.float64) for c in all_classes], axis=1)
    position = {name: k for k, name in enumerate(all_classes)}
    index = {
        name: np.array([position.get(word, -1) for word in words[name]] or [-1])[code[name]]
        for name in ("label", "predicted")
    }
    scored = {}
    pair = code["cell"].astype(np.int64) * max(len(words["test_set"]), 1) + code["test_set"]
    order = np.argsort(pair, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(pair[order]) != 0]) if len(pair) else np.array([], dtype=int)
    for rows in np.split(order, starts[1:]) if len(starts) else ():
        key = (words["cell"][code["cell"][rows[0]]], words["test_set"][code["test_set"][rows[0]]])
        scored[key] = Scored(index["label"][rows], index["predicted"][rows], proba[rows])
    return tuple(all_classes), scored
