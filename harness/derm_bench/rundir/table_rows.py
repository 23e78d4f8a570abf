"""The rows of a plan in the compact form that statistics and figures read, as a large plan has many thousands."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from derm_bench.coordinates import ClassCoordinates

if TYPE_CHECKING:
    from derm_bench.plan.model import Plan


def rows_of(plan: Plan) -> dict[str, Any]:
    """Return the rows as JSON values. `planned.stages_of` is the inverse."""
    own = {entry.label for entry in plan.matrix.datasets}
    return {
        "cells": [_cell(planned) for planned in plan.cells],
        "scores": [_row(score, score.step, score.key) for score in plan.fidelity],
        "fits": [_row(fit, fit.key) for fit in plan.fits],
        "required": [
            (r.dataset, r.train_fraction, r.role, r.owner, r.class_name, r.seed, r.key) for r in plan.required
        ],
        "splits": [
            (label, seed, split.digest, split.classes, label in own)
            for (label, seed), split in plan.splits.items()
        ],
    }


def table_stages(plan: Plan) -> list[str]:
    """Return the keys of the stages whose outcomes and outputs the tables and figures use."""
    found = itertools.chain(
        (key for planned in plan.cells for key in (planned.train, *planned.evaluations.values())),
        (score.key for score in plan.fidelity),
        (fit.key for fit in plan.fits),
        (required.key for required in plan.required),
    )
    return list(dict.fromkeys(found))


def _cell(planned: Any) -> tuple[Any, ...]:
    cell = planned.cell
    return (
        cell.dataset,
        cell.train_fraction,
        cell.strategy,
        planned.generator,
        cell.split_seed,
        cell.generator_seed,
        cell.name,
        cell.classifier,
        cell.seed,
        cell.classifier_seed,
        planned.train,
        planned.evaluations,
    )


def _row(at: ClassCoordinates, *more: Any) -> tuple[Any, ...]:
    head = (at.dataset, at.train_fraction, at.strategy, at.generator)
    return (*head, at.split_seed, at.generator_seed, at.class_name, *more)
