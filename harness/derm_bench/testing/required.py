"""What a plugin requires of other plugins: fitted by the kit, briefly and on phantoms, unless the test gives it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from pydantic import BaseModel

from derm_bench.errors import UserError
from derm_bench.images import ImageSet
from derm_bench.specs import Budget, ClassifierUse, Ref, SampleRequest, Task, create
from derm_bench.testing.phantoms import phantoms
from derm_bench.testing.rules import ConformanceError, plugin_code
from derm_bench.testing.runs import RecordedRun
from derm_bench.testing.subject import Subject, installed
from derm_bench.training.feed import FeedOptions
from derm_bench.training.resize import resize_images
from derm_bench.training.seeding import seed_everything
from derm_bench.training.selection import Selection

UPDATES = 2  # of the fit of a requirement
MOST_SAMPLES = 64  # per class
HALF = (0.5, 0.5, 0.5)
NOT_OPTIONS = ("name", "label", "preset", "from", "init", "scope", "budget", "classes")


@dataclass(frozen=True)
class Made:
    """A requirement that the kit has fitted: the plugin's state, and how to restore it, as a stage does."""

    subject: Subject
    options: Any
    task: Task
    state: Mapping[str, torch.Tensor]
    inputs: Required

    def restored(self, device: str) -> tuple[Any, Task]:
        """Return a new object of the plugin with this state, and its task."""
        task = self.inputs.task(replace(self.task, device=device), lasting=True)
        with plugin_code(f"{self.subject.spec.name}: create(options, task), load_state()"):
            plugin = create(self.subject.spec, self.options, task)
            plugin.load_state(self.state)
        return plugin, task


@dataclass(frozen=True)
class Required:
    """All that one plugin requires. `train` are the images that the plugin is fitted on, of the stored size. `above`
    are the plugins that led to this one, to find cycles."""

    subject: Subject
    options: Any
    train: ImageSet
    above: tuple[tuple[str, str], ...] = field(default=())

    @cached_property
    def asked(self) -> Mapping[str, Ref]:
        requires = self.subject.spec.requires
        with plugin_code(f"{self.subject.spec.name}: requires(options)"):
            return requires(self.options) if requires else {}

    def task(self, task: Task, *, lasting: bool = False) -> Task:
        """Return `task` with the requirements; with `lasting` only those that a fitted plugin needs too. What a test
        gives as `inputs` is used as it is. Raises ConformanceError if another requirement cannot be fitted."""
        inputs: dict[str, Any] = {}
        tasks: dict[str, Task] = {}
        parts: dict[str, str] = {}
        for name, ref in self.asked.items():
            if lasting and ref.needed == "fit":
                continue
            if name in self.subject.inputs:
                inputs[name] = self.subject.inputs[name]
            elif ref.kind == "samples":
                inputs[name] = self._samples[name]
            else:
                inputs[name], tasks[name] = self._made[name].restored(task.device)
            if ref.part is not None:
                parts[name] = ref.part
        return replace(task, inputs=inputs, input_tasks=tasks, input_parts=parts)

    @cached_property
    def _made(self) -> dict[str, Made]:
        return {name: self._fitted(name, ref) for name, ref in self._missing("generator", "classifier")}

    @cached_property
    def _samples(self) -> dict[str, ImageSet]:
        return {name: self._drawn(name, ref) for name, ref in self._missing("samples")}

    def _missing(self, *kinds: str) -> Iterator[tuple[str, Ref]]:
        for name, ref in self.asked.items():
            if name not in self.subject.inputs and ref.kind in kinds:
                yield name, ref

    def _fitted(self, name: str, ref: Ref, train: ImageSet | None = None) -> Made:
        """Fit a requirement on `train`, by default the images that the `Ref` names, and return its state."""
        kind = "classifier" if ref.kind == "classifier" else "generator"
        me, other = self.subject.spec.name, f"{kind} {ref.plugin}"
        here = (other, repr(_written(ref)))  # with other options it is another network
        if here in self.above or len(self.above) > MAX_DEPTH:
            names = [name for name, _ in (*self.above, here)]
            raise ConformanceError(f"{me} requires itself: {' -> '.join(names)}")
        with _explained(f"{me}: its requirement '{name}', {other}, cannot be fitted"):
            subject = installed(kind, ref.plugin, plugins=self.subject.plugins)
            subject = replace(subject, given=_options_of(ref, subject.spec))
            options = subject.options()
            train = _of_stated_classes(ref, self._data(name, ref) if train is None else train)
            task = Task(train.classes, int(_side(kind, options) or train.size))
            inputs = Required(subject, options, self.train, (*self.above, here))
            task_with_inputs = inputs.task(task)
            seed_everything(0)
            with plugin_code(f"{subject.spec.name}: create(options, task)"):
                plugin = create(subject.spec, options, task_with_inputs)
            fit_briefly(kind, subject.spec, plugin, options, task, train)
            state = {key: value.detach().cpu().clone() for key, value in plugin.state().items()}
            return Made(subject, options, task, state, inputs)

    def _data(self, name: str, ref: Ref) -> ImageSet:
        if isinstance(ref.data, Ref):
            return self._drawn(name, ref.data)
        if ref.data == "train":
            return self.train
        return phantoms(len(self.train.classes), size=self.train.size, seed=3)

    def _drawn(self, name: str, ref: Ref) -> ImageSet:
        """Return samples of every class. An unconditional generator is fitted on one class, and draws for each."""
        spec: Any = installed("generator", ref.plugin, plugins=self.subject.plugins).spec
        classes, conditional = self.train.classes, spec.conditional
        made = self._fitted(name, ref, None if conditional else self.train.of_classes(classes[:1]))
        generator, _ = made.restored("cpu")
        if conditional:
            classes = made.task.classes
        n = min(ref.n or int((self.train.labels == 0).sum()), MOST_SAMPLES)
        given = self.train if spec.conditions_on != "none" else None
        with plugin_code(f"{spec.name}: sample()"):
            requests = [SampleRequest(k if conditional else 0, n, seed=k) for k in range(len(classes))]
            drawn = torch.cat([generator.sample(request, given).images.cpu() for request in requests])
        column = torch.arange(len(classes)).repeat_interleave(n)
        if not conditional and ref.scope == "pooled":
            column = torch.full_like(column, -1)
        names = tuple(f"synthetic/{k:06d}" for k in range(len(drawn)))
        return ImageSet(resize_images(drawn, self.train.size), column, classes, names, names)


