"""A selection of a matrix goes into a folder of its own name, and never takes the place of what has finished."""

import json
import string

import pytest
from tests.conftest import read_csv

from derm_bench.coordinates import ClassCoordinates
from derm_bench.errors import UserError
from derm_bench.rundir.planned import RunStages, ScoreStage
from derm_bench.rundir.selection import Selection, refuse_loss

PRESETS = {"smoke": {"budget.updates": 6}, "large": {"seeds": [5]}, "a/b: c": {"budget.updates": 7}}
FLIPPED = {"name": "flipped", "augment": ["hflip"]}
SMALL = {"seeds": [0], "strategies": ["real-only"], "presets": PRESETS}


def cells(folder) -> list[str]:
    return [row["cell"].removeprefix("toy-blobs/") for row in read_csv(folder / "results.csv")]


def test_a_preset_has_a_folder_of_its_own_and_leaves_the_whole_table_alone(
    in_process, write_matrix, tmp_path
):
    matrix = write_matrix(**SMALL)
    assert in_process("run", matrix).code == 0
    whole = (tmp_path / "runs/toy/results.csv").read_bytes()
    planned = in_process("plan", matrix, "--preset", "smoke")
    assert "run directory: runs/toy@smoke" in planned.out
    ran = in_process("run", matrix, "--preset", "smoke")
    assert ran.code == 0 and "runs/toy@smoke/report.html" in ran.out.replace("\n", "")
    assert (tmp_path / "runs/toy/results.csv").read_bytes() == whole
    assert read_csv(tmp_path / "runs/toy@smoke/results.csv")[0]["updates"] == "6"
    assert "toy@smoke" in (tmp_path / "runs/toy@smoke/report.html").read_text()
    assert json.loads((tmp_path / "runs/toy@smoke/manifest.json").read_text())["selection"] == "smoke"
    for command in ("verify", "report", "verify"):
        assert in_process(command, "runs/toy@smoke").code == 0
    assert "toy@smoke" in (tmp_path / "runs/toy@smoke/report.html").read_text()
    again = in_process("run", matrix, "--preset", "smoke")
    assert again.code == 0 and "0 stages run" in again.out
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["toy", "toy@smoke"]


def test_presets_are_combined_by_every_command_that_takes_them(in_process, write_matrix, tmp_path):
    matrix, flags = write_matrix(**SMALL), ("--preset", "smoke", "--preset", "large")
    planned = json.loads(in_process("plan", matrix, *flags, "--json").out)
    assert planned["run_dir"] == "runs/toy@smoke,large"
    assert in_process("run", matrix, *flags).code == 0
    assert (
        json.loads((tmp_path / "runs/toy@smoke,large/manifest.json").read_text())["selection"]
        == "smoke,large"
    )
    (row,) = read_csv(tmp_path / "runs/toy@smoke,large/results.csv")
    assert (row["updates"], row["seed"]) == ("6", "5")
    stages = json.loads(in_process("explain", matrix, "*/5", *flags, "--json").out)["stages"]
    assert {stage["status"] for stage in stages} == {"hit"}
    assert in_process("data", "audit", matrix, *flags).code == 0
    assert in_process("plan", matrix, "--preset", "smoke", "--preset", "larg").code == 2


@pytest.mark.parametrize(
    ("flags", "begins"),
    [
        (["--only", "strategy=real*,seed=0"], "toy@strategy=real_,seed=0-"),
        (["--set", "classifiers.0.lr=0.5"], "toy@lr=0.5-"),
        (["--preset", "smoke", "--set", "seeds.0=3"], "toy@smoke,seeds.0=3-"),
        (["--preset", "smoke", "--preset", "large"], "toy@smoke,large"),
        (["--preset", "smoke", "--preset", "a/b: c"], "toy@smoke,a_b__c-"),
        (["--preset", "a/b: c"], "toy@a_b__c-"),
        (["--set", "dataset={name: toy-blobs, size: 8, images: 120}"], "toy@dataset=_name__toy-blobs"),
    ],
)
def test_the_folder_of_a_selection_can_be_read_and_goes_on(in_process, write_matrix, tmp_path, flags, begins):
    matrix = write_matrix(**SMALL)
    planned = json.loads(in_process("plan", matrix, *flags, "--json").out)["run_dir"]
    assert planned.startswith(f"runs/{begins}")
    name = planned.removeprefix("runs/")
    assert set(name) <= set(string.ascii_letters + string.digits + "@-_.+=,") and len(name.encode()) < 64


