"""Rules that generators and classifiers share, and the fits on small phantom sets that they check."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from derm_bench.images import ImageSet
from derm_bench.specs import Task, create, load_object
from derm_bench.stages.runtime import prepare
from derm_bench.stages.weights import load_state, save_state
from derm_bench.testing.calls import THREADS
from derm_bench.testing.phantoms import phantoms
from derm_bench.testing.required import Required
from derm_bench.testing.rules import ConformanceError, Limits, NotApplicable, Once, plugin_code, require, slow
from derm_bench.testing.runs import Interrupted, RecordedRun, Shown
from derm_bench.testing.subject import Subject
from derm_bench.testing.watch import Watch, temporary, warm_up
from derm_bench.training.seeding import seed_everything
from derm_bench.training.updates import FitCheck


@dataclass
class Fitted:
    """A finished fit: the plugin, its run, its state and its outputs (one tensor per class, or a single one)."""

    plugin: Any
    run: RecordedRun
    shown: Shown
    watch: Watch
    state: Mapping[str, torch.Tensor]
    outputs: list[torch.Tensor]
    seconds: float
    check: FitCheck


@dataclass(frozen=True)
class Change:
    """The differences of a fit from the first fit."""

    seed: int = 0
    device: str = "cpu"
    folder: Path | None = None
    die_at: int | None = None
    val_seed: int = 1


class FitCase(ABC):
    """A plugin that is fitted. `size`: side of the phantoms in pixels. Fits are cached, so that rules share them."""

    def __init__(
        self, subject: Subject, *, size: int = 32, limits: Limits | None = None, preset: str = "tiny"
    ) -> None:
        self.subject, self.size, self.limits, self.preset = subject, size, limits or Limits(), preset
        self.name = subject.spec.name
        self._once = Once()
        warm_up()
        self.importing = Watch(subject.package)
        with self.importing, plugin_code(f"importing {subject.spec.create}"):
            load_object(subject.spec.create)

    @property
    def spec(self) -> Any:
        return self.subject.spec

    @cached_property
    def options(self) -> Any:
        return self.subject.options(self.preset)

    @property
    def side(self) -> int:
        """The side of the plugin's images in pixels."""
        return self.size

    @property
    def first(self) -> Fitted:
        """The `tiny` fit with seed 0."""
        fitted: Fitted = self._once.get("first", lambda: self.fit(Change()))
        return fitted

    @property
    def again(self) -> Fitted:
        """A second fit like `first`, by a new plugin."""
        fitted: Fitted = self._once.get("again", lambda: self.fit(Change()))
        return fitted

    @cached_property
    def repeatable(self) -> bool:
        """Whether the fitted plugin returns equal outputs twice. If not, outputs of fits cannot be compared."""
        return _same(self.outputs(self.first.plugin), self.outputs(self.first.plugin))

    @cached_property
    def deterministic(self) -> bool:
        """Whether two fits with the same seed end in the same state."""
        return not self.differences(self.first, self.again)

    def differences(self, one: Fitted, other: Fitted) -> str:
        """Describe how two fits differ; empty if they do not."""
        keys = sorted(one.state.keys() ^ other.state.keys())
        keys += [k for k in one.state if k in other.state and not _same([one.state[k]], [other.state[k]])]
        words = [f"state {', '.join(keys[:3])}" + (" and more" if len(keys) > 3 else "")] if keys else []
        if self.repeatable and not _same(one.outputs, other.outputs):
            words.append("its outputs")
        return ", ".join(words)

    @cached_property
    def required(self) -> Required:
        """What the plugin requires of others."""
        above = ((f"{self.subject.kind} {self.name}", repr(dict(self.subject.given))),)
        return Required(self.subject, self.options, phantoms(size=self.size), above)

    def task(self, device: str = "cpu", restored: bool = False) -> Task:
        """Return the task of the plugin, or that of a fitted plugin which is restored."""
        return self.required.task(Task(self.train.classes, self.side, device), lasting=restored)

    @property
    @abstractmethod
    def train(self) -> ImageSet: ...

    def make(self, change: Change, watch: Watch, task: Task | None = None) -> Any:
        """Create a new plugin as a stage does, after seeding all generators."""
        task = self.task(change.device) if task is None else task
        seed_everything(change.seed)
        with watch, plugin_code(f"{self.name}: create(options, task)"):
            return create(self.spec, self.options, task)

    def fit(self, change: Change) -> Fitted:
        """Create and fit the plugin and compute its outputs, while a `Watch` is active. Raises ConformanceError if the
        plugin raises."""
        allowed = self.subject.paths(self.preset)
        watch = Watch(self.subject.package, [*allowed, *([change.folder] if change.folder else [])])
        prepare(change.device, min(THREADS, torch.get_num_threads()))
        task = self.task(change.device)
        began = time.perf_counter()
        plugin = self.make(change, watch, task)
        run = self.run(plugin, change)
        shown, check = Shown(run), FitCheck(run, plugin)
        with watch, plugin_code(f"{self.name}: fit()"), check:
            self.call_fit(plugin, shown, change)
        outputs = self.outputs(plugin, watch)
        seconds = time.perf_counter() - began
        with plugin_code(f"{self.name}: state()"):
            state = {name: value.detach().cpu().clone() for name, value in plugin.state().items()}
        return Fitted(plugin, run, shown, watch, state, outputs, seconds, check)

    @abstractmethod
    def run(self, plugin: Any, change: Change) -> RecordedRun: ...

    @abstractmethod
    def call_fit(self, plugin: Any, run: Any, change: Change) -> None: ...

    @abstractmethod
    def outputs(self, plugin: Any, watch: Watch | None = None) -> list[torch.Tensor]: ...


