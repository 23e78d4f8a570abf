"""What a plugin requires, made anew from the stages that fitted it, and the task that hands it in."""

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
    """The task of a stage's plugin, with all that it requires as inputs."""
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
        inputs[name], tasks[name] = restored(_upstream(context, name), state)
        if asked["part"] is not None:
            parts[name] = asked["part"]
    return Task(tuple(classes), size, context.device, inputs, tasks, parts)


def restored_generator(context: StageContext, state: Mapping[str, torch.Tensor]) -> tuple[Generator, Task]:
    """The generator of a fit, or of a stage that samples from one, in the state that the fit left; and its task."""
    params = context.params
    spec = context.plugins.get("generator", params.generator)
    options = context.options("generator", params.generator)
    task = task_of(context, params.fit_classes, options.size or params.size)
    generator: Generator = create(spec, options, task)
    generator.load_state(state)
    return generator, task


def restored_classifier(context: StageContext, state: Mapping[str, torch.Tensor]) -> tuple[Classifier, Task]:
    """The classifier of a training, or of its evaluation, in the state that the training left; and its task."""
    params = context.params
    spec = context.plugins.get("classifier", params.classifier)
    options = context.options("classifier", params.classifier)
    task = task_of(context, params.classes, options.input_size or params.size)
    classifier: Classifier = create(spec, options, task)
    classifier.load_state(state)
    return classifier, task


def normalisation(classifier: Classifier) -> tuple[Sequence[float], Sequence[float]]:
    """Mean and standard deviation of pixels in [0,1] with which a classifier's images are normalised."""
    return getattr(classifier, "mean", HALF), getattr(classifier, "std", HALF)


def parameters_of(folder: Path) -> SimpleNamespace:
    """The parameters of a finished stage."""
    return SimpleNamespace(**json.loads((folder / STAGE_FILE).read_text())["identity"]["params"])


def class_folders(context: StageContext, prefix: str) -> Iterator[tuple[str, Path]]:
    """(class, folder) of the sample stages among a stage's inputs that are called `<prefix><class>`."""
    for name, folder in sorted(context.inputs.items()):
        if name.startswith(prefix):
            yield name.removeprefix(prefix), folder


def derived_rows(context: StageContext, label: str, n: int) -> dict[str, torch.Tensor]:
    """The named data that was derived from the `n` samples of a class."""
    found = {}
    for name, folder in context.inputs.items():
        if name.startswith(DERIVED_SYNTHETIC):
            data, _, of_class = name.removeprefix(DERIVED_SYNTHETIC).partition("/")
            if of_class == label:
                found[data] = load_rows(folder / "data.npy", range(n))
    return found


def synthetic_set(context: StageContext, prefix: str, classes: Sequence[str], size: int) -> ImageSet:
    """All images of the sample stages `<prefix><class>`, each its own group; those of a class that is none of
    `classes` (a generator that tells none apart calls it `all`) are labelled -1."""
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


def _upstream(context: StageContext, name: str) -> StageContext:
    """The stage that made an input, seen from here: its parameters, and of its inputs what it required in turn."""
    below = f"{NEEDED}{name}/"
    return replace(
        context,
        params=parameters_of(context.inputs[f"{NEEDED}{name}"]),
        local=context.local["requires"][name],
        inputs={
            key.removeprefix(below): path for key, path in context.inputs.items() if key.startswith(below)
        },
    )
