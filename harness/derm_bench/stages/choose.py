"""Stage `choose`: the snapshot of a generator with the best score, by which samples are drawn."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from derm_bench.errors import Diverged
from derm_bench.stage_names import CHOSEN, SCORE

if TYPE_CHECKING:
    from derm_bench.plan import params as p
    from derm_bench.stages.context import StageContext

CHOICE = "choice.json"


def choose(context: StageContext) -> dict[str, Any]:
    """Writes choice.json: `step`, the update of the best snapshot (null for the end of the fit), and `values`, the mean
    score of each snapshot over the classes. Of equal scores the earliest is chosen. Raises Diverged if no snapshot has
    a score."""
    params: p.Choose = context.params
    values = []
    for step in params.steps:
        scores = [_score(context, "last" if step is None else str(step), name) for name in params.classes]
        if None not in scores:
            values.append((step, sum(score for score in scores if score is not None) / len(scores)))
    if not values:
        raise Diverged(f"no snapshot has the score {params.metric} for {', '.join(params.classes)}")
    pick = max if params.higher_is_better else min
    step, best = pick(values, key=lambda entry: entry[1])
    listed = {"last" if key is None else str(key): value for key, value in values}
    (context.out / CHOICE).write_text(json.dumps({"step": step, "values": listed}))
    return {"step": "last" if step is None else step, params.metric: best, "values": listed}


def chosen_step(context: StageContext, otherwise: int | None) -> int | None:
    """The update of the snapshot that a stage restores (None: the end of the fit), its choice if it has one."""
    if CHOSEN not in context.inputs:
        return otherwise
    step: int | None = json.loads((context.inputs[CHOSEN] / CHOICE).read_text())["step"]
    return step


def _score(context: StageContext, step: str, name: str) -> float | None:
    """The score of a class at a snapshot; None if it has none."""
    rows = json.loads((context.inputs[f"{SCORE}{step}/{name}"] / "values.json").read_text())
    found = [row["value"] for row in rows if row["metric"] == context.params.metric]
    return found[0] if found and found[0] is not None and found[0] == found[0] else None
