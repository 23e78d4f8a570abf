"""Rules that data sets, metrics and transforms share, and the recorded calls that they check."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from derm_bench.dataset_parts import create_dataset
from derm_bench.plan.declared import functions_of
from derm_bench.plugins import Plugins
from derm_bench.specs import Task, create, load_object
from derm_bench.stages.runtime import prepare
from derm_bench.testing.rules import Limits, NotApplicable, plugin_code, require
from derm_bench.testing.subject import Subject
from derm_bench.testing.watch import Watch, rng_digest, warm_up

THREADS = 2  # of a worker; fewer if the caller has set fewer
CLASSES = ("red", "green", "blue")


class CallCase(ABC):
    """A plugin that is called but not fitted. `use` makes the calls for its kind once, and rules share the outcome."""

    def __init__(self, subject: Subject, *, size: int = 32, limits: Limits | None = None) -> None:
        self.subject, self.size, self.limits = subject, size, limits or Limits()
        self.name = subject.spec.name
        prepare("cpu", min(THREADS, torch.get_num_threads()))
        warm_up()
        self.watch = Watch(subject.package, self._allowed())
        with self.watch, plugin_code(f"importing {subject.spec.create}"):
            load_object(subject.spec.create)

    @property
    def spec(self) -> Any:
        return self.subject.spec

    def make(self) -> Any:
        """Create a new plugin object."""
        options = self.subject.options()
        task = Task(CLASSES, self.size, inputs=self.subject.inputs)
        return self.call("create(options, task)", lambda: self._created(options, task))

    def _created(self, options: Any, task: Task) -> Any:
        if self.subject.kind == "dataset" and self.spec.parts:
            return create_dataset(self.spec, options, task, self.subject.plugins or Plugins())
        return create(self.spec, options, task)

    @cached_property
    def made(self) -> Any:
        return self.make()

    def call(self, what: str, function: Callable[[], Any]) -> Any:
        """Call code of the plugin while a `Watch` is active."""
        with self.watch, plugin_code(f"{self.name}: {what}"):
            return function()

    @property
    def may_draw(self) -> bool:
        """Whether the plugin may draw from the global generators."""
        return False

    @abstractmethod
    def use(self) -> Any:
        """Make all calls that the harness makes to a plugin of this kind, once each."""

    @cached_property
    def used(self) -> tuple[float, bool]:
        """The seconds of a second `use`, and whether it drew from the global generators."""
        self.use()
        before, began = rng_digest(), time.perf_counter()
        self.use()
        return time.perf_counter() - began, rng_digest() != before

    def _allowed(self) -> list[Path]:
        return self.subject.paths()


def leaves_global_state_alone(case: CallCase) -> None:
    """The plugin changes no process settings and neither seeds nor draws from global generators. Random numbers come
    from the generator that is passed in."""
    _, drawn = case.used
    once = {"os.environ", "sys.path"}
    changed = {*case.watch.changed} - once | {*case.watch.seeded}
    changed |= {"the state of the global random generators"} if drawn and not case.may_draw else set()
    require(
        not changed,
        f"{case.name}: changes {', '.join(sorted(changed))}, which the whole process shares; draw from the "
        "generator that is passed in, or from your own generator with a fixed seed, and do not change settings",
    )


def opens_no_file(case: CallCase) -> None:
    """The plugin may read only files that an option of type Path names, and may write nothing."""
    if functions_of(case.spec):
        raise NotApplicable("its `depends_on` names the files that it reads")
    require(
        bool(case.used) and not case.watch.opened,
        f"{case.name}: opens {'; '.join(sorted(set(case.watch.opened))[:3])}; name files to read in "
        "an option of type Path (their content then enters the key), and write nothing",
    )


def picks_no_device(case: CallCase) -> None:
    """All tensors are on task.device or on the device of the input tensor."""
    picked = sorted(set(case.watch.devices)) if case.used else []
    require(
        not picked,
        f"{case.name}: selects a device: {'; '.join(picked)}; use task.device or the device of the input",
    )


def is_quick(case: CallCase) -> str | None:
    """One use on small inputs takes at most 3 s on 2 cores."""
    seconds, limit = case.used[0], case.limits.tiny
    message = f"{case.name}: took {seconds:.1f} s on small inputs, the limit is {limit:g} s on 2 cores; make it faster"
    require(seconds <= limit * case.limits.failing, message)
    return message if seconds > limit else None


ABOUT_CALLS = (leaves_global_state_alone, opens_no_file, picks_no_device, is_quick)
