"""Probes stages that the store has no record of: runs a small version of each in a worker and a temporary store.

The first run of a stage warms the worker up; a short and a longer run then separate start-up time from work.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from derm_bench.executors.base import Executor, ExecutorSettings
from derm_bench.forecast.past import Past
from derm_bench.forecast.shrink import ShrunkenPlan, Size
from derm_bench.lazy import load_object
from derm_bench.plan.alike import CostClass, cost_class
from derm_bench.plan.amounts import Amounts
from derm_bench.plan.kinds import kind_of
from derm_bench.plan.model import Plan, Stage
from derm_bench.plugins import Plugins
from derm_bench.runner.execute import Execution
from derm_bench.store import Store

# Time limit of each run of a stage, and the time above which a stage is not run again.
LIMIT_SECONDS = 60.0
SLOW_SECONDS = 10.0
# Intended time of the longer run of a training, and the limits of its number of updates.
LONG_SECONDS, LONG_UPDATES = 5.0, (4, 64)
FEW_IMAGES, MORE_IMAGES = 16, 64
# Generators draw samples in chunks of 128.
FEW_SAMPLES, MORE_SAMPLES = 128, 384


class Probed(NamedTuple):
    """Result of a probe. A stage takes `fixed` + `per_unit` * units seconds; the peak is that with `images` in
    memory."""

    fixed: float
    per_unit: float
    peak_mb: float
    megabytes: float
    images: int

    def seconds(self, units: float | None) -> float:
        return self.fixed + self.per_unit * (units or 0.0)


class Failure(NamedTuple):
    """A stage that could not be probed, and the error."""

    stage: str
    status: str
    error: str


@dataclass
class Probes:
    """Results of probes by cost class, and failures."""

    found: dict[CostClass, Probed] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)


def unknown(plan: Plan, keys: Iterable[str], past: Past) -> dict[CostClass, str]:
    """One stage of each cost class without a record, among `keys`: the one with the fewest inputs. Stages with optional
    inputs are left out, because those inputs exist only after a complete run."""
    chosen: dict[CostClass, str] = {}
    for key in keys:
        stage = plan.stages[key]
        if stage.optional:
            continue
        group = cost_class(stage.identity)
        if past.of_class(group):
            continue
        if group not in chosen or len(stage.inputs) < len(plan.stages[chosen[group]].inputs):
            chosen[group] = key
    return chosen


def probe(
    plan: Plan,
    chosen: Mapping[CostClass, str],
    plugins: Plugins,
    *,
    builtins_only: bool = False,
    say: Callable[[str], None] = lambda line: None,
) -> Probes:
    """Runs small versions of the `chosen` stages. Raises KeyboardInterrupt at Ctrl-C. Writes only to a temporary
    folder."""
    if not chosen:
        return Probes()
    with tempfile.TemporaryDirectory(prefix="derm-bench-probe-", ignore_cleanup_errors=True) as folder:
        store = Store(Path(folder))
        store.prepare()
        limits = plan.matrix.limits
        settings = ExecutorSettings(
            store=store.root,
            machine=plan.machine,
            workers=1,
            timeout=min(LIMIT_SECONDS, limits.timeout or LIMIT_SECONDS),
            memory=limits.memory,
            builtins_only=builtins_only,
            plugin_files=plugins.files,
        )
        executor: Executor = load_object(plugins.get("executor", "local").create)(None, settings)
        try:
            return _Prober(plan, chosen, store, executor, say).probes()
        finally:
            executor.stop()


class _Run(NamedTuple):
    """One small run of a stage."""

    seconds: float
    units: float | None
    peak_mb: float
    megabytes: float
    images: int


class _Prober:
    def __init__(
        self,
        plan: Plan,
        chosen: Mapping[CostClass, str],
        store: Store,
        executor: Executor,
        say: Callable[[str], None],
    ) -> None:
        self.plan, self.chosen, self.store, self.executor, self.say = plan, chosen, store, executor, say
        self.failures: dict[str, Failure] = {}
        self._made: dict[str, Stage] = {}  # the small stages of all rounds so far

    def probes(self) -> Probes:
        """Runs three rounds: a warm-up of all stages, then short and longer runs of those that are quick and
        scalable."""
        keys = list(self.chosen.values())
        self.say(f"probing {len(keys)} different stages, at most {LIMIT_SECONDS:.0f} s per run")
        ready, warm = self._round(keys, Size("warm", FEW_IMAGES, FEW_SAMPLES, {}), {})
        quick = {key for key, run in warm.items() if run.units is not None and run.seconds < SLOW_SECONDS}
        wanted = [key for key in keys if key in quick]
        kept = {
            key: small
            for key, small in ready.items()
            if key not in wanted and not (key in quick and not self.plan.stages[key].inputs)
        }
        size = Size("short", FEW_IMAGES, FEW_SAMPLES, dict.fromkeys(wanted, 2))
        _, short = self._round(wanted, size, kept)
        updates = {key: _long_updates(min(run.seconds / 2, warm[key].seconds)) for key, run in short.items()}
        again = [key for key in wanted if key in short]
        _, long = self._round(again, Size("long", MORE_IMAGES, MORE_SAMPLES, updates), kept)
        found = {
            group: _fitted(short.get(key, warm[key]), long.get(key), warm[key])
            for group, key in self.chosen.items()
            if key in warm
        }
        return Probes(found, list(self.failures.values()))

    def _round(
        self, keys: Collection[str], size: Size, ready: Mapping[str, str]
    ) -> tuple[dict[str, str], dict[str, _Run]]:
        """Runs `keys` in one size. Returns the small stage of each stage, and the results of those that finished."""
        small = ShrunkenPlan(self.plan, size, ready)
        targets = small.add(keys)
        for content in small.plan.data.values():
            self.store.put(content)
        # A small stage may read one of an earlier round.
        small.plan.stages = self._made = self._made | small.plan.stages
        execution = Execution(small.plan, self.store)
        execution.run(self.executor, targets, _ProbeProgress(self.say))
        if execution.interrupted:
            raise KeyboardInterrupt
        for key, outcome in execution.outcomes.items():
            if outcome.status not in ("done", "skipped"):
                title = small.plan.stages[key].title
                self.failures[title] = Failure(title, outcome.status, outcome.error)
        amounts, runs = Amounts(small.plan), {}
        for key, small_key in small.keys.items():
            stage = small.plan.stages.get(small_key)
            if stage is not None and (run := self._measured(stage, amounts)) is not None:
                runs[key] = run
        return small.keys, runs

    def _measured(self, stage: Stage, amounts: Amounts) -> _Run | None:
        finished = self.store.finished(stage.key)
        if finished is None:
            return None
        size = sum((finished.folder / name).stat().st_size for name in finished.files)
        return _Run(
            float(finished.attempt["seconds"]),
            kind_of(stage).units(stage, amounts),
            float(finished.attempt.get("peak_memory_mb") or 0.0),
            size / 2**20,
            int(kind_of(stage).held(stage, amounts) or 0),
        )


def _long_updates(seconds: float) -> int:
    """Number of updates of the longer run, if each takes at most `seconds`."""
    least, most = LONG_UPDATES
    return max(least, min(most, int(LONG_SECONDS / max(seconds, 1e-3))))


def _fitted(short: _Run, long: _Run | None, warm: _Run) -> Probed:
    """Fits a line through two runs, or through the origin if there is only one or if more work did not take longer."""
    last = long or short
    largest = max((short, last, warm), key=lambda run: run.peak_mb)
    found = Probed(last.seconds, 0.0, largest.peak_mb, last.megabytes, largest.images)
    if not last.units or short.units is None:
        return found
    if last.units <= short.units or last.seconds <= short.seconds:
        return found._replace(fixed=0.0, per_unit=last.seconds / last.units)
    per_unit = (last.seconds - short.seconds) / (last.units - short.units)
    return found._replace(fixed=max(0.0, short.seconds - per_unit * short.units), per_unit=per_unit)


class _ProbeProgress:
    """Prints a line when a small stage ends."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.say = say

    def begin(self, total: int, cached: int) -> None:
        pass

    def failed_before(self, failures: Sequence[tuple[Stage, Mapping[str, Any]]]) -> None:
        pass

    def started(self, stage: Stage) -> None:
        pass

    def progressed(self, stage: Stage, payload: Mapping[str, Any]) -> None:
        pass

    def finished(self, stage: Stage, record: Mapping[str, Any]) -> None:
        size = stage.shared["probe"]
        self.say(f"  {stage.title} ({size} probe): {record['status']} in {record['seconds']:.1f} s")

    def skipped(self, stage: Stage) -> None:
        pass

    def end(self) -> None:
        pass
