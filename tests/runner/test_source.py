"""What a worker runs is what the key says: source that is edited during a run fails its stages, in words."""

import importlib
import os
import shutil
import subprocess
import sys
import time

import pytest
from tests.conftest import TOYS, WITHOUT_FIGURES, read_csv

from derm_bench.plan.book import BENEATH
from derm_bench.plan.closure import forget_source, source_closure
from derm_bench.plugins import Plugins
from derm_bench.worker.source import SourceChanged, SourceCheck

PLUGINS = Plugins(builtins_only=True)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A stage function in a package of its own that imports a helper when it runs; the folder, and its job."""
    name = f"edited_{tmp_path.name}".replace("-", "_").replace("[", "_").replace("]", "_")
    folder = tmp_path / name
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "helper.py").write_text("RATE = 1\n")
    (folder / "stage.py").write_text(
        f"def run(context):\n    from {name} import helper\n    return helper.RATE\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    time.sleep(0.02)  # change times of files are as coarse as the clock of the kernel
    function = f"{name}.stage:run"
    forget_source()
    digest = source_closure(function, *BENEATH).digest
    return folder, {"function": function, "identity": {"code": {"stage": digest, "plugins": []}}}


def edit(path, text) -> None:
    path.write_text(text)
    time.sleep(0.02)


@pytest.mark.parametrize("file", ["stage.py", "helper.py"])
def test_edited_source_is_refused_until_it_is_taken_back(package, file):
    (folder, job), check = package, SourceCheck()
    check.check(job, PLUGINS)
    before = (folder / file).read_text()
    edit(folder / file, before + "# a comment\n")
    check.check(job, PLUGINS)
    edit(folder / file, before + "MORE = 2\n")
    for one in (check, SourceCheck()):
        with pytest.raises(SourceChanged, match=r"the source of edited_\w+\.stage changed while the run was"):
            one.check(job, PLUGINS)
    edit(folder / file, before)
    check.check(job, PLUGINS)


def test_edited_package_data_are_refused_until_they_are_taken_back(package):
    folder, job = package
    data = folder / "data.json"
    edit(data, "{}")
    forget_source()
    job["identity"]["code"]["stage"] = source_closure(job["function"], *BENEATH).digest
    check = SourceCheck()
    check.check(job, PLUGINS)
    edit(data, "[]")
    for one in (check, SourceCheck()):
        with pytest.raises(SourceChanged):
            one.check(job, PLUGINS)
    edit(data, "{}")
    check.check(job, PLUGINS)


def test_a_worker_that_imported_source_before_it_was_edited_and_taken_back_is_stale(package):
    folder, job = package
    check = SourceCheck(since=time.time())
    importlib.import_module(f"{folder.name}.helper")
    check.check(job, PLUGINS)
    assert not check.is_stale(job)
    edit(folder / "helper.py", "RATE = 2\n")
    edit(folder / "helper.py", "RATE = 1\n")
    check.check(job, PLUGINS)
    assert check.is_stale(job)
    replaced = SourceCheck(since=time.time())
    replaced.check(job, PLUGINS)
    assert not replaced.is_stale(job)


def test_source_that_was_edited_before_the_stage_imported_it_is_refused(package):
    (folder, job), check = package, SourceCheck()
    check.check(job, PLUGINS)
    with pytest.raises(SourceChanged, match=rf"{folder.name}\.helper"), check.watching(job):
        edit(folder / "helper.py", "RATE = 2\n")
        importlib.import_module(f"{folder.name}.helper")
    again = SourceCheck()
    edit(folder / "helper.py", "RATE = 1\n")
    again.check(job, PLUGINS)
    with again.watching(job):  # it is imported already
        edit(folder / "helper.py", "RATE = 3\n")


EDITING = """
from pathlib import Path
from derm_bench.runner import run
import os
make = run.make_executor
def make_then_edit(plugins, options):
    if "EDIT" in os.environ:
        path = Path(os.environ["EDIT"])
        path.write_text(path.read_text() + "\\nEDITED = True\\n")
    return make(plugins, options)
run.make_executor = make_then_edit
from derm_bench.cli import main; main()
"""


def test_a_plugin_that_is_edited_during_a_run_fails_its_stages_and_nothing_is_kept(
    in_process, write_matrix, tmp_path
):
    shutil.copytree(TOYS, tmp_path / "toys")
    nets = tmp_path / "toys/toy_plugins/nets.py"
    paths = os.pathsep.join([str(tmp_path / "toys"), os.environ.get("PYTHONPATH", "")])
    matrix = write_matrix(seeds=[0], strategies=["real-only"])
    command = [sys.executable, "-c", WITHOUT_FIGURES + EDITING, "run", str(matrix), "--out", "out"]
    env = os.environ | {"PYTHONPATH": paths, "EDIT": str(nets)}
    ran = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=100)
    assert ran.returncode == 1, ran.stderr
    (row,) = read_csv(tmp_path / "out/results.csv")
    assert row["status"] == "failed"
    assert "the source of 'toy-centroid' changed while the run was going on" in row["error"]
    assert "start it again" in row["error"]
    again = in_process("run", matrix, "--out", "out")  # with the source as it was
    assert again.code == 0, again.err
