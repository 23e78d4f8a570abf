"""Verifies a run directory, which may be somebody else's: digests, scores and means are computed again.

This detects files that do not agree with each other, not results that were invented consistently.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from derm_bench.errors import Diverged, UserError
from derm_bench.lazy import create
from derm_bench.matrix.options import compose_options
from derm_bench.options.paths import paths_in
from derm_bench.plain_text import recorded
from derm_bench.plugins import Plugins
from derm_bench.protocols import Task
from derm_bench.rundir.archive import run_folder
from derm_bench.rundir.cell_predictions import DirectoryPredictions
from derm_bench.rundir.digests import check_files
from derm_bench.rundir.directory import RunFiles, read_run
from derm_bench.rundir.frames import Row, to_rows
from derm_bench.rundir.manifest import MANIFEST
from derm_bench.rundir.planned import CellStages, RunStages
from derm_bench.rundir.sampled import PluginPrimary
from derm_bench.rundir.schema import LATER, RESULTS, TABLES
from derm_bench.rundir.scored_cells import AllPredictions, Predicted
from derm_bench.rundir.tables import compared_tables
from derm_bench.runner.close_numbers import equal, finite, same, shown
from derm_bench.runner.verify_splits import wrong_images
from derm_bench.scoring import classification_metrics

_PLACES: Mapping[str, tuple[str, ...]] = {
    "summary": ("dataset", "train_fraction", "test_set", "strategy", "classifier", "metric", "baseline"),
    "subgroups": (
        *("dataset", "train_fraction", "test_set", "strategy", "classifier", "metric"),
        *("attribute", "subgroup"),
    ),
    "pairs": (
        *("dataset", "train_fraction", "test_set", "strategy", "classifier", "test"),
        *("baseline", "class", "cell", "baseline_cell"),
    ),
}
"""The columns that say what a row of a compared table is about; its other columns are compared."""


@dataclass(frozen=True)
class Difference:
    """One thing that differs. `stated` is what the file says, `found` what follows from other files; both are empty
    where a file as a whole differs. `where` is a cell, or the arm of a mean."""

    file: str
    message: str
    where: str = ""
    test_set: str = ""
    metric: str = ""
    stated: float | None = None
    found: float | None = None

    def __str__(self) -> str:
        place = f"{self.where} on {self.test_set}" if self.test_set else self.where
        return ": ".join(part for part in (self.file, place, self.message) if part)


@dataclass
class Verified:
    """What was compared, what differs, and what cannot be computed again (with the number of values)."""

    files: int = 0
    rows: int = 0
    scores: int = 0
    means: int = 0
    differences: list[Difference] = field(default_factory=list)
    not_recomputed: dict[str, int] = field(default_factory=dict)


def verify(run: Path, plugins: Plugins) -> Verified:
    """Verify a run directory, or the archive of one, from its own files alone: neither a store nor data are read,
    nothing is written.

    Raises UserError if it is not a run directory, or has another form than `docs/run-directory.md` describes.
    """
    with run_folder(run) as folder:
        return _verify(folder, plugins)


def _verify(folder: Path, plugins: Plugins) -> Verified:
    files = read_run(folder)
    found = Verified()
    _compare_files(files, found)
    try:
        stages = RunStages.load(files.manifest.get("plan", {}).get("stages"), files.manifest["matrix"])
    except UserError as error:
        raise UserError(error.message, file=folder / MANIFEST, hint=error.hint) from error
    try:
        metrics = _plugin_metrics(stages.matrix, plugins)
        _compare_scores(files, stages, metrics, found)
        _compare_tables(files, stages, metrics, found)
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise UserError(
            f"the tables do not fit the matrix of the manifest: {type(error).__name__}: {error}",
            file=folder / MANIFEST,
        ) from error
    values = sum(row["value"] is not None for row in to_rows(files.tables["fidelity"]))
    if values:
        found.not_recomputed["values of fidelity.csv"] = values
    return found


# ------------------------------------------------------------------------------------ files


def _compare_files(files: RunFiles, found: Verified) -> None:
    check = check_files(files.folder, files.manifest)
    found.files = check.equal
    for name in check.changed:
        found.differences.append(Difference(name, f"differs from its digest in {MANIFEST}"))
    for name in check.missing:
        found.differences.append(Difference(name, f"is missing, although {MANIFEST} lists it"))
    for name in check.unlisted:
        found.differences.append(Difference(name, f"has no digest in {MANIFEST}"))


# ----------------------------------------------------------------------------------- scores


@dataclass(frozen=True)
class _PluginMetric:
    spec: Any
    options: Any
    sizes: Mapping[str, int]


def _plugin_metrics(matrix: Mapping[str, Any], plugins: Plugins) -> list[_PluginMetric]:
    """The metrics of predictions that the matrix names and that can be computed here: they are installed, and none of
    their options is a file, since a directory of somebody else does not say which files are read."""
    found = []
    sizes = {entry["label"]: int(entry["size"]) for entry in matrix.get("datasets", ())}
    for use in matrix.get("metrics", ()):
        try:
            spec = plugins.get("metric", use["name"])
            model = compose_options(spec)
            options = model.model_validate(use.get("options", {}))
            if spec.level == "predictions" and not any(paths_in(options)):
                found.append(_PluginMetric(spec, options, sizes))
        except (UserError, ValueError):  # not installed, or of another version
            continue
    return found


def _compare_scores(
    files: RunFiles, stages: RunStages, metrics: Sequence[_PluginMetric], found: Verified
) -> None:
    results = to_rows(files.tables["results"])
    planned = {
        (recorded(cell.name), recorded(test_set)): (cell, test_set)
        for cell in stages.cells
        for test_set in cell.evaluations
    }
    _compare_rows(results, planned, found)
    done = [row for row in results if row["status"] == "done"]
    if files.predictions is None:
        if done:
            found.not_recomputed["rows, since there is no predictions.parquet"] = len(done)
        return
    predictions = AllPredictions(files.predictions)
    for wrong in wrong_images(files.folder, stages, predictions):
        found.differences.append(Difference(wrong.file, wrong.message, wrong.cell, wrong.test_set))
    for row in results:
        place = planned.get((row["cell"], row["test_set"]))
        if row["status"] != "done" and place is not None and predictions.has(place[0].name, place[1]):
            message = f"is '{row['status']}', although predictions.parquet has its predictions"
            found.differences.append(_of_row(row, message))
    classes = {(split.dataset, split.seed): split.classes for split in stages.splits}
    for row in done:
        try:
            if (row["cell"], row["test_set"]) not in planned:
                raise ValueError("the cell is not in the plan of the manifest")
            cell, test_set = planned[row["cell"], row["test_set"]]
            order = classes[cell.at.dataset, cell.at.split_seed]
            scores = _scores(predictions, cell, test_set, order, metrics, found)
        except ValueError as error:
            found.differences.append(
                _of_row(row, f"its scores do not follow from predictions.parquet: {error}")
            )
            continue
        found.rows += 1
        _compare_row(row, scores, found)


Planned = Mapping[tuple[str, str], tuple[CellStages, str]]
"""The cell and test set of each planned row, by their names as tables hold them."""


def _compare_rows(results: Sequence[Row], planned: Planned, found: Verified) -> None:
    """Compares the rows of results.csv with the cells of the plan: each has one row per test set."""
    file = TABLES["results"].file
    counts = Counter((row["cell"], row["test_set"]) for row in results)
    for place, count in counts.items():
        if count > 1:
            found.differences.append(Difference(file, f"has {count} rows", *place))
    for place in planned:
        if place not in counts:
            found.differences.append(Difference(file, "has no row", *place))


def _scores(
    predictions: AllPredictions,
    cell: CellStages,
    test_set: str,
    classes: Sequence[str],
    metrics: Sequence[_PluginMetric],
    found: Verified,
) -> dict[str, float]:
    """All scores of a row that can be computed from its predictions, and n_test. Raises ValueError if there are none,
    or if they are not probabilities of the classes."""
    test = predictions.of((cell.name, "test", test_set), classes)
    if test is None:
        raise ValueError("it has no rows of this cell and test set")
    val = predictions.of((cell.name, "val", ""), classes)
    try:
        scores = classification_metrics(
            test.labels,
            test.proba,
            classes,
            val_labels=None if val is None else val.labels,
            val_proba=None if val is None else val.proba,
        )
    except Diverged as error:  # probabilities that are not numbers
        raise ValueError(str(error)) from error
    for metric in metrics:
        task = Task(tuple(classes), metric.sizes.get(cell.at.dataset, 0))
        scores |= _plugin_scores(metric, test, task, found)
    return scores | {"n_test": float(len(test.labels))}


def _plugin_scores(
    metric: _PluginMetric, test: Predicted, task: Task, found: Verified
) -> Mapping[str, float]:
    try:
        plugin = create(metric.spec, metric.options, task)
        return dict(plugin.compute(test.labels, test.proba, tuple(test.groups), task.classes))
    except Exception as error:  # a plugin may raise anything
        reason = f"values of {metric.spec.name} ({type(error).__name__}: {str(error)[:200]})"
        found.not_recomputed[reason] = found.not_recomputed.get(reason, 0)
        return {}


def _compare_row(row: Row, scores: Mapping[str, float], found: Verified) -> None:
    known = set(RESULTS.names) - {"n_test"}
    for metric, stated in row.items():
        if metric in known:
            continue
        if metric in scores:
            found.scores += 1
            value = scores[metric]
            if not equal(stated, value):
                message = f"{metric} is {shown(stated)}, and its predictions give {shown(value)}"
                found.differences.append(_of_row(row, message, metric, stated, value))
        elif stated is not None:
            name = f"values of {metric}"
            found.not_recomputed[name] = found.not_recomputed.get(name, 0) + 1


def _of_row(
    row: Row, message: str, metric: str = "", stated: float | None = None, value: float | None = None
) -> Difference:
    return Difference(
        TABLES["results"].file, message, row["cell"], row["test_set"], metric, finite(stated), finite(value)
    )


# ---------------------------------------------------------------- means, comparisons, subgroups


def _compare_tables(
    files: RunFiles, stages: RunStages, metrics: Sequence[_PluginMetric], found: Verified
) -> None:
    """Compares summary.csv, subgroups.csv and pairs.csv with what results.csv, fidelity.csv,
    composition.csv and the predictions give."""
    predictions = None
    if files.predictions is not None:
        predictions = DirectoryPredictions(stages, AllPredictions(files.predictions))
    tables = files.tables
    primary = str(stages.matrix["analysis"]["primary"])
    plugin = _primary_of([metric for metric in metrics if metric.spec.name == primary], stages)
    again = compared_tables(
        stages, tables["results"], tables["fidelity"], tables["composition"], predictions, plugin
    )
    # Comparisons of a plugin's metric that cannot be computed here are not compared.
    lost = primary if plugin is None and primary in _named(stages.matrix) else None
    if lost is not None:
        n = sum(row["metric"] == lost for row in to_rows(tables["summary"]))
        found.not_recomputed[f"rows of summary.csv of {lost}"] = n
    for name, frame in again.items():
        there = name not in LATER or (files.folder / TABLES[name].file).is_file()
        if there and (name == "summary" or predictions is not None):
            _compare_table(name, _without(tables[name], lost), _without(frame, lost), found)
    for name in ("subgroups", "pairs") if predictions is None else ():
        if len(tables[name]):
            found.not_recomputed[f"rows of {TABLES[name].file}"] = len(tables[name])


def _named(matrix: Mapping[str, Any]) -> set[str]:
    """The metrics of plugins that a matrix names."""
    return {str(use["name"]) for use in matrix.get("metrics", ())}


def _without(frame: Any, metric: str | None) -> list[Row]:
    return [row for row in to_rows(frame) if metric is None or row.get("metric") != metric]


def _primary_of(metrics: Sequence[_PluginMetric], stages: RunStages) -> PluginPrimary | None:
    """The primary metric as comparisons compute it, if a plugin has it that can be used here."""
    if not metrics or metrics[0].spec.higher_is_better is None:
        return None
    (spec, options), sizes = (metrics[0].spec, metrics[0].options), metrics[0].sizes
    size_of = {recorded(cell.name): sizes.get(cell.at.dataset, 0) for cell in stages.cells}
    return PluginPrimary(
        spec.name,
        spec.higher_is_better,
        lambda cell, classes: create(spec, options, Task(classes, size_of[cell])),
    )


def _compare_table(name: str, rows: Sequence[Row], again: Sequence[Row], found: Verified) -> None:
    columns = _PLACES[name]
    expected = {_place(row, columns): row for row in again}
    stated = {_place(row, columns): row for row in reversed(rows)}
    if len(stated) < len(rows):
        found.differences.append(Difference(TABLES[name].file, "has two rows of the same arm and metric"))
    for place in [*stated, *(place for place in expected if place not in stated)]:
        message = ""
        if place not in expected:
            message = f"has a row that does not follow from {_SOURCES}"
        elif place not in stated:
            message = f"lacks a row that follows from {_SOURCES}"
        if message:
            found.differences.append(_of_arm(name, place, message))
            continue
        found.means += 1
        for column in (column.name for column in TABLES[name].columns if column.name not in columns):
            ours, theirs = expected[place][column], stated[place][column]
            if not same(theirs, ours):
                message = f"{column} of {place[5]} is {shown(theirs)}, and the tables give {shown(ours)}"
                found.differences.append(_of_arm(name, place, message, theirs, ours))


_SOURCES = "results.csv, fidelity.csv, composition.csv and the predictions"


def _place(row: Row, columns: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[name] for name in columns)


def _of_arm(
    name: str, place: Sequence[Any], message: str, stated: Any = None, value: Any = None
) -> Difference:
    dataset, fraction, test_set, strategy, classifier, metric, *more = place
    at = dataset if fraction in (None, 1.0) else f"{dataset}@{fraction:g}"
    arm = "/".join(part for part in (at, strategy, classifier) if part)
    if name == "subgroups":
        arm += f" in {more[0]} {more[1]}"
    elif more[0]:
        arm += f" against {more[0]}"
    return Difference(TABLES[name].file, message, arm, test_set, metric, finite(stated), finite(value))


def not_recomputed(found: Verified) -> list[str]:
    """What could not be computed again, as text."""
    return [f"{count} {name}" if count else name for name, count in found.not_recomputed.items()]
