"""Build the tables of a run directory from the outcomes of its stages. Failed cells have rows too."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from derm_bench.rundir.accuracy_scores import TrainingSets, accuracy_score_rows, sets_of_samples
from derm_bench.rundir.arms import Arms
from derm_bench.rundir.cell_predictions import PredictionSource, StoredPredictions
from derm_bench.rundir.comparison import Analysis
from derm_bench.rundir.frames import make_frame, to_rows
from derm_bench.rundir.pairs import pair_rows
from derm_bench.rundir.planned import CellStages, RunStages
from derm_bench.rundir.records import Records, StageOutcome
from derm_bench.rundir.sampled import PluginPrimary, sampled_by, sampled_scores
from derm_bench.rundir.schema import COMPOSITION, FIDELITY, HISTORY, PAIRS, RESULTS, SUBGROUPS, SUMMARY
from derm_bench.rundir.subgroups import subgroup_rows
from derm_bench.rundir.summary import comparisons_of, summarise
from derm_bench.scoring.names import higher_is_better, metric_names

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

NAMED = 4
"""The largest number of generators that one warning names."""

COMPARED_FILES: Mapping[str, str] = {
    "summary": "summary.parquet",
    "subgroups": "subgroups.parquet",
    "pairs": "pairs.parquet",
}
"""The output files of the statistics stage, by table."""

Tables = Mapping[str, "pd.DataFrame"]
"""The tables of a run directory by name, as `derm_bench.rundir.schema.TABLES` lists them."""


def build_tables(
    stages: RunStages, records: Records, compared: Mapping[str, pd.DataFrame] | None = None
) -> dict[str, pd.DataFrame]:
    """Return all tables except the predictions, with the dtypes of the schema. `compared` has the tables of the
    statistics stage; if it is None, they are computed here."""
    results, fidelity = results_table(stages, records), fidelity_table(stages, records)
    composition = composition_table(stages, records)
    if compared is None:
        predictions = StoredPredictions(stages, records)
        compared = compared_tables(stages, results, fidelity, composition, predictions)
    return {
        "results": results,
        **compared,
        "fidelity": fidelity,
        "composition": composition,
        "history": make_frame(history_rows(stages, records), HISTORY),
    }


def compared_tables(
    stages: RunStages,
    results: pd.DataFrame,
    fidelity: pd.DataFrame,
    composition: pd.DataFrame,
    predictions: PredictionSource | None,
    plugin: PluginPrimary | None = None,
) -> dict[str, pd.DataFrame]:
    """Return the tables of the statistics stage by name (`COMPARED_FILES`). `plugin` is the primary metric if it is
    that of a plugin; without it, such a metric has no verdict."""
    summary = summary_table(stages, results, fidelity, composition, predictions, plugin)
    groups = [] if predictions is None else subgroup_rows(to_rows(results), predictions)
    pairs = [] if predictions is None else _pairs(stages.matrix, to_rows(results), predictions)
    return {
        "summary": summary,
        "subgroups": make_frame(groups, SUBGROUPS),
        "pairs": make_frame(pairs, PAIRS),
    }


def _pairs(
    matrix: Mapping[str, Any], results: Sequence[Mapping[str, Any]], predictions: PredictionSource
) -> Iterator[dict[str, Any]]:
    compare, offsets = matrix["compare"], _offsets(matrix)
    arms = Arms.of(results, offsets, apart=sets_of_samples(matrix))
    versus = comparisons_of(arms, compare["baselines"] or None, compare["across"], compare["pairs"])
    return pair_rows(arms, versus, predictions)


def _offsets(matrix: Mapping[str, Any]) -> dict[str, int]:
    return {entry["name"]: entry["seed_offset"] for entry in matrix["strategies"]}


def results_table(stages: RunStages, records: Records) -> pd.DataFrame:
    """Return results.csv as a frame."""
    rows = list(result_rows(stages, records))
    return make_frame(rows, RESULTS, metric_columns(stages, rows))


def composition_table(stages: RunStages, records: Records) -> pd.DataFrame:
    """Return composition.csv as a frame."""
    return make_frame(composition_rows(stages, records), COMPOSITION)


def fidelity_table(stages: RunStages, records: Records) -> pd.DataFrame:
    """Return fidelity.csv as a frame."""
    return make_frame(fidelity_rows(stages, records), FIDELITY)


def summary_table(
    stages: RunStages,
    results: pd.DataFrame,
    fidelity: pd.DataFrame,
    composition: pd.DataFrame,
    predictions: PredictionSource | None = None,
    plugin: PluginPrimary | None = None,
) -> pd.DataFrame:
    """Return summary.csv as a frame, computed from the frames of results.csv, fidelity.csv and composition.csv and from
    predictions. Without predictions there are no verdicts."""
    matrix, rows = stages.matrix, to_rows(results)
    compare, stated = matrix["compare"], matrix["analysis"]
    primary = str(stated["primary"])
    classes = tuple(dict.fromkeys(name for split in stages.splits for name in split.classes))
    offsets = _offsets(matrix)
    summary = summarise(
        rows,
        to_rows(fidelity),
        baselines=compare["baselines"] or None,
        across=compare["across"],
        pairs=compare["pairs"],
        offsets=offsets,
        analysis=Analysis(
            primary,
            stated["margin"],
            stated["alpha"],
            higher_is_better(primary) if plugin is None else plugin.higher_is_better,
            classes,
        ),
        sampled=None if predictions is None else sampled_scores(predictions, primary, plugin),
        apart=sets_of_samples(matrix),
    )
    summary += accuracy_score_rows(
        Arms.of(rows, offsets),
        TrainingSets(to_rows(composition), matrix),
        sampled_by(predictions),
        classes,
        stated["alpha"],
    )
    return make_frame(summary, SUMMARY)


def read_compared(folder: Path) -> dict[str, pd.DataFrame]:
    """Return the tables of the statistics stage, from its folder."""
    import pandas as pd

    return {name: pd.read_parquet(folder / file) for name, file in COMPARED_FILES.items()}


def metric_columns(stages: RunStages, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the built-in metrics for the classes of all data sets, followed by those of plugins."""
    classes = dict.fromkeys(name for split in stages.splits if split.own for name in split.classes)
    known = metric_names(tuple(classes))
    added = {name for row in rows for name in row} - set(RESULTS.names) - set(known)
    return known + sorted(added)


