"""Execution: what is tried again, what is not, and what other runs finish."""

import socket
from dataclasses import dataclass, field, make_dataclass
from urllib.error import URLError

import pytest
from safetensors import SafetensorError

from derm_bench.errors import UserError
from derm_bench.executors.base import Event, Job
from derm_bench.machine import Machine
from derm_bench.matrix.model import Matrix
from derm_bench.plan.model import Plan, Stage
from derm_bench.plugins import Plugins
from derm_bench.runner.execute import REVIVALS, Execution
from derm_bench.runner.progress import PlainProgress
from derm_bench.store import Store
from derm_bench.store.locks import stage_lock
from derm_bench.worker.perform import failure_fields, perform

CPU = Machine("cpu", ("cpu",), "fp32", 2)

Params = make_dataclass("Params", ["updates", "options"])


def stage(key: str, *inputs: str, cost: int = 1, after: tuple[str, ...] = (), optional: str = "") -> Stage:
    """A training of so many updates; `optional` names what it reads whatever became of it."""
    params = Params(updates=cost, options={})
    read = {name: name for name in optional.split()}
    shared = {"kind": "train", "title": key}
    return Stage(key, "train", key, params, {name: name for name in inputs}, shared, {}, after, read)


@dataclass
class Scripted:
    """An executor whose stages end as a script says: title -> statuses, one per attempt; then `done`."""

    script: dict[str, list[str]] = field(default_factory=dict)
    slots: int = 2
    device: str = "cpu"
    began: list[str] = field(default_factory=list)
    beside: dict[str, list[set[str]]] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    running: list[str] = field(default_factory=list)

    def free(self) -> int:
        return self.slots - len(self.running)

    def submit(self, job: Job) -> None:
        title = job.stage.title
        self.began.append(title)
        self.beside.setdefault(title, []).append(set(self.running))
        self.jobs[title] = job
        self.running.append(title)

    def poll(self, timeout: float) -> list[Event]:
        if not self.running:
            return []
        title = self.running.pop(0)
        left = self.script.get(title, [])
        status = left.pop(0) if left else "done"
        error = None if status == "done" else {"message": f"{title} {status}"}
        record = {"status": status, "seconds": 0.1, "device": self.device, "error": error}
        return [Event("finished", self.jobs[title].key, record)]

    def stop(self) -> list[Event]:
        return []


@pytest.fixture
def execution(tmp_path):
    """Runs stages through a scripted executor, all or the `targets`, and returns the execution."""

    def run(executor: Scripted, *stages: Stage, targets: list[str] | None = None, observer=None, **options):
        store = Store(tmp_path / "store")
        store.prepare()
        matrix = Matrix.model_construct(name="m")
        made = Execution(Plan(matrix, CPU, stages={s.key: s for s in stages}), store, **options)
        made.run(executor, targets or [s.key for s in stages], observer or PlainProgress(quiet=True))
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


def test_the_observer_is_told_of_every_stage_that_will_not_start(execution):
    told = []
    observer = PlainProgress(quiet=True)
    observer.skipped = lambda stage: told.append(stage.title)
    stages = [stage("a"), stage("b", "a"), stage("c", "b"), stage("d", after=("a",)), stage("e")]
    execution(Scripted({"a": ["failed"]}), *stages, observer=observer)
    assert sorted(told) == ["b", "c", "d"]


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
    job = {"store": str(store.root), "key": "k1", "kind": "train", "title": "t"}
    plugins = Plugins(builtins_only=True)
    with stage_lock(store.root, "k1") as ours:
        assert ours
        assert perform(job, "cpu", plugins, lambda _: None)["status"] == "busy"
    staged = store.stage()
    store.publish("k1", staged, identity={}, result={}, attempt={})
    assert perform(job, "cpu", plugins, lambda _: None)["status"] == "found"


# ------------------------------------------------------------------------------------- after


def test_a_stage_starts_when_its_guard_has_ended_well(execution):
    executor = Scripted(slots=1)
    done = execution(executor, stage("data"), stage("fit", "data", cost=9, after=("audit",)), stage("audit"))
    assert executor.began.index("audit") < executor.began.index("fit")
    assert statuses(done) == dict.fromkeys(("data", "audit", "fit"), "done")


def test_a_guard_is_run_for_those_that_it_guards(execution):
    done = execution(Scripted(), stage("audit"), stage("fit", after=("audit",)), targets=["fit"])
    assert statuses(done) == {"audit": "done", "fit": "done"}


def test_what_a_failed_guard_guards_is_skipped_and_names_it(execution):
    executor = Scripted({"audit": ["failed"]})
    stages = stage("audit"), stage("fit", after=("audit",)), stage("sample", "fit")
    done = execution(executor, *stages)
    assert statuses(done) == {"audit": "failed", "fit": "skipped", "sample": "skipped"}
    assert executor.began == ["audit"]
    for key in ("fit", "sample"):
        assert done.outcomes[key].error == "needs 'audit', which ended as failed: audit failed"
        assert done.outcomes[key].cause == "audit"
    again = execution(Scripted(), *stages)
    assert statuses(again) == statuses(done), "it failed before, and nobody asked to try again"
    assert "--retry-failed" in again.outcomes["sample"].error


# ---------------------------------------------------------------------------------- optional


def test_what_reads_a_stage_optionally_runs_after_it_whatever_became_of_it(execution):
    executor = Scripted({"a": ["failed"]}, slots=1)
    done = execution(executor, stage("table", optional="a b", cost=9), stage("a"), stage("b"))
    assert executor.began == ["a", "b", "table"]
    assert statuses(done) == {"a": "failed", "b": "done", "table": "done"}
    assert executor.jobs["table"].optional == {
        "a": {"key": "a", "status": "failed", "error": "a failed"},
        "b": {"key": "b", "status": "done", "error": ""},
    }


