"""Initialises a classifier with the same network trained on another data set (matrix key `init`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derm_bench.errors import UserError
from derm_bench.lazy import create
from derm_bench.stages.required import parameters_of
from derm_bench.stages.weights import load_state
from derm_bench.training.weights import compare_keys

if TYPE_CHECKING:
    import torch

    from derm_bench.protocols import Classifier, Task
    from derm_bench.specs import ClassifierSpec


def start_from(classifier: Classifier, spec: ClassifierSpec, options: Any, task: Task, folder: Path) -> None:
    """Loads the state of the training in `folder`. If that training has other classes, the parts that depend on the
    classes keep their initial values. Raises UserError if the other parts do not match."""
    state = load_state(folder / "state.safetensors")
    origin = f"the network trained for `init` ({parameters_of(folder).split[:12]})"
    own = classifier.state()
    if not own:
        raise UserError(f"'{spec.name}' has no network of its own that `init` could initialise")
    heads: set[str] = set()
    if tuple(parameters_of(folder).classes) != task.classes:
        heads = class_dependent(own, spec, options, task)
        if heads == set(own):
            raise UserError(f"all of '{spec.name}' depends on the classes, so {origin} cannot initialise it")
    problems = compare_keys(_without(own, heads), _without(state, heads))
    if problems:
        raise UserError(
            f"{origin} does not match '{spec.name}': {'; '.join(problems)}",
            hint="give both the same size (init.dataset.size, or input_size of the classifier)",
        )
    classifier.load_state({key: own[key] if key in heads else state[key] for key in own})


def class_dependent(
    own: Mapping[str, torch.Tensor], spec: ClassifierSpec, options: Any, task: Task
) -> set[str]:
    """The keys of a classifier's state that are missing or have another shape when one class is added. They are the
    head of the network, which is found without knowing its structure."""
    wider: Classifier = create(spec, options, replace(task, classes=(*task.classes, "one more")))
    other = wider.state()
    return {key for key, value in own.items() if key not in other or other[key].shape != value.shape}


def _without(state: Mapping[str, torch.Tensor], names: set[str]) -> dict[str, torch.Tensor]:
    return {key: value for key, value in state.items() if key not in names}
