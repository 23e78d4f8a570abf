"""Scores the entries of a board again: predictions are joined with the board's own split, each image exactly once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from derm_bench.errors import Diverged, UserError
from derm_bench.leaderboard.entry import (
    FIDELITY_FILE,
    MANIFEST,
    PREDICTIONS_FILE,
    RESULTS_FILE,
    Entry,
    entry_folders,
    read_entry,
)
from derm_bench.leaderboard.names import check_id, check_label
from derm_bench.leaderboard.problems import Problem, Verified, equal, finite, shown
from derm_bench.leaderboard.task import Board
from derm_bench.rundir.cell_predictions import CellPredictions
from derm_bench.rundir.frames import Row
from derm_bench.rundir.schema import RESULTS
from derm_bench.rundir.scored_cells import AllPredictions
from derm_bench.scoring import Predictions, metric_names, metric_of
from derm_bench.splits import PlannedSplit

STATUSES = ("done", "failed", "timeout", "oom", "diverged", "skipped", "pending")
TEST = "test"
_COSTS = (
    *("generator_seconds", "generator_seconds_shared", "train_seconds", "eval_seconds"),
    *("peak_memory_mb", "peak_device_mb", "n_train_real", "n_train_synthetic", "updates"),
)


@dataclass(frozen=True)
class Rescored:
    """An entry with what follows from its predictions. scores: by cell, the metrics that were computed from them.
    predictions: by cell, with labels and groups of the board's split. self_reported: the metrics of results.csv that
    only the entry states."""

    entry: Entry
    scores: Mapping[str, Mapping[str, float]]
    predictions: Mapping[str, CellPredictions]
    self_reported: Sequence[str] = ()


@dataclass
class _Checking:
    """The checks of one entry, and what they have found so far."""

    board: Board
    entry: Entry
    predictions: AllPredictions
    found: Verified
    problems: list[Problem] = field(default_factory=list)

    def problem(self, message: str, file: str, cell: str = "", **more: Any) -> None:
        self.problems.append(Problem(self.entry.id, message, file, cell, **more))


def rescore_all(board: Board, found: Verified | None = None) -> list[Rescored]:
    """Read, check and score all entries of a board. What is wrong is added to `found.problems`; an entry with a problem
    is not returned."""
    found = Verified() if found is None else found
    checked = (rescore(folder, board, found) for folder in entry_folders(board))
    return [entry for entry in checked if entry is not None]


def rescore(folder: Path, board: Board, found: Verified) -> Rescored | None:
    """Read, check and score one entry; None if something is wrong with it, which is added to `found.problems`."""
    found.entries += 1
    name = folder.name[:100]
    try:
        check_id(folder.name)
        entry = read_entry(folder, board)
        assert entry.predictions is not None
    except UserError as error:
        where = error.file.name if error.file is not None and error.file != folder else ""
        found.problems.append(Problem(name, error.message, where))
        return None
    checking = _Checking(board, entry, entry.predictions, found)
    _check_task(checking)
    _check_rows(checking)
    _check_fidelity(checking)
    if checking.problems:  # what follows relies on these
        found.problems += checking.problems
        return None
    scores: dict[str, dict[str, float]] = {}
    predictions: dict[str, CellPredictions] = {}
    _check_cells(checking)
    for row in entry.results:
        joined = _joined(checking, row) if row["status"] == "done" else None
        if joined is not None:
            predictions[row["cell"]] = joined
            scores[row["cell"]] = _compare_scores(checking, row, joined)
    found.problems += checking.problems
    if checking.problems:
        return None
    return Rescored(replace(entry, predictions=None), scores, predictions, _self_reported(entry, board))


# ----------------------------------------------------------------------------- what the entry is for


def _check_task(checking: _Checking) -> None:
    manifest, task = checking.entry.manifest, checking.board.task
    if manifest.protocol_version != task.protocol_version:
        what = (
            f"has the protocol version {manifest.protocol_version!r}, and the board {task.protocol_version!r}"
        )
        checking.problem(what, MANIFEST)
    for seed, digest in manifest.splits.items():
        if task.splits.get(seed) != digest:
            checking.problem(f"has another split of seed {seed} than the board", MANIFEST)
    covered = {row["split_seed"] for row in checking.entry.results}
    for seed in task.splits:
        if seed not in covered or seed not in manifest.splits:
            checking.problem(f"does not cover the split of seed {seed}", RESULTS_FILE)


def _check_rows(checking: _Checking) -> None:
    """Checks what results.csv says of each cell besides its scores."""
    task, rows = checking.board.task, checking.entry.results
    expected = {
        "dataset": checking.entry.manifest.dataset,
        "protocol": task.protocol,
        "test_set": TEST,
        "train_fraction": task.train_fraction,
    }
    for row in rows:
        for column, value in expected.items():
            if row[column] != value:
                what = f"{column} is {str(row[column])[:80]!r}, and entries of this board have {value!r}"
                checking.problem(what, RESULTS_FILE, row["cell"])
        if row["status"] not in STATUSES:
            checking.problem(f"has the status {row['status'][:80]!r}", RESULTS_FILE, row["cell"])
        if row["split_seed"] not in task.splits:
            checking.problem(f"is of the split {row['split_seed']}", RESULTS_FILE, row["cell"])
        if row["classifier_seed"] is None or row["seed"] is None:
            checking.problem("has no seed", RESULTS_FILE, row["cell"])
        for column in ("cell", "strategy", "generator", "classifier"):
            try:
                check_label(row[column]) if column != "cell" else check_label(row[column][:255])
            except ValueError as error:
                checking.problem(f"{column}: {error}", RESULTS_FILE)
        for column in _COSTS:
            value = row[column]
            if value is not None and value == value and (finite(value) is None or value < 0):
                checking.problem(f"{column} is {value}", RESULTS_FILE, row["cell"])
    _check_unique(checking, Counter(row["cell"] for row in rows), "rows of the cell")
    names = ("strategy", "classifier", "split_seed", "generator_seed", "classifier_seed")
    _check_unique(
        checking, Counter(tuple(row[name] for name in names) for row in rows), "runs with the seeds of"
    )


def _check_unique(checking: _Checking, counts: Counter[Any], what: str) -> None:
    for key, count in counts.items():
        if count > 1:
            name = key if isinstance(key, str) else "/".join(str(part) for part in key)
            checking.problem(f"has {count} {what} {name[:200]}", RESULTS_FILE)


def _check_fidelity(checking: _Checking) -> None:
    for row in checking.entry.fidelity:
        if (
            row["dataset"] != checking.entry.manifest.dataset
            or row["split_seed"] not in checking.board.splits
        ):
            checking.problem("has a row of another data set or split", FIDELITY_FILE)
            return
        for column in ("value", "ci_low", "ci_high"):
            if row[column] is not None and finite(row[column]) is None:
                checking.problem(f"{column} of {row['metric'][:80]} is {row[column]}", FIDELITY_FILE)
                return
        for column in ("strategy", "generator", "class", "metric"):
            try:
                check_label(row[column])
            except ValueError as error:
                checking.problem(str(error), FIDELITY_FILE)
                return


# ------------------------------------------------------------------------------------- predictions


def _check_cells(checking: _Checking) -> None:
    """Checks that predictions are those of the finished cells, and of no others."""
    done = {row["cell"]: row["status"] == "done" for row in checking.entry.results}
    for cell, split, test_set in checking.predictions.places:
        known = (split, test_set) in (("val", ""), (TEST, TEST))
        if cell not in done:
            checking.problem("has predictions, and no row in results.csv", PREDICTIONS_FILE, cell[:200])
        elif not done[cell]:
            checking.problem("has predictions, although it is not done", PREDICTIONS_FILE, cell)
        elif not known:
            checking.problem(f"has predictions of {split[:40]} {test_set[:40]!r}", PREDICTIONS_FILE, cell)
    for row in checking.entry.results:
        if row["status"] != "done":
            scores = [
                name for name, value in row.items() if name not in RESULTS.names and finite(value) is not None
            ]
            if scores:
                checking.problem(
                    f"is {row['status']}, and has a value of {scores[0]}", RESULTS_FILE, row["cell"]
                )


def _joined(checking: _Checking, row: Row) -> CellPredictions | None:
    """The predictions of a finished cell with the labels and groups of the board; None if they do not fit."""
    split = checking.board.splits[row["split_seed"]]
    classes = checking.board.task.classes
    try:
        ids, labels, proba, groups = _part(checking, row["cell"], split, "test")
        val = _part(checking, row["cell"], split, "val") if split.indices("val") else None
        known = (None, None) if val is None else (val[1], val[2])
        predictions = Predictions.checked(labels, proba, classes, *known)
    except (ValueError, Diverged) as error:
        checking.problem(str(error), PREDICTIONS_FILE, row["cell"])
        return None
    return CellPredictions.sorted(ids, groups, predictions, {})


def _part(
    checking: _Checking, cell: str, split: PlannedSplit, part: str
) -> tuple[list[str], Any, Any, list[str]]:
    """(ids, labels, probabilities, groups) of one part, in the order of the ids. Raises ValueError if an image is
    missing, foreign or twice there, or if its label or predicted class is not what it has to be."""
    import numpy as np

    place = (cell, part, TEST if part == "test" else "")
    everything, classes = checking.predictions, checking.board.task.classes
    found, images = everything.of(place, classes), everything.images(place)
    aside = checking.board.set_aside
    wanted = {split.ids[k]: k for k in split.indices(part) if split.ids[k] not in aside}
    if found is None or images is None:
        raise ValueError(f"has no predictions of the {part} images")
    if problem := _wrong_images(images, wanted, split, part):
        raise ValueError(problem)
    order = np.array(sorted(range(len(images)), key=lambda k: images[k][0]))
    ids = [images[k][0] for k in order]
    proba = found.proba[order]
    if np.isfinite(proba).all():
        stated = everything.predicted(place)
        guessed = [stated[k] for k in order]
        for name, guess, best in zip(ids, guessed, proba.argmax(1), strict=True):
            if guess != classes[best]:
                raise ValueError(
                    f"the image {name!r:.80} is predicted as {guess!r:.80}, and its largest probability is that of "
                    f"{classes[best]!r}"
                )
    return ids, found.labels[order], proba, [split.groups[wanted[name]] for name in ids]


def _wrong_images(
    images: Sequence[tuple[str, str]], wanted: Mapping[str, int], split: PlannedSplit, part: str
) -> str:
    """What is wrong with the ids and labels of predicted images; empty if nothing is."""
    counts = Counter(name for name, _ in images)
    for name, label in images:
        if name not in wanted:
            return f"the image {name!r:.80} is not in the {part} part of the board's split"
        if counts[name] > 1:
            return f"the image {name!r:.80} was predicted {counts[name]} times"
        if split.labels[wanted[name]] != label:
            ours = split.labels[wanted[name]]
            return f"the image {name!r:.80} has the label {label!r:.80}, and {ours!r} on the board"
    missing = [name for name in wanted if name not in counts]
    return (
        f"{len(missing)} of {len(wanted)} {part} images have no prediction, such as {missing[0]!r:.80}"
        if missing
        else ""
    )


def _compare_scores(checking: _Checking, row: Row, joined: CellPredictions) -> dict[str, float]:
    """The scores of a cell, each compared with what results.csv states."""
    classes = checking.board.task.classes
    scores = {name: metric_of(name, classes)(joined.predictions) for name in metric_names(classes)}
    checking.found.rows += 1
    for name, value in _stated(row, scores, len(joined.ids)):
        checking.found.scores += 1
        again = float(len(joined.ids)) if name == "n_test" else scores[name]
        if not equal(value, again):
            message = f"{name} is {shown(value)}, and its predictions give {shown(again)}"
            checking.problem(
                message, RESULTS_FILE, row["cell"], metric=name, stated=finite(value), found=finite(again)
            )
    return scores


def _stated(row: Row, scores: Mapping[str, float], n: int) -> Iterator[tuple[str, float | None]]:
    yield "n_test", row["n_test"]
    yield from ((name, row[name]) for name in scores if name in row)


def _self_reported(entry: Entry, board: Board) -> list[str]:
    known = {*metric_names(board.task.classes), *RESULTS.names}
    return [name for name in (entry.results[0] if entry.results else {}) if name not in known]