# ----------------------------------------------------------------------------------- results


def result_rows(stages: RunStages, records: Records) -> Iterator[dict[str, Any]]:
    """Yield the rows of results.csv: one per cell and test set."""
    shares = Counter(key for cell in stages.cells for key in cell.generated_by)
    protocol = protocol_name(stages.matrix)
    for cell in stages.cells:
        for test_set, evaluation in cell.evaluations.items():
            row = _result_row(records, cell, evaluation, shares)
            yield row | {"test_set": test_set, "protocol": protocol}


def _result_row(
    records: Records, cell: CellStages, evaluation: str, shares: Mapping[str, int]
) -> dict[str, Any]:
    status, error = _status(records, cell, evaluation)
    train, scored = records.result(cell.train), records.result(evaluation)
    seconds = {key: records.attempt(key).get("seconds", 0.0) for key in cell.generated_by}
    attempts = [records.attempt(cell.train), records.attempt(evaluation)]
    row = cell.at.columns() | {
        "cell": cell.name,
        "classifier": cell.classifier,
        "seed": cell.seed,
        "classifier_seed": cell.classifier_seed,
        "status": status,
        "error": error,
        "n_train_real": train.get("n_train_real"),
        "n_train_synthetic": train.get("n_train_synthetic"),
        "n_test": scored.get("n_test"),
        "updates": train.get("updates"),
        "generator_seconds": sum(seconds.values()),
        "generator_seconds_shared": sum(value / shares[key] for key, value in seconds.items()),
        "train_seconds": _train_seconds(records, cell),
        "eval_seconds": attempts[1].get("seconds"),
        "peak_memory_mb": _peak(attempts, "peak_memory_mb"),
        "peak_device_mb": _peak(attempts, "peak_device_mb"),
    }
    return row | (dict(scored["scores"]) if status == "done" else {})


