"""Table rows from a plan, the outcomes of its stages and the store. A failed cell is a row too."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from derm_bench.plan.model import Plan, PlannedCell, PlannedFidelity
from derm_bench.runner.execute import Outcome
from derm_bench.store import Store


@dataclass(frozen=True)
class Results:
    """What a run came to: the plan, how each stage stands, and where outputs lie."""

    plan: Plan
    outcomes: Mapping[str, Outcome]
    store: Store

    def outcome(self, key: str) -> Outcome:
        """How a stage stands; one that nobody needed is done where it has finished, else pending."""
        if key in self.outcomes:
            return self.outcomes[key]
        return Outcome("done") if self.store.has(key) else Outcome("pending", "it was not selected")

    def result(self, key: str) -> Mapping[str, Any]:
        """The result of a finished stage; empty for others."""
        finished = self.store.finished(key) if self.outcome(key).status == "done" else None
        return finished.result if finished else {}

    def attempt(self, key: str) -> Mapping[str, Any]:
        """The attempt that finished a stage; the last record for one that failed."""
        finished = self.store.finished(key)
        if finished:
            return finished.attempt
        return next(iter(reversed(self.store.records(key))), {})


def result_rows(results: Results) -> Iterator[dict[str, Any]]:
    """The rows of results.csv: one a (cell, test set)."""
    shares = Counter(key for planned in results.plan.cells for key in _generator_keys(planned))
    for planned in results.plan.cells:
        for test_set, evaluation in planned.evaluations.items():
            yield _result_row(results, planned, test_set, evaluation, shares)


def _generator_keys(planned: PlannedCell) -> tuple[str, ...]:
    """What generators took for a cell: for its images, and for what its classifier is built on."""
    return tuple(dict.fromkeys((*planned.fits, *planned.samples.values(), *planned.built_on)))


def _result_row(
    results: Results, planned: PlannedCell, test_set: str, evaluation: str, shares: Mapping[str, int]
) -> dict[str, Any]:
    cell = planned.cell
    status, error = _status(results, planned, evaluation)
    train, scored = results.result(planned.train), results.result(evaluation)
    seconds = {key: results.attempt(key).get("seconds", 0.0) for key in _generator_keys(planned)}
    attempts = [results.attempt(planned.train), results.attempt(evaluation)]
    row = {
        "cell": cell.name,
        "dataset": cell.dataset,
        "train_fraction": cell.train_fraction,
        "strategy": cell.strategy,
        "generator": planned.generator,
        "classifier": cell.classifier,
        "seed": cell.seed,
        "split_seed": cell.split_seed,
        "generator_seed": cell.generator_seed,
        "classifier_seed": cell.classifier_seed,
        "protocol": protocol_name(results.plan),
        "test_set": test_set,
        "status": status,
        "error": error,
        "n_train_real": train.get("n_train_real"),
        "n_train_synthetic": train.get("n_train_synthetic"),
        "n_test": scored.get("n_test"),
        "updates": train.get("updates"),
        "generator_seconds": sum(seconds.values()),
        "generator_seconds_shared": sum(value / shares[key] for key, value in seconds.items()),
        "train_seconds": _train_seconds(results, planned),
        "eval_seconds": attempts[1].get("seconds"),
        "peak_memory_mb": _peak(attempts, "peak_memory_mb"),
        "peak_device_mb": _peak(attempts, "peak_device_mb"),
    }
    return row | (dict(scored["scores"]) if status == "done" else {})


def _train_seconds(results: Results, planned: PlannedCell) -> float | None:
    """Seconds of the training, and of those that it is built on: the members of an ensemble, an `init`."""
    found = [results.attempt(key).get("seconds") for key in (planned.train, *planned.trainings)]
    return sum(value for value in found if value is not None) if found[0] is not None else None


def _status(results: Results, planned: PlannedCell, evaluation: str) -> tuple[str, str]:
    """A cell stands as its own training does, then as its evaluation; what failed before them makes it skipped."""
    for key in (planned.train, evaluation):
        outcome = results.outcome(key)
        if outcome.status != "done" and key != evaluation:
            return _own_status(outcome, key, results)
    outcome = results.outcome(evaluation)
    return _own_status(outcome, evaluation, results)


def _own_status(outcome: Outcome, key: str, results: Results) -> tuple[str, str]:
    if outcome.status == "interrupted":
        return "pending", "interrupted"
    if outcome.status == "skipped" and outcome.cause == key:
        return "failed", outcome.error
    return outcome.status, outcome.error


def _peak(attempts: list[Mapping[str, Any]], name: str) -> float | None:
    return max((a[name] for a in attempts if a.get(name) is not None), default=None)


def protocol_name(plan: Plan) -> str:
    """`fair`, or `paper` with the leaks it permitted, which stand in every row."""
    protocol = plan.matrix.protocol
    return f"{protocol.name}[{','.join(protocol.allow)}]" if protocol.allow else protocol.name


def fidelity_rows(results: Results) -> Iterator[dict[str, Any]]:
    """The rows of fidelity.csv: values of each generator, class and step, and the controls."""
    for planned in results.plan.fidelity:
        if results.outcome(planned.key).status == "done":
            finished = results.store.finished(planned.key)
            assert finished is not None
            for value in json.loads((finished.folder / "values.json").read_text()):
                yield _fidelity_columns(planned) | value


def _fidelity_columns(planned: PlannedFidelity) -> dict[str, Any]:
    return {
        "dataset": planned.dataset,
        "train_fraction": planned.train_fraction,
        "strategy": planned.strategy,
        "generator": planned.generator,
        "split_seed": planned.split_seed,
        "generator_seed": planned.generator_seed,
        "class": planned.class_name,
        "step": planned.step if planned.step is not None else "last",
    }


def composition_rows(results: Results) -> Iterator[dict[str, Any]]:
    """The rows of composition.csv: real and synthetic images a class of each arm."""
    seen = set()
    for planned in results.plan.cells:
        cell = planned.cell
        arm = (cell.dataset, cell.train_fraction, cell.strategy, cell.split_seed, cell.generator_seed)
        composition = results.result(planned.train).get("composition")
        if composition is None or arm in seen:
            continue
        seen.add(arm)
        for split, sources in composition.items():
            for name in results.plan.splits[cell.dataset, cell.split_seed].classes:
                yield {
                    "dataset": cell.dataset,
                    "train_fraction": cell.train_fraction,
                    "strategy": cell.strategy,
                    "generator": planned.generator,
                    "split_seed": cell.split_seed,
                    "generator_seed": cell.generator_seed,
                    "split": split,
                    "class": name,
                    "real": sources.get("real", {}).get(name, 0),
                    "synthetic": sources.get("synthetic", {}).get(name, 0),
                }


def health_rows(results: Results) -> Iterator[dict[str, Any]]:
    """What the samples of every finished generator were like at the end of its fit: a row a class, with figures by name
    (see `derm_bench.fidelity.likeness`) and `flags`, sentences on what is wrong."""
    for fit in results.plan.fits:
        health = dict(results.result(fit.key).get("health", {}))
        flags = health.pop("flags", {})
        figures = {name: values for name, values in health.items() if isinstance(values, Mapping)}
        for label in dict.fromkeys(label for values in figures.values() for label in values):
            yield {
                "dataset": fit.dataset,
                "train_fraction": fit.train_fraction,
                "strategy": fit.strategy,
                "generator": fit.generator,
                "split_seed": fit.split_seed,
                "generator_seed": fit.generator_seed,
                "class": label,
                "figures": {name: values[label] for name, values in figures.items() if label in values},
                "flags": list(flags.get(label, ())),
            }


def warnings_of(results: Results) -> list[str]:
    """What a reader should know before trusting the tables."""
    found = list(results.plan.warnings)
    dropped: Counter[str] = Counter()
    for planned in results.plan.cells:
        dropped |= Counter(results.result(planned.train).get("set_aside", {}))
    found += [f"{n} images were set aside ({why})" for why, n in sorted(dropped.items())]
    for label, key in results.plan.decodes.items():
        unreadable = results.result(key).get("unreadable", 0)
        if unreadable:
            found.append(f"{label}: {unreadable} images could not be read and were left out")
    for row in health_rows(results):
        name = f"{row['strategy']} [{row['class']}] seed {row['generator_seed']} on {row['dataset']}"
        found += [f"{name}: {flag}" for flag in row["flags"]]
    return found
