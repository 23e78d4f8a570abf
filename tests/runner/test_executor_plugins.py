"""An executor of somebody else's, through the hook derm_bench_executors, runs a matrix, with options of its own."""

import json

import pytest
from tests.conftest import read_csv

PLUGIN = """
from typing import Literal
from pydantic import Field
from derm_bench import hookimpl
from derm_bench.machine import Machine
from derm_bench.specs import ExecutorSpec, Options
DERM_BENCH_API = 1
class ClusterOptions(Options):
    queue: str = Field("short", description="where jobs wait")
    nodes: int = Field(1, ge=1, description="machines at a time")
    has: Literal["cpu", "cuda"] = Field("cpu", description="what its machines compute on")
def machine(options, wanted):
    return Machine(options.has, (options.has,), "fp32" if wanted.precision == "auto" else wanted.precision, 2)
@hookimpl
def derm_bench_executors():
    return [
        ExecutorSpec(
            name="my-cluster",
            summary="some nodes",
            create="my_cluster_jobs:Cluster",
            options=ClusterOptions,
            machine="my_cluster:machine",
        )
    ]
"""
JOBS = """
import os
from pathlib import Path
from derm_bench.executors.inline import InlineExecutor
class Cluster(InlineExecutor):
    def __init__(self, options, settings):
        super().__init__(options, settings)
        self.options = options
    def submit(self, job):
        with Path(os.environ["MY_CLUSTER_JOBS"]).open("a") as handle:
            handle.write(f"{job.stage.kind} {self.options.queue} {self.options.nodes}\\n")
        super().submit(job)
"""


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """Installs the executor, and gives what it was handed so far: (kind, queue, nodes) of each job."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "my_cluster.py").write_text(PLUGIN)
    (tmp_path / "my_cluster_jobs.py").write_text(JOBS)
    monkeypatch.setenv("MY_CLUSTER_JOBS", str(tmp_path / "jobs.txt"))
    info = tmp_path / "my_cluster-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-cluster\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[derm_bench]\nmy-cluster = my_cluster\n")

    def jobs() -> set[tuple[str, ...]]:
        return {tuple(line.split()) for line in (tmp_path / "jobs.txt").read_text().splitlines()}

    return jobs


@pytest.fixture
def small(write_matrix):
    """A matrix of one cell."""

    def write(**changes):
        return write_matrix(strategies=[{"name": "real-only"}], seeds=[0], **changes)

    return write


def test_stages_run_where_a_plugin_says(in_process, small, tmp_path, cluster):
    ran = in_process("run", small(), "--out", "out", "--executor", "my-cluster")
    assert ran.code == 0, ran.err
    assert [row["status"] for row in read_csv(tmp_path / "out" / "results.csv")] == ["done"]
    assert {"decode", "train", "evaluate"} <= {kind for kind, *_ in cluster()}


def test_a_matrix_names_its_executor_and_sets_its_options(in_process, small, cluster):
    given = {"name": "my-cluster", "queue": "long", "nodes": 3}
    ran = in_process("run", small(executor=given), "--out", "out", "--executor", "my-cluster")
    assert ran.code == 0, ran.err
    assert {(queue, nodes) for _, queue, nodes in cluster()} == {("short", "1")}, "options go with the name"


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--executor-option", "nodes=4"), ("long", "4")),
        (("--executor-option", "nodes=4", "--executor-option", "queue=night"), ("night", "4")),
        (("--set", "executor.queue=night"), ("night", "3")),
    ],
)
def test_executor_options_of_the_command_line_are_laid_over_the_matrixs(
    in_process, small, cluster, flags, expected
):
    matrix = small(executor={"name": "my-cluster", "queue": "long", "nodes": 3})
    ran = in_process("run", matrix, "--out", "out", *flags, inline=False)
    assert ran.code == 0, ran.err
    assert {(queue, nodes) for _, queue, nodes in cluster()} == {expected}


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_wrong_executor_or_option_is_refused_with_the_nearest_right_one(
    in_process, small, cluster, command
):
    for flags, words in (
        (("--executor", "my-clustr"), ["executor.name", "did you mean 'my-cluster'"]),
        (
            ("--executor", "my-cluster", "--executor-option", "quue=x"),
            ["quue", "did you mean 'queue'"],
        ),
        (
            ("--executor", "my-cluster", "--executor-option", "nodes=0"),
            ["executor.nodes", "greater than or equal to 1"],
        ),
        (("--executor", "my-cluster", "--executor-option", "nodes"), ["nodes"]),
    ):
        ran = in_process(command, small(), *flags)
        assert ran.code == 2, ran.err
        assert all(word in ran.err for word in words), ran.err


def test_a_login_node_without_a_gpu_plans_for_workers_that_have_one(in_process, small, cluster):
    matrix = small(executor={"name": "my-cluster", "has": "cuda"})
    planned = json.loads(in_process("plan", matrix, "--json").out)
    assert planned["device"] == "cuda"
    here = json.loads(in_process("plan", matrix, "--json", "--executor", "local", "--device", "cpu").out)
    assert here["device"] == "cpu"

    def keys(plan, kind):
        return {stage["key"] for stage in plan["stages"] if stage["kind"] == kind}

    assert keys(planned, "decode") == keys(here, "decode")
    assert not keys(planned, "train") & keys(here, "train")


@pytest.mark.parametrize("flags", [("--workers", "2"), ("--timeout", "9"), ("--memory", "900")])
def test_inline_refuses_what_it_could_only_ignore(in_process, small, flags):
    ran = in_process("run", small(), "--out", "out", "--executor", "inline", *flags)
    assert ran.code == 2
    assert f"{flags[0].lstrip('-')} has no effect there" in ran.err