def _train_seconds(records: Records, cell: CellStages) -> float | None:
    """Return the seconds of the training and of the trainings it depends on: ensemble members, an `init`."""
    found = [records.attempt(key).get("seconds") for key in (cell.train, *cell.trainings)]
    return sum(value for value in found if value is not None) if found[0] is not None else None


def _status(records: Records, cell: CellStages, evaluation: str) -> tuple[str, str]:
    """Return the status and error of the training, or of the evaluation if the training is done."""
    outcome = records.outcome(cell.train)
    if outcome.status != "done":
        return _own_status(outcome, cell.train)
    return _own_status(records.outcome(evaluation), evaluation)


def _own_status(outcome: StageOutcome, key: str) -> tuple[str, str]:
    if outcome.status == "interrupted":
        return "pending", "interrupted"
    if outcome.status == "skipped" and outcome.cause == key:
        return "failed", outcome.error
    return outcome.status, outcome.error


def _peak(attempts: Sequence[Mapping[str, Any]], name: str) -> float | None:
    return max((a[name] for a in attempts if a.get(name) is not None), default=None)


def protocol_name(matrix: Mapping[str, Any]) -> str:
    """Return `fair`, or `paper` followed by its permits in brackets."""
    protocol = matrix["protocol"]
    return f"{protocol['name']}[{','.join(protocol['allow'])}]" if protocol["allow"] else protocol["name"]


# ------------------------------------------------------------- fidelity, composition, history


def fidelity_rows(stages: RunStages, records: Records) -> Iterator[dict[str, Any]]:
    """Yield the rows of fidelity.csv: the values of each generator, class and step, and of the controls. A score that
    is not done has one row per metric, without a value."""
    for score in stages.scores:
        folder = records.folder(score.key)
        head = score.at.columns() | {"step": score.step if score.step is not None else "last"}
        if records.outcome(score.key).status == "done" and folder is not None:
            for value in json.loads((folder / "values.json").read_text()):
                yield head | value
        else:
            yield from (head | {"metric": name} for name in score.metrics)


def composition_rows(stages: RunStages, records: Records) -> Iterator[dict[str, Any]]:
    """Yield the rows of composition.csv: real and synthetic images of each class in each training set."""
    classes = {(split.dataset, split.seed): split.classes for split in stages.splits}
    seen = set()
    for cell in stages.cells:
        at = cell.at
        arm = (at.dataset, at.train_fraction, at.strategy, at.split_seed, at.generator_seed)
        composition = records.result(cell.train).get("composition")
        if composition is None or arm in seen:
            continue
        seen.add(arm)
        for split, sources in composition.items():
            for name in classes[at.dataset, at.split_seed]:
                yield at.columns() | {
                    "split": split,
                    "class": name,
                    "real": sources.get("real", {}).get(name, 0),
                    "synthetic": sources.get("synthetic", {}).get(name, 0),
                }


def history_rows(stages: RunStages, records: Records) -> Iterator[dict[str, Any]]:
    """Yield the rows of history.csv: the training curves of all generators and classifiers."""
    for curve in stages.curves:
        folder = records.folder(curve.key)
        if folder is None:
            continue
        head = curve.at.columns()
        with (folder / "history.csv").open(newline="") as handle:
            for row in csv.DictReader(handle):
                yield head | {
                    "split": row["split"],
                    "metric": row["metric"],
                    "step": _number(row["step"], int),
                    "images": _number(row["images"], int),
                    "epoch": _number(row["epoch"], float),
                    "value": _number(row["value"], float),
                }


