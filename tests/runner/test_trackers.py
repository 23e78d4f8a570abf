"""Trackers and lifecycle hooks: they hear the whole run, and whatever they do, the run is as it was without them."""

import json
import subprocess
import sys
import types
from collections import Counter

import pytest
from tests.conftest import read_csv

from derm_bench.errors import UserError
from derm_bench.plugins import Plugins
from derm_bench.runner.lifecycle import Lifecycle
from derm_bench_plugins.trackers import scores

PLUGIN = """
from pathlib import Path
from derm_bench import hookimpl
DERM_BENCH_API = 1
def note(text):
    with Path({path!r}).open("a") as handle:
        handle.write(text + "\\n")
@hookimpl
def derm_bench_run_start(stages):
    note(f"start {{stages}}")
@hookimpl
def derm_bench_log(step, values):
    note("log")
@hookimpl
def derm_bench_stage_finish(record):
    note(f"{{record['kind']}} {{record['status']}}")
@hookimpl
def derm_bench_run_finish(statuses):
    note(f"finish {{statuses['done']}}")
"""


def install(folder, module: str, text: str) -> None:
    """Writes a distribution with one entry module into a folder on the path."""
    (folder / f"{module}.py").write_text(text)
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[derm_bench]\n{module} = {module}\n")


def diary(tmp_path) -> list:
    return [json.loads(line) for line in (tmp_path / "diary.jsonl").read_text().splitlines()]


@pytest.fixture(autouse=True)
def _imported_anew():
    """No tracker module outlives a test: some are imported with a stand-in for their package."""
    yield
    for name in ("tensorboard", "mlflow"):
        sys.modules.pop(f"derm_bench_plugins.trackers.{name}", None)


@pytest.fixture
def run(in_process, write_matrix, tmp_path):
    """Runs one arm of the toy matrix with these trackers."""
    strategies = [
        {
            "name": "mean-balance",
            "generator": {"name": "toy-mean", "budget": {"updates": 4}},
            "synthetic": {"balance": True},
        }
    ]

    def call(*trackers: str):
        flags = [word for tracker in trackers for word in ("--tracker", tracker)]
        path = write_matrix(strategies=strategies, seeds=[0])
        return in_process("run", path, "--out", tmp_path / "out", *flags, figures=True)

    return call


def test_a_tracker_hears_the_whole_run_in_order(run, tmp_path):
    assert run(f"toy-diary={tmp_path / 'diary.jsonl'}").code == 0
    heard = diary(tmp_path)
    hooks = [hook for hook, _ in heard]
    assert (hooks[0], hooks[-1]) == ("run_start", "run_finish")
    assert Counter(hooks)["run_start"] == Counter(hooks)["run_finish"] == 1
    assert heard[-1][1]["statuses"] == {"done": 1}
    assert {"results.csv", "summary.csv"} <= set(heard[-1][1]["tables"])

    finished = {facts["key"]: facts for hook, facts in heard if hook == "stage_finish"}
    assert {facts["kind"] for facts in finished.values()} >= {"decode", "fit", "sample", "train", "evaluate"}
    logged = [facts for hook, facts in heard if hook == "log"]
    assert {facts["stage"].split()[0] for facts in logged} == {"fit", "train"}
    assert all(facts["values"] and finished[facts["key"]]["title"] == facts["stage"] for facts in logged)


def test_a_plugin_with_lifecycle_hooks_needs_no_flag(run, tmp_path, monkeypatch):
    """derm_bench_run_start, derm_bench_log, derm_bench_stage_finish and derm_bench_run_finish, in an entry module."""
    monkeypatch.syspath_prepend(str(tmp_path))
    install(tmp_path, "watcher", PLUGIN.format(path=str(tmp_path / "notes.txt")))
    assert run().code == 0
    notes = (tmp_path / "notes.txt").read_text().splitlines()
    assert notes[0].startswith("start ") and notes[-1] == "finish 1"
    assert {"log", "train done", "evaluate done"} <= set(notes)


def test_a_failing_tracker_costs_a_warning_and_nothing_else(run, tmp_path):
    ran = run("toy-broken=x", f"toy-diary={tmp_path / 'diary.jsonl'}")
    assert ran.code == 0
    assert ran.err.count("warning: tracker toy-broken failed") == 1
    assert "the server has gone away" in ran.err and "Traceback" not in ran.err
    assert diary(tmp_path)[-1][0] == "run_finish"
    assert [row["status"] for row in read_csv(tmp_path / "out" / "results.csv")] == ["done"]


def test_a_hanging_tracker_is_left_behind(toys, tmp_path):
    said = []
    plugins = Plugins()
    with plugins.tracking(["toy-hanging=x", f"toy-diary={tmp_path / 'diary.jsonl'}"]):
        told = Lifecycle(plugins, said.append)
        told.run_start("m", tmp_path, 3)
        told.run_finish("m", tmp_path, {})
        told.close(grace=1.0)
    assert [hook for hook, _ in diary(tmp_path)] == ["run_start", "run_finish"]
    assert len(said) == 1 and "tracker toy-hanging is still busy" in said[0]


def test_trackers_are_gone_after_the_run(toys, tmp_path):
    plugins = Plugins()
    before = [name for name, _ in plugins.listeners(["derm_bench_log"])]
    with plugins.tracking(["toy-diary=x"]):
        assert "tracker toy-diary" in [name for name, _ in plugins.listeners(["derm_bench_log"])]
    assert [name for name, _ in plugins.listeners(["derm_bench_log"])] == before


