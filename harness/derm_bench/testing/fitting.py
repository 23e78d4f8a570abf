"""Rules that generators and classifiers share, and the fits of a small phantom set that they look at."""

from __future__ import annotations

import time
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
from derm_bench.testing.rules import ConformanceError, Limits, NotApplicable, plugin_code, require, slow
from derm_bench.testing.runs import Interrupted, RecordedRun, Shown
from derm_bench.testing.subject import Subject
from derm_bench.testing.watch import Watch, temporary, warm_up
from derm_bench.training.seeding import seed_everything


@dataclass
class Fitted:
    """A fit that has ended: the plugin, its run, its state and its outputs (one tensor per class, or one)."""

    plugin: Any
    run: RecordedRun
    shown: Shown
    watch: Watch
    state: Mapping[str, torch.Tensor]
    outputs: list[torch.Tensor]
    seconds: float


@dataclass(frozen=True)
class Change:
    """How a fit differs from the first one."""

    seed: int = 0
    device: str = "cpu"
    folder: Path | None = None
    die_at: int | None = None
    val_seed: int = 1


class FitCase:
    """A plugin that is fitted. `size`: side in pixels of the phantoms. Fits are kept, so that rules share them."""

    def __init__(
        self, subject: Subject, *, size: int = 32, limits: Limits | None = None, preset: str = "tiny"
    ) -> None:
        self.subject, self.size, self.limits, self.preset = subject, size, limits or Limits(), preset
        self.name = subject.spec.name
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
        """Side in pixels of the plugin's images."""
        return self.size

    @cached_property
    def first(self) -> Fitted:
        """The `tiny` fit under seed 0."""
        return self.fit(Change())

    @cached_property
    def again(self) -> Fitted:
        """The same once more, from nothing."""
        return self.fit(Change())

    @cached_property
    def repeatable(self) -> bool:
        """Whether the fitted plugin gives equal outputs twice; if not, its outputs say nothing about a fit."""
        return _same(self.outputs(self.first.plugin), self.outputs(self.first.plugin))

    @cached_property
    def deterministic(self) -> bool:
        """Whether two fits under one seed end in the same state."""
        return not self.differences(self.first, self.again)

    def differences(self, one: Fitted, other: Fitted) -> str:
        """Where two fits differ, in words; empty where they do not."""
        keys = sorted(one.state.keys() ^ other.state.keys())
        keys += [k for k in one.state if k in other.state and not _same([one.state[k]], [other.state[k]])]
        words = [f"state {', '.join(keys[:3])}" + (" and more" if len(keys) > 3 else "")] if keys else []
        if self.repeatable and not _same(one.outputs, other.outputs):
            words.append("its outputs")
        return ", ".join(words)

    def task(self, device: str = "cpu") -> Task:
        inputs, parts = self.subject.inputs_for(self.options), self.subject.parts_for(self.options)
        return Task(self.train.classes, self.side, device, inputs, input_parts=parts)

    @property
    def train(self) -> ImageSet:
        raise NotImplementedError

    def make(self, change: Change, watch: Watch) -> Any:
        """A fresh plugin, as a stage makes one: everything is seeded first."""
        task = self.task(change.device)
        seed_everything(change.seed)
        with watch, plugin_code(f"{self.name}: create(options, task)"):
            return create(self.spec, self.options, task)

    def fit(self, change: Change) -> Fitted:
        """Creates and fits the plugin and takes its outputs, while a `Watch` is active. Raises ConformanceError where
        the plugin raises."""
        allowed = [value for _, value in self.options if isinstance(value, Path)]
        watch = Watch(self.subject.package, [*allowed, *([change.folder] if change.folder else [])])
        prepare(change.device, min(THREADS, torch.get_num_threads()))
        began = time.perf_counter()
        plugin = self.make(change, watch)
        run = self.run(plugin, change)
        shown = Shown(run)
        with watch, plugin_code(f"{self.name}: fit()"):
            self.call_fit(plugin, shown, change)
        outputs = self.outputs(plugin, watch)
        seconds = time.perf_counter() - began
        with plugin_code(f"{self.name}: state()"):
            state = {name: value.detach().cpu().clone() for name, value in plugin.state().items()}
        return Fitted(plugin, run, shown, watch, state, outputs, seconds)

    def run(self, plugin: Any, change: Change) -> RecordedRun:
        raise NotImplementedError

    def call_fit(self, plugin: Any, run: Any, change: Change) -> None:
        raise NotImplementedError

    def outputs(self, plugin: Any, watch: Watch | None = None) -> list[torch.Tensor]:
        raise NotImplementedError


# ------------------------------------------------------------------------------------------ rules


def equal_seeds_give_equal_fits(case: FitCase) -> None:
    """Two fits under one seed end in the same state and outputs, bitwise on the CPU."""
    different = case.differences(case.first, case.again)
    require(
        not different,
        f"{case.name}: two fits under one seed differ in {different}; draw from torch's, NumPy's or Python's global "
        "generators (the harness seeds them), or from derm_bench.training.seeding.stream(run.seed, NAME) and no other",
    )


def other_seeds_give_other_fits(case: FitCase) -> None:
    """A fit under another seed ends elsewhere."""
    if not case.first.state:
        raise NotApplicable("it has no state to fit")
    other = case.fit(Change(seed=1))
    require(
        bool(case.differences(case.first, other)),
        f"{case.name}: fits under seeds 0 and 1 are the same; do not seed inside the plugin, and let initial weights "
        "and noise depend on the global generators or on run.seed",
    )


