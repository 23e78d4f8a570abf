"""Stage `filter`: keeps the samples that a classifier is surest of, or that the generator's discriminator finds most
real."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from derm_bench.errors import Diverged
from derm_bench.images import load_images, save_images
from derm_bench.stage_names import NEEDED, SAMPLES
from derm_bench.stages.choose import chosen_step
from derm_bench.stages.required import HALF, normalisation, restored_generator, task_of, upstream
from derm_bench.stages.weights import load_state
from derm_bench.training.pixels import Pixels

if TYPE_CHECKING:
    from derm_bench.plan import params as p
    from derm_bench.stages.context import StageContext

CHUNK = 128
GRADER = "grader"


def best_samples(context: StageContext) -> dict[str, Any]:
    """Writes images.npy, uint8 [n,S,S,3], samples.json, and grades.npy, float64 [N] of all samples. The result has the
    numbers of samples that were graded and kept, and the lowest grade that was kept. Raises Diverged for a grade that
    is no number."""
    params: p.Filter = context.params
    images = load_images(context.inputs[SAMPLES] / "images.npy")
    grades = _realness(context, images) if params.grade == "discriminator" else _confidence(context, images)
    if not np.isfinite(grades).all():
        raise Diverged(f"{int((~np.isfinite(grades)).sum())} of {len(grades)} grades are NaN or infinite")
    chosen = best_of_windows(grades, params.window, params.kept)[: params.n]
    if len(chosen) < params.n:
        raise ValueError(f"{len(images)} samples have {len(chosen)} to keep, fewer than {params.n}")
    save_images(context.out / "images.npy", images[torch.tensor(chosen)])
    np.save(context.out / "grades.npy", grades, allow_pickle=False)
    document = json.loads((context.inputs[SAMPLES] / "samples.json").read_text())
    columns = {name: [column[i] for i in chosen] for name, column in document["attributes"].items()}
    sources = [document["source_ids"][i] for i in chosen] if document["source_ids"] else []
    kept = {**document, "source_ids": sources, "attributes": columns, "graded": len(images), "places": chosen}
    (context.out / "samples.json").write_text(json.dumps(kept))
    return {
        "n": len(chosen),
        "label": params.label,
        "graded": len(images),
        "lowest": float(min(grades[chosen])),
    }


def best_of_windows(grades: np.ndarray, window: int, kept: int) -> list[int]:
    """The positions of the best `kept` of every `window` grades, in order; of equal grades the first. The last window
    may be shorter, of which as large a share is kept, rounded up."""
    chosen: list[int] = []
    for start in range(0, len(grades), window):
        part = grades[start : start + window]
        n = -(-kept * len(part) // window)
        chosen += sorted((start + np.argsort(-part, kind="stable")[:n]).tolist())
    return chosen


def _confidence(context: StageContext, images: torch.Tensor) -> np.ndarray:
    """The probability that the classifier gives to the class of the samples, float64 [N]."""
    params: p.Filter = context.params
    task = task_of(context, params.classes, params.size)
    classifier, own = task.inputs[GRADER], task.input_tasks[GRADER]
    mean, std = normalisation(classifier)
    pixels = Pixels(images, own.device, own.size, mean, std)
    label = list(params.classes).index(params.label)
    with torch.inference_mode():
        rows = [
            classifier.predict_proba(batch)[:, label].double().cpu().numpy() for batch in pixels.chunks(CHUNK)
        ]
    return np.concatenate(rows)


def _realness(context: StageContext, images: torch.Tensor) -> np.ndarray:
    """How real the generator's discriminator finds the samples, float64 [N]."""
    params: p.Filter = context.params
    step = chosen_step(context, params.snapshot)
    name = "state.safetensors" if step is None else f"snapshots/{step}.safetensors"
    state = load_state(context.inputs[f"{NEEDED}{GRADER}"] / name)
    generator, task = restored_generator(upstream(context, GRADER), state)
    label = list(task.classes).index(params.label)
    pixels = Pixels(images, task.device, task.size, HALF, HALF)
    rows: Sequence[torch.Tensor]
    with torch.inference_mode():
        rows = [generator.realness(batch, label) for batch in pixels.chunks(CHUNK)]  # type: ignore[attr-defined]
    return torch.cat([row.double().cpu() for row in rows]).numpy()
