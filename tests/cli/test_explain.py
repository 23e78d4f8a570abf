"""`derm-bench explain` names the input that changed."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from tests.conftest import TOYS

CELL = "toy-blobs/mean-balance/toy-centroid/0"
# Commands one after the other in one process; code of plugins is read once in each.
MAIN = """
import json, sys
from derm_bench.cli import main
from derm_bench.runner import run
run.draw = lambda *_: None
for words in json.loads(sys.argv[1]):
    try:
        main(words)
    except SystemExit as end:
        assert not end.code, words
    print("\\0", end="", flush=True)
"""


@pytest.fixture
def plugins(tmp_path):
    """A copy of the toy plugins, to edit: the classifier's helper lies in a module of its own."""
    shutil.copytree(TOYS, tmp_path / "plugins")
    nets = tmp_path / "plugins/toy_plugins/nets.py"
    nets.write_text(nets.read_text().replace("import torch\n", "import torch\n\nfrom . import pace\n", 1))
    (tmp_path / "plugins/toy_plugins/pace.py").write_text('"""How fast."""\n\nSTEP = 0.3\n')
    return tmp_path / "plugins/toy_plugins"


@pytest.fixture
def told(plugins, write_matrix, tmp_path):
    """What the commands of one process print about one matrix: for `explain --json`, stages of the cell by kind (the
    last of each)."""
    matrix = write_matrix(seeds=[0])
    path = os.pathsep.join(filter(None, [str(plugins.parent), os.environ.get("PYTHONPATH")]))

    def call(*commands):
        lines = [[words[0], str(matrix), *words[1:]] for words in commands]
        done = subprocess.run(
            [sys.executable, "-c", MAIN, json.dumps(lines)],
            capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"PYTHONPATH": path}, timeout=200,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        printed = done.stdout.split("\0")[:-1]
        return [
            {stage["kind"]: stage for stage in json.loads(text)["stages"]} if words[0] == "explain" else text
            for words, text in zip(commands, printed, strict=True)
        ]

    return call


def test_the_input_that_changed_is_named(told, plugins):
    explain = ("explain", CELL, "--json")
    first, _, same, lr, seed, threads, split = told(
        explain,
        ("run", "--out", "out", "--executor", "inline"),
        explain,
        ("explain", "*/mean*/0", "--set", "classifiers.0.lr=0.5", "--json"),
        ("explain", CELL[:-1] + "7", "--set", "seeds=[7]", "--json"),
        (*explain, "--set", "numerics.threads=1"),
        (*explain, "--set", "dataset.split.seed=5"),
    )
    assert {stage["why"] for stage in first.values()} == {"never made"}
    assert {stage["status"] for stage in same.values()} == {"hit"}

    # An option of the classifier: what comes before it hits.
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
    assert seed["decode"]["status"] == "hit"
    assert seed["fit"]["differs"] == ["seed changed"]
    assert seed["train"]["differs"][0] == "seed changed"
    assert "mean-balance seed 0" in seed["train"]["nearest"]

    # Threads change everything that computes with them.
    assert threads["decode"]["status"] == "hit"
    assert threads["fit"]["differs"] == ["numerics.threads 2 -> 1"]

    # The split.
    assert split["decode"]["status"] == "hit"
    assert "split changed" in split["train"]["differs"]

    # A docstring and a comment are no change; code in a helper module is.
    helper = plugins / "pace.py"
    helper.write_text('"""How fast it goes."""\n\nSTEP = 0.3  # of the way\n')
    (commented,) = told(explain)
    assert {stage["status"] for stage in commented.values()} == {"hit"}
    helper.write_text('"""How fast."""\n\nSTEP = 0.4\n')
    code, ran = told(explain, ("run", "--out", "out", "--executor", "inline"))
    assert code["decode"]["status"] == "hit"
    assert code["fit"]["differs"] == ["code of plugin toy-mean changed: toy_plugins.pace"]
    assert code["train"]["differs"][0] == "code of plugin toy-centroid changed: toy_plugins.pace"
    assert "3 done" in ran

    # Package data are named too; a new version whose code is the same is no change.
    info = plugins.parent / "toy_plugins-1.0.dist-info/METADATA"
    info.write_text(info.read_text().replace("Version: 1.0", "Version: 1.1"))
    (bumped,) = told(explain)
    assert {stage["status"] for stage in bumped.values()} == {"hit"}
    (plugins / "palette.json").write_text("{}")
    (data,) = told(explain)
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