def _of_stated_classes(ref: Ref, train: ImageSet) -> ImageSet:
    """Return the images of the classes that a `Ref` names in its options, if they are classes of `train`; else all."""
    named = ref.options.get("classes") if isinstance(ref.options, Mapping) else None
    return train.of_classes(tuple(named)) if named and set(named) <= set(train.classes) else train


def fit_briefly(kind: str, spec: Any, plugin: Any, options: Any, task: Task, train: ImageSet) -> None:
    """Fit a plugin for two updates. Raises ConformanceError if it raises."""
    feed = FeedOptions(getattr(options, getattr(spec, "batch_option", "batch_size"), 8), size=task.size)
    if kind == "classifier":
        feed = replace(feed, mean=getattr(plugin, "mean", HALF), std=getattr(plugin, "std", HALF))
    val = phantoms(len(train.classes), per_class=4, size=train.size, seed=1)
    selection = Selection(val=val, evaluations=1) if kind == "classifier" else None
    run = RecordedRun(seed=0, budget=UPDATES, feed=feed, selection=selection)
    with plugin_code(f"{spec.name}: fit()"):
        if kind == "classifier":
            plugin.fit(train, val, run)
        else:
            plugin.fit(_at_size(train, task.size), run)


def _at_size(images: ImageSet, size: int) -> ImageSet:
    if images.size == size:
        return images
    return phantoms(len(images.classes), size=size)


def _side(kind: str, options: Any) -> int | None:
    side: int | None = options.input_size if kind == "classifier" else options.size
    return side


def _options_of(ref: Ref, spec: Any) -> dict[str, Any]:
    """Return the options of a `Ref` or `ClassifierUse`, without what the planner resolves, and a short budget."""
    given: Any = ref.options.options if isinstance(ref.options, ClassifierUse) else ref.options
    if isinstance(given, BaseModel):
        given = {name: getattr(given, name) for name in given.model_fields_set}
    values = dict(given or {})
    preset = spec.presets.get(values.get("preset"), {})
    budget = {"budget": Budget(updates=UPDATES)} if ref.kind != "classifier" and spec.trains else {}
    own = {name: value for name, value in values.items() if name not in NOT_OPTIONS}
    return {**preset, **own, **budget}


MAX_DEPTH = 16


def _written(ref: Ref) -> Any:
    """Return the options of a `Ref`, as they were written."""
    return ref.options if isinstance(ref.options, ClassifierUse) else dict(ref.options)


STAND_IN = "; give a stand-in of your own as `inputs` of the test class"


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except (ConformanceError, UserError) as error:
        why = str(error).removesuffix(STAND_IN)
        raise ConformanceError(f"{what}: {why}{STAND_IN}", what) from error
