"""Stage `health`: compares a few samples of a fit with its training images, and fails for a collapsed generator."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derm_bench.errors import Diverged
from derm_bench.fidelity.likeness import COMPARED, FIGURES, sample_likeness
from derm_bench.stages.required import restored_generator
from derm_bench.stages.seen import training_images
from derm_bench.stages.weights import load_state
from derm_bench.training.health import STRETCH, collapsed, flags

if TYPE_CHECKING:
    from derm_bench.plan import params as p
    from derm_bench.stages.context import StageContext

TAIL = 200  # rows of the training curves that are part of a failure


def health(context: StageContext) -> dict[str, Any]:
    """Returns how similar samples are to training images, by figure and then by class; `flags` describes in sentences
    what is wrong with a class. Raises Diverged if the samples of a class are nearly identical, unless the fit was
    short: after a few updates they always are. Writes no files."""
    params: p.Health = context.params
    spec = context.plugins.get("generator", params.generator)
    generator, task = restored_generator(context, load_state(context.inputs["fit"] / "state.safetensors"))
    train = training_images(context, task.size)
    measured = sample_likeness(spec, generator, train, params.seed)
    for name, figures in measured.items():
        if params.updates >= STRETCH and collapsed(figures):
            raise Diverged(
                f"the samples of '{name}' collapsed: {COMPARED} of them lie {figures['distance_ratio']:.2%} as far "
                "apart as the training images",
                curve=_curve(context.inputs["fit"] / "history.csv"),
            )
    found: dict[str, Any] = {
        figure: {name: round(figures[figure], 6) for name, figures in measured.items()} for figure in FIGURES
    }
    found["flags"] = {name: wrong for name, figures in measured.items() if (wrong := flags(figures))}
    return {"health": found}


def _curve(history: Path) -> list[list[int | str | float]]:
    """The last points `[step, metric, value]` of the fit's training curves."""
    with history.open(newline="") as handle:
        rows = [[int(row["step"]), row["metric"], float(row["value"])] for row in csv.DictReader(handle)]
    return rows[-TAIL:]
