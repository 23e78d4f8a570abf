"""Execution: what is tried again, what is not, and what other runs finish."""

from dataclasses import dataclass, field

import pytest

from derm_bench.executors.base import Event
from derm_bench.machine import Machine
from derm_bench.matrix.model import Matrix
from derm_bench.plan.model import Plan, Stage
from derm_bench.plugins import Plugins
from derm_bench.runner.execute import REVIVALS, Execution
from derm_bench.runner.progress import PlainProgress
from derm_bench.store import Store
from derm_bench.store.locks import stage_lock
from derm_bench.worker.perform import perform

CPU = Machine("cpu", ("cpu",), "fp32", 2)


def stage(key: str, *inputs: str, cost: float = 1.0) -> Stage:
    return Stage(key, "train", "m:f", key, {}, {name: name for name in inputs}, {}, cost=cost)


@dataclass
class Scripted:
    """An executor whose stages end as a script says: key -> statuses, one an attempt; then `done`."""

    script: dict[str, list[str]] = field(default_factory=dict)
    slots: int = 2
    device: str = "cpu"
    began: list[str] = field(default_factory=list)
    beside: dict[str, list[set[str]]] = field(default_factory=dict)
    running: list[str] = field(default_factory=list)

    def free(self) -> int:
        return self.slots - len(self.running)

    def submit(self, stage: Stage) -> None:
        self.began.append(stage.key)
        self.beside.setdefault(stage.key, []).append(set(self.running))
        self.running.append(stage.key)

    def poll(self, timeout: float) -> list[Event]:
        if not self.running:
            return []
        key = self.running.pop(0)
        left = self.script.get(key, [])
        status = left.pop(0) if left else "done"
        error = None if status == "done" else {"message": f"{key} {status}"}
        return [
            Event("finished", key, {"status": status, "seconds": 0.1, "device": self.device, "error": error})
        ]

    def stop(self) -> list[Event]:
        return []


@pytest.fixture
def execution(tmp_path):
    """Runs stages through a scripted executor and returns the execution."""

    def run(executor: Scripted, *stages: Stage, **options) -> Execution:
        store = Store(tmp_path / "store")
        store.prepare()
        matrix = Matrix.model_construct(name="m")
        made = Execution(Plan(matrix, CPU, stages={s.key: s for s in stages}), store, **options)
        made.run(executor, [s.key for s in stages], PlainProgress(quiet=True))
        return made

    return run


def statuses(execution: Execution) -> dict[str, str]:
    return {key: outcome.status for key, outcome in execution.outcomes.items()}


def test_what_needs_a_failed_stage_is_skipped_and_names_it_and_the_rest_goes_on(execution):
    executor = Scripted({"a": ["failed"]})
    done = execution(executor, stage("a"), stage("b", "a"), stage("c", "b"), stage("d"))
    assert statuses(done) == {"a": "failed", "b": "skipped", "c": "skipped", "d": "done"}
    assert done.outcomes["c"].cause == "a"
    assert "needs 'a', which ended as failed: a failed" in done.outcomes["c"].error


def test_what_holds_up_most_starts_first(execution):
    executor = Scripted(slots=1)
    execution(executor, stage("short", cost=2), stage("fit", cost=1), stage("train", "fit", cost=5))
    assert executor.began == ["fit", "train", "short"]


def test_a_stage_whose_worker_was_killed_from_outside_is_taken_up_again(execution):
    executor = Scripted({"a": ["interrupted"]})
    done = execution(executor, stage("a"))
    assert statuses(done) == {"a": "done"}
    assert [record["status"] for record in done.store.records("a")] == ["interrupted", "done"]


def test_but_not_for_ever(execution):
    done = execution(Scripted({"a": ["interrupted"] * 10}), stage("a"))
    assert statuses(done) == {"a": "interrupted"}
    assert len(done.store.records("a")) == REVIVALS + 1


def test_out_of_device_memory_is_tried_once_more_alone(execution):
    executor = Scripted({"a": ["oom"]}, device="cuda:0", slots=3)
    done = execution(executor, stage("a", cost=9), stage("b"), stage("c"))
    assert statuses(done) == {"a": "done", "b": "done", "c": "done"}
    assert executor.beside["a"][0] == set() and executor.beside["a"][-1] == set()
    assert all("a" not in beside for beside in executor.beside["b"][1:] + executor.beside["c"][1:])
    twice = execution(Scripted({"x": ["oom", "oom"]}, device="cuda:0"), stage("x"))
    assert statuses(twice) == {"x": "oom"}


def test_out_of_memory_on_the_cpu_is_not_tried_again(execution):
    executor = Scripted({"a": ["oom"]})
    assert statuses(execution(executor, stage("a"))) == {"a": "oom"}
    assert executor.began == ["a"]


def test_max_failures_starts_nothing_more(execution):
    done = execution(Scripted({"a": ["failed"]}, slots=1), stage("a", cost=9), stage("b"), max_failures=1)
    assert statuses(done) == {"a": "failed", "b": "pending"}


def test_a_stage_that_another_run_is_at_is_waited_for_and_not_recorded(execution):
    executor = Scripted({"a": ["busy", "busy", "found"]})
    done = execution(executor, stage("a"), stage("b", "a"))
    assert statuses(done) == {"a": "done", "b": "done"}
    assert done.store.records("a") == []
    assert not done.outcomes["a"].ran_now


def test_a_locked_stage_is_busy_and_a_finished_one_found(tmp_path):
    store = Store(tmp_path / "store")
    store.prepare()
    job = {"store": str(store.root), "key": "k1", "kind": "train", "title": "t", "function": "m:f"}
    plugins = Plugins(builtins_only=True)
    with stage_lock(store.root, "k1") as ours:
        assert ours
        assert perform(job, "cpu", plugins, lambda _: None)["status"] == "busy"
    staged = store.stage()
    store.publish("k1", staged, identity={}, result={}, attempt={})
    assert perform(job, "cpu", plugins, lambda _: None)["status"] == "found"
