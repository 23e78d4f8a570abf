"""Restores the requirements of a plugin from the stages that fitted them, and puts them into its task."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch

from derm_bench.images import ImageSet, load_images, load_rows
from derm_bench.lazy import create
from derm_bench.protocols import Task
from derm_bench.stage_names import DERIVED_SYNTHETIC, NEEDED, STAGE_FILE
from derm_bench.stages.weights import load_state
from derm_bench.training.resize import resize_images

if TYPE_CHECKING:
    from derm_bench.protocols import Classifier, Generator
    from derm_bench.stages.context import StageContext

HALF = (0.5, 0.5, 0.5)


def task_of(context: StageContext, classes: Sequence[str], size: int) -> Task:
    """The task of a stage's plugin, with all its requirements as inputs."""
    inputs: dict[str, Any] = {}
    tasks: dict[str, Task] = {}
    parts: dict[str, str] = {}
    for name, asked in context.params.requires.items():
        if asked["kind"] == "samples":
            stored = context.params.size
            inputs[name] = synthetic_set(context, f"{NEEDED}{name}/", context.params.classes, stored)
            continue
        restored = restored_classifier if asked["kind"] == "classifier" else restored_generator
        state = load_state(context.inputs[f"{NEEDED}{name}"] / "state.safetensors")
        inputs[name], tasks[name] = restored(upstream(context, name), state)
        if asked["part"] is not None:
            parts[name] = asked["part"]
    return Task(tuple(classes), size, context.device, inputs, tasks, parts)


def restored_generator(context: StageContext, state: Mapping[str, torch.Tensor]) -> tuple[Generator, Task]:
    """The generator of a fit, or of a stage that reads one, restored from the state of the fit; and its task."""
    params = context.params
    spec = context.plugins.get("generator", params.generator)
    options = context.options("generator", params.generator)
    task = task_of(context, params.fit_classes, options.size or params.size)
    generator: Generator = create(spec, options, task)
    generator.load_state(state)
    return generator, task


def restored_classifier(context: StageContext, state: Mapping[str, torch.Tensor]) -> tuple[Classifier, Task]:
    """The classifier of a training, or of its evaluation, restored from the state of the training; and its task."""
    params = context.params
    spec = context.plugins.get("classifier", params.classifier)
    options = context.options("classifier", params.classifier)
    task = task_of(context, params.classes, options.input_size or params.size)
    classifier: Classifier = create(spec, options, task)
    classifier.load_state(state)
    return classifier, task


def normalisation(classifier: Classifier) -> tuple[Sequence[float], Sequence[float]]:
    """The mean and standard deviation, for pixels in [0,1], that normalise the images of a classifier."""
    return getattr(classifier, "mean", HALF), getattr(classifier, "std", HALF)


def parameters_of(folder: Path) -> SimpleNamespace:
    """The parameters of a finished stage."""
    return SimpleNamespace(**json.loads((folder / STAGE_FILE).read_text())["identity"]["params"])


def class_folders(context: StageContext, prefix: str) -> Iterator[tuple[str, Path]]:
    """(class, folder) of the inputs with names `<prefix><class>`, which are sample stages."""
    for name, folder in sorted(context.inputs.items()):
        if name.startswith(prefix):
            yield name.removeprefix(prefix), folder


def derived_rows(context: StageContext, label: str, n: int) -> dict[str, torch.Tensor]:
    """The named data derived from the `n` samples of a class."""
    found = {}
    for name, folder in context.inputs.items():
        if name.startswith(DERIVED_SYNTHETIC):
            data, _, of_class = name.removeprefix(DERIVED_SYNTHETIC).partition("/")
            if of_class == label:
                found[data] = load_rows(folder / "data.npy", range(n))
    return found


def synthetic_set(context: StageContext, prefix: str, classes: Sequence[str], size: int) -> ImageSet:
    """All images of the sample stages `<prefix><class>`, each image with a group of its own. Images of a class that is
    not in `classes`, such as `all` of a generator that does not distinguish classes, are labelled -1."""
    pixels, labels, names = [torch.empty(0, 3, size, size, dtype=torch.uint8)], [], []
    derived: list[dict[str, torch.Tensor]] = []
    for label, folder in class_folders(context, prefix):
        images = load_images(folder / "images.npy")
        pixels.append(resize_images(images, size))
        labels += [list(classes).index(label) if label in classes else -1] * len(images)
        names += [f"synthetic/{label}/{k:06d}" for k in range(len(images))]
        derived.append(derived_rows(context, label, len(images)))
    column = torch.tensor(labels, dtype=torch.int64)
    data = {name: torch.cat([rows[name] for rows in derived]) for name in (derived[0] if derived else ())}
    return ImageSet(torch.cat(pixels), column, tuple(classes), tuple(names), tuple(names), data=data)


def upstream(context: StageContext, name: str) -> StageContext:
    """The context of the stage that made a required input: its parameters, and those of its inputs that it required."""
    below = f"{NEEDED}{name}/"
    return replace(
        context,
        params=parameters_of(context.inputs[f"{NEEDED}{name}"]),
        local=context.local["requires"][name],
        inputs={
            key.removeprefix(below): path for key, path in context.inputs.items() if key.startswith(below)
        },
    )