# ------------------------------------------------------------------------------------------ rules


def equal_seeds_give_equal_fits(case: FitCase) -> None:
    """Two fits with the same seed have bitwise equal states and outputs on the CPU."""
    different = case.differences(case.first, case.again)
    require(
        not different,
        f"{case.name}: two fits with the same seed differ in {different}; draw only from the global generators of "
        "torch, NumPy or Python (the harness seeds them), or from derm_bench.training.seeding.stream(run.seed, NAME)",
    )


def other_seeds_give_other_fits(case: FitCase) -> None:
    """A fit with another seed has another result."""
    if not case.first.state or not case.spec.trains:
        raise NotApplicable("the plugin trains nothing")
    other = case.fit(Change(seed=1))
    require(
        bool(case.differences(case.first, other)),
        f"{case.name}: fits with seeds 0 and 1 are the same; do not seed inside the plugin, and make initial weights "
        "and noise depend on the global generators or on run.seed",
    )


def state_round_trip(case: FitCase) -> None:
    """A new plugin with the state loaded from a file returns the outputs of the fitted plugin."""
    if not case.repeatable:
        raise NotApplicable("equal requests give different outputs, so they cannot be compared")
    with (
        temporary() as folder,
        plugin_code(f"{case.name}: state() to a file, load_state() in a new plugin"),
    ):
        path = Path(folder) / "state.safetensors"
        save_state(path, case.first.state)
        watch = Watch(case.subject.package, case.subject.paths(case.preset))
        fresh = case.make(Change(seed=12345), watch, case.task(restored=True))
        fresh.load_state(load_state(path))
    outputs = case.outputs(fresh)
    require(
        _same(outputs, case.first.outputs),
        f"{case.name}: after load_state(state()) a new plugin gives other outputs; put every tensor that outputs "
        "depend on into state(), including buffers (ModulePlugin does so for all parts())",
    )