@pytest.mark.parametrize(
    ("trackers", "said"),
    [
        (["tensorbord"], "did you mean 'tensorboard'"),
        (["toy-diary=a", "toy-diary=b"], "is given twice"),
        (["toy-unable=here"], "cannot start: PermissionError: no key for here"),
    ],
)
def test_a_tracker_that_cannot_be_had_is_an_error_before_anything_runs(run, tmp_path, trackers, said):
    ran = run(*trackers)
    assert ran.code == 2 and said in ran.err
    assert not (tmp_path / "out").exists() and not (tmp_path / "store").exists()


@pytest.mark.parametrize(("name", "package"), [("tensorboard", "tensorboard.summary"), ("mlflow", "mlflow")])
def test_a_tracker_without_its_package_says_what_to_install(name, package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with (
        pytest.raises(UserError, match=rf"pip install 'derm-bench\[{name}\]'"),
        Plugins().tracking([name]),
    ):
        pass


@pytest.mark.parametrize(
    ("value", "said"),
    [("['a']", "DERM_BENCH_TRACKERS is list"), ("{'a': 'm.A'}", "expected 'package.module:Class'")],
)
def test_wrong_trackers_break_only_their_plugin(tmp_path, monkeypatch, value, said):
    monkeypatch.syspath_prepend(str(tmp_path))
    install(tmp_path, f"wrong_{len(value)}", f"DERM_BENCH_API = 1\nDERM_BENCH_TRACKERS = {value}\n")
    plugins = Plugins()
    assert [said in broken.error for broken in plugins.broken] == [True]
    assert "tensorboard" in plugins.trackers()


def test_scores_are_each_mean_once(tmp_path):
    (tmp_path / "summary.csv").write_text(
        "dataset,train_fraction,test_set,strategy,classifier,metric,baseline,mean\n"
        "d,1.0,test,s,c,accuracy,,0.5\nd,1.0,test,s,c,accuracy,real-only,0.5\nd,0.1,,g,,fid,,12.0\nd,1.0,,g,,fid,,\n"
    )
    assert [(s.arm, s.metric, s.mean) for s in scores(tmp_path)] == [
        ("d/s/c", "test/accuracy", 0.5),
        ("d@0.1/g", "fid", 12.0),
    ]


def test_the_tensorboard_tracker_writes_a_run_a_stage_and_a_run_an_arm(run, tmp_path, monkeypatch):
    """With a stand-in for tensorboard's writer: the real one is below."""
    written: dict[str, set[str]] = {}

    class Writer:
        def __init__(self, folder):
            self.tags = written.setdefault(
                folder.removeprefix(str(tmp_path / "out" / "tensorboard") + "/"), set()
            )

        def add_scalar(self, tag, value, step):
            self.tags.add(tag)

        def close(self):
            self.tags.add("closed")

    module = types.ModuleType("tensorboard.summary")
    module.Writer = Writer
    monkeypatch.setitem(sys.modules, "tensorboard", types.ModuleType("tensorboard"))
    monkeypatch.setitem(sys.modules, "tensorboard.summary", module)
    assert run("tensorboard").code == 0
    assert all("closed" in tags for tags in written.values())
    (arm,) = [name for name in written if name.startswith("toy-blobs/")]
    assert "test/balanced_accuracy" in written[arm]
    stages = set(written) - {arm}
    assert stages and all("stage/seconds" in written[name] for name in stages)


def test_event_files_are_what_tensorboard_reads(run, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

    assert run(f"tensorboard={tmp_path / 'events'}").code == 0
    events = EventMultiplexer().AddRunsFromDirectory(str(tmp_path / "events")).Reload()
    tags = {name: set(found["tensors"]) for name, found in events.Runs().items()}
    assert "test/balanced_accuracy" in tags["toy-blobs/mean-balance/toy-centroid"]
    assert any(name.startswith("fit toy-mean") and "stage/seconds" in found for name, found in tags.items())


def test_the_parent_of_a_tracked_run_imports_no_torch(toys, write_matrix, tmp_path):
    pytest.importorskip("tensorboard")
    code = (
        "import sys\nfrom derm_bench.cli import main\ntry:\n    main()\n"
        "finally:\n    print('torch' in sys.modules)\n"
    )
    path = write_matrix(strategies=[{"name": "real-only"}], seeds=[0])
    command = [sys.executable, "-c", code, "run", str(path), "--out", str(tmp_path / "out"), "--json"]
    done = subprocess.run(
        [*command, "--tracker", "tensorboard"], capture_output=True, text=True, timeout=200, cwd=tmp_path
    )
    assert done.stdout.splitlines()[-1] == "False", done.stderr


def test_mlflow_has_a_run_with_scores_and_tables_and_one_a_stage(run, tmp_path):
    pytest.importorskip("mlflow")
    from mlflow import MlflowClient

    place = tmp_path / "tracked"
    assert run(f"mlflow={place}").code == 0
    client = MlflowClient(tracking_uri=f"sqlite:///{place / 'mlflow.db'}")
    runs = client.search_runs([client.get_experiment_by_name("toy").experiment_id])
    (whole,) = [found for found in runs if "mlflow.parentRunId" not in found.data.tags]
    assert whole.info.status == "FINISHED" and whole.data.tags["cells.done"] == "1"
    assert "toy-blobs/mean-balance/toy-centroid/test/balanced_accuracy" in whole.data.metrics
    assert {"results.csv", "report.html"} <= {item.path for item in client.list_artifacts(whole.info.run_id)}
    stages = [found for found in runs if found.data.tags.get("mlflow.parentRunId") == whole.info.run_id]
    assert {found.data.tags["kind"] for found in stages} == {"fit", "train"}
    assert all("seconds" in found.data.metrics for found in stages)