def test_it_has_the_planned_key_where_all_are_done_and_another_one_where_some_are_not(execution):
    def key(script, *more):
        """The key that the stage runs under; the attempt is recorded there."""
        executor = Scripted(script)
        stages = stage("a"), stage("b"), stage("table", optional="a b"), *more
        done = execution(executor, *stages, retry_failed=True)
        made = executor.jobs["table"].key
        assert [record["status"] for record in done.store.records(made)][-1:] == ["done"]
        assert done.actual_keys.get("table", "table") == made
        return made

    all_done, a_failed, again, b_failed, a_timeout = (
        key({}),
        key({"a": ["failed"]}),
        key({"a": ["failed"]}),
        key({"b": ["failed"]}),
        key({"a": ["timeout"]}),
    )
    assert all_done == "table"
    assert a_failed == again
    assert len({all_done, a_failed, b_failed, a_timeout}) == 4


def test_what_is_made_of_such_a_stage_has_another_key_too(execution):
    executor = Scripted({"a": ["failed"]})
    stages = stage("a"), stage("table", optional="a"), stage("figure", "table")
    done = execution(executor, *stages)
    assert statuses(done)["figure"] == "done"
    figure = executor.jobs["figure"]
    assert figure.stage.inputs == figure.stage.identity["inputs"] == {"table": executor.jobs["table"].key}
    assert figure.key != "figure"


def test_an_optional_input_is_not_run_for_those_that_read_it(execution):
    executor = Scripted()
    done = execution(executor, stage("a"), stage("table", optional="a"), targets=["table"])
    assert executor.began == ["table"]
    assert executor.jobs["table"].optional["a"]["status"] == "pending"
    assert statuses(done) == {"table": "done"}


def test_what_ended_so_before_is_not_made_again(execution):
    stages = stage("a"), stage("table", optional="a")
    first = execution(Scripted({"a": ["failed"]}), *stages)
    first.store.publish(
        first.actual_keys["table"], first.store.stage(), identity={}, result={}, attempt={"seconds": 0.1}
    )
    executor = Scripted()
    again = execution(executor, *stages)
    assert executor.began == []
    assert statuses(again) == {"a": "failed", "table": "done"}


# ----------------------------------------------------------------------------------- waiting


def test_what_needs_a_stage_that_waits_for_a_person_is_skipped_with_the_instruction(execution):
    executor = Scripted({"folders": ["waiting"]})
    done = execution(executor, stage("folders"), stage("train", "folders"), stage("other"), max_failures=1)
    assert statuses(done) == {"folders": "waiting", "train": "skipped", "other": "done"}
    assert done.outcomes["train"].error == "waits for a person in 'folders': folders waiting"
    assert [record["status"] for record in done.store.records("folders")] == ["waiting"]


def test_it_is_tried_again_by_the_next_run(execution):
    stages = stage("folders"), stage("train", "folders")
    execution(Scripted({"folders": ["waiting"]}), *stages)
    assert statuses(execution(Scripted(), *stages)) == {"folders": "done", "train": "done"}


# ------------------------------------------------------------------------ what failed before


@pytest.mark.parametrize(
    ("status", "limit", "now", "again"),
    [
        ("timeout", {"timeout": 3.0}, {"timeout": 60.0}, True),
        ("timeout", {"timeout": 3.0}, {}, True),
        ("timeout", {"timeout": 3.0}, {"timeout": 3.0}, False),
        ("timeout", {"timeout": 3.0}, {"timeout": 2.0}, False),
        ("timeout", {"timeout": 3.0, "memory": 10}, {"timeout": 3.0, "memory": 99}, False),
        ("oom", {"memory": 800}, {"memory": 4000}, True),
        ("oom", {}, {"memory": 4000}, False),
        ("failed", {"timeout": 3.0}, {"timeout": 60.0}, False),
    ],
)
def test_what_failed_at_a_limit_is_tried_again_once_the_limit_is_raised(execution, status, limit, now, again):
    stages = stage("fit"), stage("train", "fit")
    execution(Scripted({"fit": [status]}), *stages, limits=limit)
    later = execution(Scripted(), *stages, limits=now)
    assert statuses(later) == (
        {"fit": "done", "train": "done"} if again else {"fit": status, "train": "skipped"}
    )
    assert [one.key for one, _ in later.raised] == ["fit"] * again


def chained(cause: Exception) -> Exception:
    try:
        try:
            raise cause
        except Exception as error:
            raise UserError("timm cannot make resnet18") from error
    except UserError as error:
        return error


class Offline(Exception):
    """As the hub raises it."""

    __module__ = "huggingface_hub.errors"


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (chained(URLError("no route to host")), True),
        (chained(Offline()), True),
        (SafetensorError("header too small"), True),
        (socket.gaierror(-2, "Name or service not known"), True),
        (chained(ValueError("no such tag")), False),
        (FileNotFoundError("x"), False),
    ],
)
def test_what_was_not_to_be_had_is_tried_again_by_the_next_run(execution, error, again):
    fields = failure_fields(error)
    assert fields["status"] == "failed" and fields["retry"] is again
    store = execution(Scripted(), stage("other")).store
    store.append("a", fields)
    assert statuses(execution(Scripted(), stage("a"))) == {"a": "done" if again else "failed"}