def interrupt_and_resume(case: FitCase) -> str | None:
    """A fit that is interrupted after a checkpoint and resumed is bitwise equal to an uninterrupted fit on the CPU."""
    if not case.first.run.taken:
        raise NotApplicable("the fit takes no batches, so there is nothing to resume")
    if not case.first.run.checkpointed:
        return (
            "fit() never calls run.checkpoint: an interrupted fit starts from the beginning. Call "
            "live.load(run.resume()) before the loop and run.checkpoint(batch.step, live.state) at the end of its body"
        )
    if not case.deterministic:
        raise NotApplicable("fits with the same seed differ, so they cannot be compared")
    require(
        case.first.run.budget > 1, f"{case.name}: preset tiny needs 2 updates or more to test an interruption"
    )
    resumed = interrupted_fit(case, case.first.run.budget // 2)
    different = case.differences(case.first, resumed)
    if case.first.run.history() != resumed.run.history():
        different = ", ".join(filter(None, [different, "the logged curves"]))
    require(
        not different,
        f"{case.name}: a fit that was interrupted and resumed differs from an uninterrupted one in {different}; pass "
        "run.checkpoint everything that the loop changes (weights, optimizers, schedules, averages, generators, "
        "counters), as TrainingState does, and load it from run.resume() before run.batches",
    )
    return None


def interrupted_fit(case: FitCase, at: int) -> Fitted:
    """Return a fit that is interrupted after the checkpoint of update `at` and resumed by a new plugin and run."""
    with temporary() as folder:
        try:
            case.fit(Change(folder=Path(folder), die_at=at))
        except Interrupted:
            return case.fit(Change(folder=Path(folder)))
    raise ConformanceError(
        f"{case.name}: the interruption did not end fit(); call run.checkpoint after every update, and do not "
        "catch BaseException"
    )


def takes_the_whole_budget(case: FitCase) -> str | None:
    """A fit takes all updates of its budget from run.batches, and trains on nothing else; or its spec says that it
    trains nothing."""
    run, trains = case.first.run, case.spec.trains
    problem = case.first.check.problem(case.name, trains)
    if problem is not None:
        raise ConformanceError(f"{problem.message}; {problem.hint}")
    if not trains:
        raise NotApplicable("the spec says that the plugin trains nothing")
    counted = run.feed_options.batch_size
    if counted in run.batch_sizes:
        return None
    return (
        f"fit() takes batches of {', '.join(map(str, sorted(run.batch_sizes)))} images, but budgets in epochs and kimg "
        f"are counted in batches of {counted}; leave out the batch_size of run.batches, or name the option in the spec "
        "(batch_option of a generator)"
    )


def uses_nothing_but_the_protocol(case: FitCase) -> None:
    """fit() uses only the documented attributes of derm_bench.run.Run, and so cannot reach the test set."""
    touched = sorted(set(case.first.shown.touched))
    require(
        not touched,
        f"{case.name}: fit() uses {', '.join(touched)} of the run; use only the attributes that "
        "derm_bench.run.Run documents, so that no plugin can see the test set",
    )


def leaves_global_state_alone(case: FitCase) -> None:
    """The plugin changes no process settings and seeds no global generator. It may draw from them, as dropout does."""
    first, imported = case.first.watch, case.importing
    # A library may change its environment at first use, for which the plugin is not responsible.
    once = {"os.environ", "sys.path"}
    changed = {*imported.changed} - once | {*first.changed} - (once - {*case.again.watch.changed})
    changed |= {*first.seeded, *imported.seeded}
    require(
        not changed,
        f"{case.name}: changes {', '.join(sorted(changed))}, which the whole process shares; "
        "use your own torch.Generator (derm_bench.training.seeding.stream) instead of seeding, and do not change "
        "settings",
    )


def opens_no_file(case: FitCase) -> None:
    """The plugin reads only files that an option of type Path or `depends_on` names; data comes from the harness."""
    if getattr(case.spec, "commands", None):
        raise NotApplicable("the fit runs external programs, which read and write files")
    opened = [*case.importing.opened, *case.first.watch.opened]
    if case.spec.depends_on:  # it names the files that the plugin finds by itself
        opened = [place for place in opened if " for writing" in place]
    require(
        not opened,
        f"{case.name}: opens {'; '.join(sorted(set(opened))[:3])}; a plugin must not open other files: take images "
        "from `train`, weights from an option of type Path, and write through run.log, run.snapshot and run.checkpoint",
    )


def picks_no_device(case: FitCase) -> None:
    """All tensors are on task.device."""
    picked = sorted({*case.importing.devices, *case.first.watch.devices})
    require(
        not picked,
        f"{case.name}: selects a device: {'; '.join(picked)}; use only task.device and run.device",
    )
    _parts_on(case, case.first.plugin, "cpu")


def tiny_is_quick(case: FitCase) -> str | None:
    """Creating, fitting and using preset tiny takes at most 3 s on 2 cores."""
    seconds = min(case.first.seconds, case.again.seconds)
    return _within(case, "tiny", seconds, case.limits.tiny)


@slow
def smoke_is_quick(case: FitCase) -> str | None:
    """Creating, fitting and using preset smoke takes at most 60 s on 2 cores."""
    if "smoke" not in case.spec.presets:
        raise NotApplicable("the plugin has no preset smoke")
    larger = type(case)(case.subject, size=case.size, preset="smoke")
    return _within(case, "smoke", larger.first.seconds, case.limits.smoke)


def runs_on_a_gpu(case: FitCase) -> None:
    """The plugin works on a CUDA device, if there is one."""
    if not torch.cuda.is_available():
        raise NotApplicable("there is no CUDA device")
    fitted = case.fit(Change(device="cuda:0"))
    _parts_on(case, fitted.plugin, "cuda")
    require(
        [part.shape for part in fitted.outputs] == [part.shape for part in case.first.outputs],
        f"{case.name}: outputs have another shape on a GPU than on the CPU",
    )


ABOUT_FITS = (
    equal_seeds_give_equal_fits,
    other_seeds_give_other_fits,
    state_round_trip,
    interrupt_and_resume,
    takes_the_whole_budget,
    uses_nothing_but_the_protocol,
    leaves_global_state_alone,
    opens_no_file,
    picks_no_device,
    tiny_is_quick,
    smoke_is_quick,
    runs_on_a_gpu,
)


def _parts_on(case: FitCase, plugin: Any, device: str) -> None:
    with plugin_code(f"{case.name}: parts()"):
        parts = plugin.parts()
        tensors = {
            f"{part}.{key}": value
            for part, module in parts.items()
            for key, value in (*module.named_parameters(), *module.named_buffers())
        }
    elsewhere = [key for key, value in tensors.items() if value.device.type != device]
    require(
        not elsewhere,
        f"{case.name}: {', '.join(elsewhere[:3])} is not on the task's device ({device}); write module.to(task.device)",
    )


def _within(case: FitCase, preset: str, seconds: float, limit: float) -> str | None:
    message = f"preset {preset} took {seconds:.1f} s, the limit is {limit:g} s on 2 cores; make it smaller"
    require(seconds <= limit * case.limits.failing, f"{case.name}: {message}")
    return message if seconds > limit else None


def _same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return len(one) == len(other) and all(
        a.shape == b.shape and a.dtype == b.dtype and torch.equal(a, b)
        for a, b in zip(one, other, strict=True)
    )
