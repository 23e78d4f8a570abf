"""`derm-bench explain` names the input that changed."""

import json
import shutil
import sys

import pytest
from tests.conftest import TOYS

from derm_bench.plan import distributions
from derm_bench.plan.closure import forget_source, root_of
from derm_bench.plan.keys import forget_plugins

CELL = "toy-blobs/mean-balance/toy-centroid/0"


def forget():
    """What was read of source is read again, as in a new process."""
    forget_source()
    forget_plugins()
    for cached in (
        root_of,
        distributions.distribution_of,
        distributions.versions_of,
        distributions.in_development,
        distributions._owners,
        distributions._installed,
    ):
        cached.cache_clear()


@pytest.fixture
def plugins(in_process, tmp_path, monkeypatch):
    """A copy of the toy plugins, to edit, followed by `forget`: the classifier's helper lies in a module of its own."""
    shutil.copytree(TOYS, tmp_path / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    nets = tmp_path / "plugins/toy_plugins/nets.py"
    nets.write_text(nets.read_text().replace("import torch\n", "import torch\n\nfrom . import pace\n", 1))
    (tmp_path / "plugins/toy_plugins/pace.py").write_text('"""How fast."""\n\nSTEP = 0.3\n')
    for name in [name for name in sys.modules if name.partition(".")[0] == "toy_plugins"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(str(tmp_path / "plugins"))
    forget()
    yield tmp_path / "plugins/toy_plugins"
    monkeypatch.undo()
    forget()


@pytest.fixture
def told(plugins, in_process, write_matrix):
    """What a command prints about one matrix: for `explain --json`, stages of the cell by kind (the last of each)."""
    matrix = write_matrix(seeds=[0])

    def call(command, *words):
        ran = in_process(command, matrix, *words)
        assert ran.code == 0, ran.err
        return (
            {stage["kind"]: stage for stage in json.loads(ran.out)["stages"]}
            if command == "explain"
            else ran.out
        )

    return call


def test_the_input_that_changed_is_named(told, plugins):
    explain = ("explain", CELL, "--json")
    assert {stage["why"] for stage in told(*explain).values()} == {"never made"}
    told("run", "--out", "out")
    assert {stage["status"] for stage in told(*explain).values()} == {"hit"}

    # An option of the classifier: what comes before it hits.
    lr = told("explain", "*/mean*/0", "--set", "classifiers.0.lr=0.5", "--json")
    assert {kind for kind, stage in lr.items() if stage["status"] == "hit"} == {
        "decode",
        "audit",
        "audit-gate",
        "fit",
        "health",
        "sample",
    }
    assert lr["train"]["differs"] == ["options.lr: 0.001 -> 0.5"]
    assert "options.lr: 0.001 -> 0.5" in lr["evaluate"]["differs"]
    assert f"upstream '{lr['train']['title']}' changed" in lr["evaluate"]["differs"]

    # Another seed is compared with the same cell under the old one.
    seed = told("explain", CELL[:-1] + "7", "--set", "seeds=[7]", "--json")
    assert seed["decode"]["status"] == "hit"
    assert seed["fit"]["differs"] == ["seed changed"]
    assert seed["train"]["differs"][0] == "seed changed"
    assert "mean-balance seed 0" in seed["train"]["nearest"]

    # Threads change everything that computes with them.
    threads = told(*explain, "--set", "numerics.threads=1")
    assert threads["decode"]["status"] == "hit"
    assert threads["fit"]["differs"] == ["numerics.threads 2 -> 1"]

    # The split.
    split = told(*explain, "--set", "dataset.split.seed=5")
    assert split["decode"]["status"] == "hit"
    assert "split changed" in split["train"]["differs"]

    # A docstring and a comment are no change, nor is a new version; code in a helper module is.
    helper = plugins / "pace.py"
    helper.write_text('"""How fast it goes."""\n\nSTEP = 0.3  # of the way\n')
    info = plugins.parent / "toy_plugins-1.0.dist-info/METADATA"
    info.write_text(info.read_text().replace("Version: 1.0", "Version: 1.1"))
    forget()
    assert {stage["status"] for stage in told(*explain).values()} == {"hit"}
    helper.write_text('"""How fast."""\n\nSTEP = 0.4\n')
    forget()
    code = told(*explain)
    assert code["decode"]["status"] == "hit"
    assert code["fit"]["differs"] == ["code of plugin toy-mean changed: toy_plugins.pace"]
    assert code["train"]["differs"][0] == "code of plugin toy-centroid changed: toy_plugins.pace"
    for name in [name for name in sys.modules if name.partition(".")[0] == "toy_plugins"]:
        del sys.modules[name]  # as in a new process, which imports the new code
    assert "3 done" in told("run", "--out", "out")

    # Package data are named too.
    (plugins / "palette.json").write_text("{}")
    forget()
    data = told(*explain)
    assert data["fit"]["differs"][0] == "code of plugin toy-mean changed: toy_plugins/palette.json (new)"


def test_what_failed_before_says_so(in_process, write_matrix):
    matrix = write_matrix(
        seeds=[0],
        strategies=[{"name": "real-only"}],
        classifiers=[{"name": "toy-centroid", "trouble": "raise"}],
    )
    assert in_process("run", matrix, "--out", "out").code == 1
    ran = in_process("explain", matrix, "*")
    assert ran.code == 0, ran.err
    assert "hit   decode toy-blobs" in ran.out
    assert "miss  train toy-centroid on real-only seed 0: failed before" in ran.out
    assert "failed: RuntimeError: no idea" in ran.out
    assert "evaluate toy-centroid on real-only seed 0: never made" in ran.out


def test_a_cell_that_is_not_there_is_refused_with_the_nearest(in_process, write_matrix):
    matrix = write_matrix()
    ran = in_process("explain", matrix, CELL.replace("centroid", "centriod"))
    assert ran.code == 2
    assert f"did you mean '{CELL}'?" in ran.err
    several = in_process("explain", matrix, "*/0")
    assert several.code == 2
    assert "3 cells match" in several.err and CELL in several.err
