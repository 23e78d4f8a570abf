"""Stage `evaluate`: the predictions for each image of val and test, and the scores computed from them."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch

from derm_bench.images import ImageSet
from derm_bench.protocols import Task
from derm_bench.scoring.classification import classification_metrics
from derm_bench.stages.decoded import images_of
from derm_bench.stages.required import normalisation, restored_classifier
from derm_bench.stages.tested import test_images
from derm_bench.stages.weights import load_state
from derm_bench.training.pixels import Pixels

if TYPE_CHECKING:
    from derm_bench.plan import params as p
    from derm_bench.protocols import Classifier
    from derm_bench.stages.context import StageContext

BATCH = 256


def evaluate(context: StageContext) -> dict[str, Any]:
    """Writes predictions.arrow (one row per image of val and test) and metrics.json."""
    params: p.Evaluate = context.params
    test, left_out = test_images(context)
    state = load_state(context.inputs["train"] / "state.safetensors")
    classifier, task = restored_classifier(context, state)
    val = images_of(context, "val")
    proba = {name: predict(classifier, part, task) for name, part in (("val", val), ("test", test))}
    scores = classification_metrics(
        test.labels.numpy(),
        proba["test"],
        test.classes,
        val_labels=val.labels.numpy() if len(val) else None,
        val_proba=proba["val"] if len(val) else None,
    )
    for use, local in zip(params.metrics, context.local["metrics"], strict=True):
        metric = context.metric(use, local, Task(test.classes, test.size))
        scores |= metric.compute(test.labels.numpy(), proba["test"], test.groups, test.classes)
    text = textual(val, test)
    parts = [predictions("val", val, proba["val"], text), predictions("test", test, proba["test"], text)]
    table = pa.concat_tables(parts, promote_options="default")  # external images have attributes of their own
    # Arrow IPC format: a run directory gathers these files for thousands of cells without decoding them.
    with (
        pa.OSFile(str(context.out / "predictions.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as file,
    ):
        file.write_table(table)
    (context.out / "metrics.json").write_text(json.dumps(scores, indent=1))
    return {"n_test": len(test), "n_val": len(val), "scores": scores, "left_out": dict(left_out)}


def predict(classifier: Classifier, images: ImageSet, task: Task) -> np.ndarray:
    """Probabilities, float64 [N,K], computed in chunks; each row sums to 1."""
    mean, std = normalisation(classifier)
    pixels = Pixels(images.images, task.device, task.size, mean, std)
    rows = [np.empty((0, len(images.classes)))]
    with torch.inference_mode():
        rows += [classifier.predict_proba(batch).double().cpu().numpy() for batch in pixels.chunks(BATCH)]
    proba = np.concatenate(rows)
    return proba / proba.sum(axis=1, keepdims=True)


def predictions(
    split: str, images: ImageSet, proba: np.ndarray, text: Collection[str] | None = None
) -> pa.Table:
    """The rows of predictions.parquet: names, true and predicted class, probabilities, and columns of attributes.
    `text` names the attributes that hold text (default: those of `images` that do)."""
    text = textual(images) if text is None else text
    names = np.array(images.classes, dtype=object)
    columns = {
        "split": pa.array([split] * len(images), pa.string()),
        "image_id": pa.array(images.ids, pa.string()),
        "group": pa.array(images.groups, pa.string()),
        "label": pa.array(names[images.labels.numpy()], pa.string()),
        "predicted": pa.array(names[proba.argmax(axis=1)], pa.string()),
    }
    columns |= {f"p_{name}": pa.array(proba[:, k]) for k, name in enumerate(images.classes)}
    for name, column in images.attributes.items():
        known = [value if value == value else None for value in column]  # NaN is no value
        if name in text:
            known = [_word(value) for value in known]
        columns[_free(name, columns)] = pa.array(known, pa.string() if name in text else pa.float64())
    return pa.table(columns)


def _word(value: Any) -> str | None:
    """A value of an attribute that holds text in another part: 45.0 is `45`."""
    if value is None or isinstance(value, str):
        return value
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def textual(*parts: ImageSet) -> frozenset[str]:
    """The names of the attributes that hold text in any of these sets, some of which may be empty."""
    return frozenset(
        name
        for part in parts
        for name, column in part.attributes.items()
        if any(isinstance(value, str) for value in column)
    )


def _free(name: str, taken: Collection[str]) -> str:
    """The column name of an attribute: its name, or `attribute_<name>` if the name is already used or starts like that
    of a probability (`p_`)."""
    while name in taken or name in ("cell", "test_set") or name.startswith("p_"):
        name = f"attribute_{name}"
    return name