def state_round_trip(case: FitCase) -> None:
    """A new plugin with the state loaded from a file gives the outputs of the fitted one."""
    if not case.repeatable:
        raise NotApplicable("equal requests give other outputs, so that nothing can be compared")
    with (
        temporary() as folder,
        plugin_code(f"{case.name}: state() to a file, load_state() in a fresh plugin"),
    ):
        path = Path(folder) / "state.safetensors"
        save_state(path, case.first.state)
        fresh = case.make(Change(seed=12345), Watch(case.subject.package))
        fresh.load_state(load_state(path))
    outputs = case.outputs(fresh)
    require(
        _same(outputs, case.first.outputs),
        f"{case.name}: after load_state(state()) a fresh plugin gives other outputs; put every tensor that outputs "
        "depend on into state(), buffers too (ModulePlugin does so for all of parts())",
    )


def interrupt_and_resume(case: FitCase) -> str | None:
    """A fit interrupted after a checkpoint and resumed ends bitwise as the uninterrupted one, on the CPU."""
    if not case.first.run.taken:
        raise NotApplicable("it takes no batches, so there is nothing to resume")
    if not case.first.run.checkpointed:
        return (
            "fit() never calls run.checkpoint: an interrupted fit starts from the beginning. End the loop with "
            "run.checkpoint(batch.step, live.state), and before it live.load(run.resume())"
        )
    if not case.deterministic:
        raise NotApplicable("fits under one seed differ, so that nothing can be compared")
    require(case.first.run.budget > 1, f"{case.name}: preset tiny needs 2 updates or more, to be cut in two")
    resumed = interrupted_fit(case, case.first.run.budget // 2)
    different = case.differences(case.first, resumed)
    if case.first.run.history() != resumed.run.history():
        different = ", ".join(filter(None, [different, "the logged curves"]))
    require(
        not different,
        f"{case.name}: a fit that was interrupted and resumed differs from an uninterrupted one in {different}; give "
        "run.checkpoint all that the loop changes (weights, optimizers, schedules, averages, generators, counters), "
        "as TrainingState does, and load it from run.resume() before run.batches",
    )
    return None


def interrupted_fit(case: FitCase, at: int) -> Fitted:
    """A fit that is interrupted after the checkpoint of update `at` and resumed by a new plugin and run."""
    with temporary() as folder:
        try:
            case.fit(Change(folder=Path(folder), die_at=at))
        except Interrupted:
            return case.fit(Change(folder=Path(folder)))
    raise ConformanceError(
        f"{case.name}: the interruption did not end fit(); call run.checkpoint after every update, and let exceptions "
        "that are no Exception pass"
    )


def takes_the_whole_budget(case: FitCase) -> None:
    """A fit that trains takes exactly the number of batches that every arm is given."""
    run = case.first.run
    if not run.taken and (case.subject.kind == "generator" or not case.first.state):
        raise NotApplicable("it takes no batches, and has no state to train")
    require(
        run.taken == run.budget,
        f"{case.name}: fit() took {run.taken} of {run.budget} batches; training data comes only as "
        "`for batch in run.batches(train)`, which stops at the budget: leave the loop no earlier",
    )


def uses_nothing_but_the_protocol(case: FitCase) -> None:
    """Only what derm_bench.run.Run documents is used of `run`: no access to the test set or the harness."""
    touched = sorted(set(case.first.shown.touched))
    require(
        not touched,
        f"{case.name}: fit() uses {', '.join(touched)} of the run; use only what derm_bench.run.Run "
        "documents, so that no plugin can see the test set",
    )


def leaves_global_state_alone(case: FitCase) -> None:
    """No setting of the process is changed, no global generator seeded. Drawing from one is allowed: dropout does."""
    first, imported = case.first.watch, case.importing
    # A library may set its environment once, when it is first used: the plugin is not responsible for that.
    once = {"os.environ", "sys.path"}
    changed = {*imported.changed} - once | {*first.changed} - (once - {*case.again.watch.changed})
    changed |= {*first.seeded, *imported.seeded}
    require(
        not changed,
        f"{case.name}: changes {', '.join(sorted(changed))}, which belongs to the process; "
        "use a torch.Generator of your own (derm_bench.training.seeding.stream) instead of seeding, and leave "
        "settings as they are",
    )


def opens_no_file(case: FitCase) -> None:
    """Data comes from the harness; files named in an option of type Path may be read."""
    if getattr(case.spec, "commands", None):
        raise NotApplicable("its fit runs external programs, which are given files")
    opened = [*case.importing.opened, *case.first.watch.opened]
    require(
        not opened,
        f"{case.name}: opens {'; '.join(sorted(set(opened))[:3])}; a plugin opens no file of its own: take images from "
        "`train`, weights from an option of type Path, and write through run.log, run.snapshot and run.checkpoint",
    )


def picks_no_device(case: FitCase) -> None:
    """All tensors are on task.device."""
    picked = sorted({*case.importing.devices, *case.first.watch.devices})
    require(
        not picked,
        f"{case.name}: picks a device by itself: {'; '.join(picked)}; use task.device and run.device alone",
    )
    _parts_on(case, case.first.plugin, "cpu")


def tiny_is_quick(case: FitCase) -> str | None:
    """Preset tiny is created, fitted and used within 3 s on 2 cores."""
    seconds = min(case.first.seconds, case.again.seconds)
    return _within(case, "tiny", seconds, case.limits.tiny)


@slow
def smoke_is_quick(case: FitCase) -> str | None:
    """Preset smoke is created, fitted and used within 60 s on 2 cores."""
    if "smoke" not in case.spec.presets:
        raise NotApplicable("it has no preset smoke")
    larger = type(case)(case.subject, size=case.size, preset="smoke")
    return _within(case, "smoke", larger.first.seconds, case.limits.smoke)


def runs_on_a_gpu(case: FitCase) -> None:
    """The same works on a CUDA device, if there is one."""
    if not torch.cuda.is_available():
        raise NotApplicable("there is no CUDA device here")
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
