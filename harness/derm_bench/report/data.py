"""The data of a report: the tables of a run directory, its predictions and its manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from derm_bench.rundir.accuracy_scores import is_score
from derm_bench.rundir.arms import number
from derm_bench.rundir.directory import RunFiles, read_run
from derm_bench.rundir.frames import Row, text, to_rows
from derm_bench.rundir.predictions import Scored, read_scored
from derm_bench.rundir.samples import Sheet
from derm_bench.rundir.summary import CONTROL, metric_columns
from derm_bench.scoring import HIGHER_IS_BETTER

IN_TABLES_ONLY = ("nn_closer", "nn_ratio_pixels", "nn_closer_pixels")
"""Image metrics without figures and without a column in the terminal: the report's tables have them."""


def unique(values: Iterable[Any]) -> list[Any]:
    """The distinct values, in order of first appearance."""
    return list(dict.fromkeys(values))


class ReportData:
    """The data of a report. `frames` has the tables with the dtypes of `derm_bench.rundir.schema`. The properties have
    them as lists of rows with plain values (str, int, float, None), for figures and text tables.

        ReportData(write_run(...))        # a run that was just written, from memory
        ReportData.load(folder)           # a run directory, from its files
    """

    def __init__(self, files: RunFiles) -> None:
        self.files = files
        self.frames = files.tables
        self.manifest = files.manifest

    @classmethod
    def load(cls, folder: Path) -> ReportData:
        """Reads a run directory from its files. Raises UserError as `derm_bench.rundir.directory.read_run` does."""
        return cls(read_run(folder))

    @cached_property
    def results(self) -> list[Row]:
        """The rows of results.csv."""
        return list(to_rows(self.frames["results"]))

    @cached_property
    def summary(self) -> list[Row]:
        """The rows of summary.csv."""
        return list(to_rows(self.frames["summary"]))

    @cached_property
    def pairs(self) -> list[Row]:
        """The rows of pairs.csv."""
        return list(to_rows(self.frames["pairs"])) if "pairs" in self.frames else []

    @cached_property
    def subgroups(self) -> list[Row]:
        """The rows of subgroups.csv."""
        return list(to_rows(self.frames["subgroups"])) if "subgroups" in self.frames else []

    @cached_property
    def fidelity(self) -> list[Row]:
        """The rows of fidelity.csv that have a value. (A score that failed has a row without one, and a warning.)"""
        return [row for row in to_rows(self.frames["fidelity"]) if number(row["value"]) is not None]

    @cached_property
    def without_value(self) -> list[Row]:
        """The rows of fidelity.csv that say why they have no value."""
        rows = to_rows(self.frames["fidelity"])
        return [row for row in rows if number(row["value"]) is None and row.get("note")]

    @cached_property
    def composition(self) -> list[Row]:
        """The rows of composition.csv."""
        return list(to_rows(self.frames["composition"]))

    @cached_property
    def history(self) -> list[Row]:
        """The rows of history.csv."""
        return list(to_rows(self.frames["history"]))

    @property
    def sheets(self) -> Sequence[Sheet]:
        """The sheets of images in samples/."""
        return self.files.sheets

    def higher_is_better(self, metric: str) -> bool | None:
        """Whether higher values of a metric are better, according to the manifest; None if it is unknown or if the best
        value lies in between."""
        stated = (self.manifest.get("metrics") or {}).get(metric)
        return stated["higher_is_better"] if stated else HIGHER_IS_BETTER.get(metric)

    def direction(self, metric: str) -> str:
        """`higher is better` or `lower is better`, or an empty string if there is none."""
        higher = self.higher_is_better(metric)
        return "" if higher is None else "higher is better" if higher else "lower is better"

    @property
    def matrix(self) -> Mapping[str, Any]:
        """The resolved matrix of the manifest; {} if it has none."""
        return self.manifest.get("matrix") or {}

    @property
    def primary(self) -> str:
        """The primary metric of the matrix."""
        return str((self.matrix.get("analysis") or {}).get("primary") or "balanced_accuracy")

    @property
    def margin(self) -> float:
        """The margin of the primary metric: differences within +-margin count as no difference."""
        return number((self.matrix.get("analysis") or {}).get("margin")) or 0.02

    @property
    def alpha(self) -> float:
        """The significance level; the coverage of intervals is 1 - alpha."""
        return number((self.matrix.get("analysis") or {}).get("alpha")) or 0.05

    @property
    def level(self) -> str:
        """The coverage of intervals as text: `95%`."""
        return f"{100 * (1 - self.alpha):g}%"

    @cached_property
    def baselines(self) -> list[str]:
        """All baselines of the comparisons in summary.csv: first those of `compare.baselines`, in this order."""
        return self.in_order_of_matrix(
            row["baseline"] for row in self.summary if row.get("baseline") and not is_score(row["metric"])
        )

    def in_order_of_matrix(self, baselines: Iterable[str]) -> list[str]:
        """The distinct baselines, those of `compare.baselines` first and in this order."""
        compare = self.matrix.get("compare")
        stated = (compare.get("baselines") if isinstance(compare, Mapping) else None) or ()
        present = unique(baselines)
        return [name for name in unique(map(str, stated)) if name in present] + [
            name for name in present if name not in stated
        ]

    @cached_property
    def classes(self) -> list[str]:
        """The classes as the matrix orders them: that of composition.csv, then any others of fidelity.csv."""
        return unique(str(row["class"]) for row in (*self.composition, *self.fidelity))

    @cached_property
    def strategies(self) -> list[str]:
        """The labels of strategies in the order of the matrix, then any others in the tables."""
        entries = self.matrix.get("strategies") or ()
        planned = [entry["name"] for entry in entries if isinstance(entry, Mapping) and "name" in entry]
        seen = [row["strategy"] for row in (*self.results, *self.fidelity) if row.get("strategy") != CONTROL]
        named = set(seen)
        return unique([name for name in planned if name in named] + seen)

    def repeats(self, datasets: Iterable[str]) -> str:
        """What the runs of an arm differ in: seeds, or folds and seeds where a data set is split by kfold."""
        entries = self.matrix.get("datasets")
        split = {
            str(entry.get("label")): entry.get("split")
            for entry in (entries if isinstance(entries, list | tuple) else ())
            if isinstance(entry, Mapping)
        }
        folded = (
            isinstance(of := split.get(name), Mapping) and of.get("method") == "kfold" for name in datasets
        )
        return "folds and seeds" if any(folded) else "seeds"

    @cached_property
    def groups(self) -> list[tuple[str, str, str]]:
        """All (dataset, train_fraction, test_set) of results.csv, as text, in order of first appearance."""
        return unique((row["dataset"], text(row["train_fraction"]), row["test_set"]) for row in self.results)

    def of_group(self, rows: Iterable[Row], group: Sequence[str]) -> list[Row]:
        """The rows with one (dataset, train_fraction[, test_set])."""
        keys = ("dataset", "train_fraction", "test_set")[: len(group)]
        return [
            row
            for row in rows
            if all(same(row.get(key), value) for key, value in zip(keys, group, strict=True))
        ]

    def scored(self) -> tuple[tuple[str, ...], dict[tuple[str, str], Scored]]:
        """The class names, and the test predictions by (cell, test_set). Each call reads predictions.parquet."""
        return read_scored(self.files.predictions) if self.files.predictions is not None else ((), {})


def same(a: Any, b: Any) -> bool:
    """Whether two values are equal as CSV cells or as numbers (`1`, `1.0` and 1.0 are the same training fraction)."""
    if a == b:
        return True
    left, right = number(a), number(b)
    return left is not None and left == right


def group_title(group: Sequence[Any]) -> str:
    """The title of a (dataset, train_fraction[, test_set]), such as `ham10000@0.1, test set external`."""
    fraction = number(group[1])
    title = group[0] if fraction in (None, 1.0) else f"{group[0]}@{fraction:g}"
    return f"{title}, test set {group[2]}" if len(group) > 2 and group[2] != "test" else title


__all__ = [
    "CONTROL",
    "ReportData",
    "Row",
    "Scored",
    "group_title",
    "metric_columns",
    "number",
    "same",
    "text",
    "unique",
]
