"""Finds the generator stages and other trainings that the trainings of a plan depend on."""

from __future__ import annotations

from derm_bench.plan import params as p
from derm_bench.plan.model import Plan, PlannedRequired
from derm_bench.stage_names import NEEDED


def built_on(plan: Plan, train: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(stages of generators and everything they require, other trainings) that a training depends on."""
    generators: dict[str, None] = {}
    trainings: dict[str, None] = {}

    _visit(plan, train, generators, trainings)
    return tuple(generators), tuple(trainings)


def _visit(plan: Plan, key: str, generators: dict[str, None], trainings: dict[str, None]) -> None:
    for other in plan.stages[key].inputs.values():
        params = plan.stages[other].params
        if isinstance(params, p.Fit | p.Sample | p.Filter):
            below = (*plan.upstream(other), other)
            generators.update(
                dict.fromkeys(k for k in below if not isinstance(plan.stages[k].params, p.Decode))
            )
        elif isinstance(params, p.Train):
            trainings[other] = None
            _visit(plan, other, generators, trainings)


def list_required(plan: Plan) -> list[PlannedRequired]:
    """The fits and trainings that only other stages require, each listed under the first owner that requires it."""
    own = {fit.key for fit in plan.fits} | {planned.train for planned in plan.cells}
    found: dict[str, PlannedRequired] = {}
    for fit in plan.fits:
        if any(name.startswith(NEEDED) for name in plan.stages[fit.key].inputs):
            for key in plan.upstream(fit.key):
                place = (fit.dataset, fit.train_fraction, fit.strategy, fit.generator_seed)
                _list(plan, key, found, own, *place)
    for planned in plan.cells:
        cell = planned.cell
        for sample in planned.samples.values():
            if isinstance(plan.stages[sample].params, p.Filter):
                for key in plan.upstream(sample):
                    place = (
                        cell.dataset,
                        cell.train_fraction,
                        f"{cell.strategy}/filter",
                        cell.generator_seed,
                    )
                    _list(plan, key, found, own, *place)
        for key in (*planned.built_on, *planned.trainings):
            seed = cell.generator_seed if key in planned.built_on else cell.classifier_seed
            _list(plan, key, found, own, cell.dataset, cell.train_fraction, cell.classifier, seed)
    return list(found.values())


def _list(
    plan: Plan,
    key: str,
    found: dict[str, PlannedRequired],
    own: set[str],
    dataset: str,
    fraction: float,
    owner: str,
    seed: int | None,
) -> None:
    stage = plan.stages[key]
    if key in own or key in found:
        return
    if isinstance(stage.params, p.Fit):
        label = f"{owner}/{stage.params.generator}"
        classes = "+".join(stage.params.fit_classes)
        found[key] = PlannedRequired(dataset, fraction, "generator", label, classes, seed, key)
    elif isinstance(stage.params, p.Train):
        label = f"{owner}/{stage.params.classifier}"
        found[key] = PlannedRequired(dataset, fraction, "classifier", label, "", seed, key)