def _number(word: str, kind: type[int] | type[float]) -> float | None:
    return kind(word) if word else None


# -------------------------------------------------------------------------- health, warnings


def health_rows(stages: RunStages, records: Records) -> Iterator[dict[str, Any]]:
    """Yield the health of the samples of every finished generator at the end of its fit, one entry per class: `figures`
    by name, and `flags`, sentences that describe problems."""
    orders = {split.dataset: split.classes for split in stages.splits}
    for fit in stages.fits:
        health = {**records.result(fit.key).get("health", {}), **records.result(fit.health).get("health", {})}
        flags = health.pop("flags", {})
        figures = {name: values for name, values in health.items() if isinstance(values, Mapping)}
        found = dict.fromkeys(label for values in figures.values() for label in values)
        classes = [name for name in orders.get(fit.at.dataset, ()) if name in found]
        for label in dict.fromkeys([*classes, *found]):
            yield fit.at.columns() | {
                "class": label,
                "figures": {name: values[label] for name, values in figures.items() if label in values},
                "flags": list(flags.get(label, ())),
            }


def warnings_of(stages: RunStages, records: Records) -> list[str]:
    """Return the warnings that a reader should know before relying on the tables."""
    found = list(stages.warnings)
    dropped: Counter[str] = Counter()
    for cell in stages.cells:
        dropped |= Counter(records.result(cell.train).get("set_aside", {}))
    found += [f"{n} images were set aside ({why})" for why, n in sorted(dropped.items())]
    found += _left_out_of_tests(stages, records)
    found += _selected(stages, records)
    for label, key in stages.decodes.items():
        unreadable = records.result(key).get("unreadable", 0)
        if unreadable:
            found.append(f"{label}: {unreadable} images could not be read and were left out")
    flagged: dict[str, list[str]] = {}
    for row in health_rows(stages, records):
        name = f"{row['strategy']} [{row['class']}] seed {row['generator_seed']} on {row['dataset']}"
        for flag in row["flags"]:
            flagged.setdefault(flag, []).append(name)
    for flag, names in flagged.items():
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        found.append(f"{', '.join(names[:NAMED])}{more}: {flag}")
    return list(dict.fromkeys(found))


def _left_out_of_tests(stages: RunStages, records: Records) -> Iterator[str]:
    """Yield one warning per external test set and reason for which images were left out of it."""
    most: dict[tuple[str, str], int] = {}
    for cell in stages.cells:
        for test_set, evaluation in cell.evaluations.items():
            for why, n in records.result(evaluation).get("left_out", {}).items():
                most[test_set, why] = max(n, most.get((test_set, why), 0))
    for (test_set, why), n in most.items():
        yield f"{n} images were left out of the test set '{test_set}' ({why})"


def _selected(stages: RunStages, records: Records) -> Iterator[str]:
    """Yield sentences about the strategies and classes whose samples were filtered, or are from a chosen snapshot."""
    for cell in stages.cells:
        for name, how in records.result(cell.train).get("selected", {}).items():
            if "graded" in how:
                of = f"of the {how['graded']} samples of '{name}' that were graded, {how['kept']} were used"
                yield f"{cell.at.strategy}: {of}, and the others left out"
            if "snapshot" in how:
                step = how["snapshot"]
                state = "the end of the fit" if step == "last" else f"the snapshot after {step} updates"
                seed = f"seed {cell.at.generator_seed}"
                yield f"{cell.at.strategy}: {state} was chosen for samples of '{name}', by mmd_domain ({seed})"


def weights_of(stages: RunStages, records: Records) -> dict[str, Mapping[str, str]]:
    """Return the initial weights of classifiers by label: the file or the published source, and its digest. Classifiers
    with random initial weights are left out."""
    found = ((label, records.result(key).get("weights_from")) for label, key in stages.origins)
    return {label: origin for label, origin in found if origin}