def test_names_of_selections_differ_and_are_bounded():
    selections = [
        Selection(),
        Selection(("smoke",)),
        Selection(("",)),  # a preset whose name is empty is not the whole matrix
        Selection(("",), only=("seed=0",)),
        Selection(only=("seed=0",)),
        Selection(sets=("seed=0",)),
        Selection(only=("seed=0,strategy=a",)),
        Selection(only=("seed=0", "strategy=a")),
        Selection(sets=("a=1", "a=2")),
        Selection(sets=("a=2", "a=1")),
        Selection(("x" * 300,)),
        Selection(("x" * 301,)),
        Selection(("é" * 300,)),
        Selection(("..",)),
        Selection(("a b",)),
        Selection(("a_b",)),
        Selection(("paper", "smoke")),
        Selection(("smoke", "paper")),
        Selection(("paper,smoke",)),
        Selection(("paper", "")),
        Selection(("paper", "smoke"), sets=("seed=0",)),
        Selection(("smoke", "paper"), sets=("seed=0",)),
        Selection(sets=("datasets.0.root=/home/me/ham",)),
        Selection(sets=("datasets.0.root=/home/you/ham",)),
    ]
    names = [one.name for one in selections]
    assert len(set(names)) == len(names)
    assert all(len(one.folder("m" * 200).encode()) <= 255 for one in selections)
    assert not any("/" in name or "home" in name for name in names), "no path of this machine"
    assert Selection(only=("a=1", "b=2")).name == Selection(only=("b=2", "a=1", "a=1")).name
    assert names[:2] == ["", "smoke"] and Selection(("paper", "smoke")).name == "paper,smoke"


def test_with_out_what_another_selection_has_finished_is_not_overwritten(in_process, write_matrix, tmp_path):
    matrix = write_matrix(**SMALL)
    assert in_process("run", matrix, "--out", "out").code == 0
    before = (tmp_path / "out/results.csv").read_bytes()
    for flags in (["--preset", "smoke"], ["--set", "classifiers.0.lr=0.5"]):
        refused = in_process("run", matrix, *flags, "--out", "out")
        assert refused.code == 2, refused.err
        for said in ("1 finished row of the whole matrix", "toy-blobs/real-only/toy-centroid/0", "--out"):
            assert said in refused.err
        assert (tmp_path / "out/results.csv").read_bytes() == before


def test_with_out_a_selection_that_keeps_all_finished_rows_goes_on(in_process, write_matrix, tmp_path):
    matrix = write_matrix(strategies=["real-only"])
    assert in_process("run", matrix, "--out", "out", "--only", "seed=1").code == 0
    assert in_process("run", matrix, "--out", "out").code == 0, "the whole matrix has its row, too"
    assert cells(tmp_path / "out") == ["real-only/toy-centroid/0", "real-only/toy-centroid/1"]
    refused = in_process("run", matrix, "--out", "out", "--only", "seed=1")
    assert refused.code == 2 and "1 finished row of the whole matrix" in refused.err


def test_a_run_says_which_finished_rows_the_edited_matrix_does_not_have(in_process, write_matrix):
    assert in_process("run", write_matrix(strategies=["real-only", FLIPPED])).code == 0
    edited = in_process("run", write_matrix(strategies=["real-only"], seeds=[0]), "--json")
    left_out = json.loads(edited.out)["left_out"]
    rows = ("flipped/toy-centroid/0", "flipped/toy-centroid/1", "real-only/toy-centroid/1")
    assert left_out == [f"toy-blobs/{row} on test" for row in rows]
    again = in_process("run", write_matrix(strategies=["real-only"], seeds=[1]))
    for said in (
        "1 finished row of the former tables is not in the new ones",
        "toy-centroid/0 on test",
        "store",
    ):
        assert said in again.err
    assert "finished row" not in in_process("run", write_matrix(strategies=["real-only"], seeds=[1, 0])).err


def test_scores_of_generators_are_not_overwritten_either():
    at = ClassCoordinates("toy-blobs", 1.0, "scored", "toy-mean", 0, 0, "blue")

    def stages(key):
        return RunStages({"name": "toy"}, scores=[ScoreStage(at, None, key * 40, ("fd_domain",))])

    def manifest(statuses):
        plan = {"stages": stages("a").dump(), "statuses": statuses}
        return json.loads(json.dumps({"matrix": {"name": "toy"}, "selection": "smoke", "plan": plan}))

    with pytest.raises(UserError, match=r"'smoke'.*the scores of scored \[blue\] seed 0"):
        refuse_loss("out", manifest({}), "", lambda: stages("b"))
    refuse_loss("out", manifest({}), "", lambda: stages("a"))
    refuse_loss("out", manifest({"a" * 40: {"status": "failed", "error": ""}}), "", lambda: stages("b"))
    assert refuse_loss("out", manifest({}), "smoke", lambda: stages("b")) == []
    without = refuse_loss("out", manifest({}), "smoke", lambda: RunStages({"name": "toy"}))
    assert without == ["the scores of scored [blue] seed 0"]
