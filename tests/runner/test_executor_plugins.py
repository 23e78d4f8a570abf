"""An executor of somebody else's, through the hook derm_bench_executors, runs a matrix."""

from tests.conftest import read_csv

PLUGIN = """
from derm_bench import hookimpl
from derm_bench.specs import ExecutorSpec
DERM_BENCH_API = 1
@hookimpl
def derm_bench_executors():
    return [ExecutorSpec(name="my-cluster", summary="one node", create="my_cluster_jobs:Cluster")]
"""
JOBS = """
from pathlib import Path
from derm_bench.executors.inline import InlineExecutor
class Cluster(InlineExecutor):
    def submit(self, stage):
        with Path({path!r}).open("a") as handle:
            handle.write(stage.kind + "\\n")
        super().submit(stage)
"""


def test_stages_run_where_a_plugin_says(in_process, write_matrix, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "my_cluster.py").write_text(PLUGIN)
    (tmp_path / "my_cluster_jobs.py").write_text(JOBS.format(path=str(tmp_path / "jobs.txt")))
    info = tmp_path / "my_cluster-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-cluster\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[derm_bench]\nmy-cluster = my_cluster\n")
    path = write_matrix(strategies=[{"name": "real-only"}], seeds=[0])
    ran = in_process("run", path, "--out", "out", "--executor", "my-cluster")
    assert ran.code == 0, ran.err
    assert [row["status"] for row in read_csv(tmp_path / "out" / "results.csv")] == ["done"]
    assert {"decode", "train", "evaluate"} <= set((tmp_path / "jobs.txt").read_text().split())
