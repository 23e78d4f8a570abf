"""What a run directory shares holds no path of the machine, and `run --json` has the scores as data."""

import json
from types import SimpleNamespace

import pytest
from tests.conftest import TOYS, read_csv

from derm_bench.runner.execute import Outcome
from derm_bench.runner.shareable import Shareable


def test_no_path_of_the_machine_is_in_a_run_directory_and_json_has_the_scores(
    in_process, write_matrix, tmp_path, monkeypatch
):
    def fails(context):
        raise OSError(f"no weights in {tmp_path / 'elsewhere' / 'weights.pth'}, nor in /opt/some/where.pt")

    monkeypatch.setattr("derm_bench.stages.grids.grids", fails)
    matrix = write_matrix(
        seeds=[0], compare={"baselines": ["flipped"]},
    )  # fmt: skip
    ran = in_process("run", tmp_path / matrix, "--out", "out", "--store", tmp_path / "store", "--json")
    assert ran.code == 1
    said = json.loads(ran.out)
    assert any(remark.startswith("One seed") for remark in said["keep_in_mind"])
    assert any("no weights in" in failure for failure in said["failures"])
    rows = read_csv(tmp_path / "out/summary.csv")
    assert len(said["scores"]) == len(rows)
    for one, row in zip(said["scores"], rows, strict=True):
        assert (one["strategy"], one["metric"], str(one["n_seeds"])) == (
            row["strategy"], row["metric"], row["n_seeds"],
        )  # fmt: skip
        assert one["mean"] == (float(row["mean"]) if row["mean"] else None)
    assert said["paths"]["report.html"] == "out/report.html"
    for file in ("manifest.json", "results.csv", "report.md", "report.html"):
        text = (tmp_path / "out" / file).read_text()
        for folder in (tmp_path, TOYS, "/opt/some"):
            assert str(folder) not in text, (file, folder)
    assert (
        "no weights in elsewhere/weights.pth, nor in .../where.pt" in (tmp_path / "out/report.md").read_text()
    )


@pytest.fixture
def shareable(tmp_path):
    matrix = SimpleNamespace(
        file=tmp_path / "m.yaml",
        model_dump=lambda **_: {"options": [{"root": tmp_path.parent / "my images" / "HAM"}, {"n": 1}]},
    )
    return Shareable(SimpleNamespace(matrix=matrix))


def test_paths_are_relative_to_the_matrix_or_their_last_name(shareable, tmp_path):
    other = tmp_path.parent / "my images" / "HAM"
    assert shareable.path(tmp_path / "a/b.csv") == "a/b.csv"
    assert shareable.path("a/b.csv") == "a/b.csv"
    assert shareable.text(f"cannot read '{other}/x.jpg': damaged") == "cannot read '.../HAM/x.jpg': damaged"
    assert shareable.values({"root": str(other), "label": "/not/a path"}) == {
        "root": ".../HAM",
        "label": "/not/a path",
    }
    words = ["run", str(tmp_path / "m.yaml"), "--out=/big disk/x/y", "/with space/z"]
    assert shareable.words(words) == ["run", "m.yaml", "--out=.../y", ".../z"]


@pytest.mark.parametrize(
    "text",
    [
        "see https://example.org/a/b.pth",
        "real-only/resnet18/0 failed",
        "1/2 of 3/4",
        "~/x/y",
        "../x/y",
        "a link, {out}/blue/0.png",
    ],
)
def test_addresses_names_and_relative_paths_are_kept(shareable, text):
    assert shareable.text(text) == text
    assert shareable.outcomes({"k": Outcome("failed", text)})["k"].error == text


def test_what_to_keep_in_mind_is_said_once_in_the_terminal_and_in_the_report(
    in_process, write_matrix, tmp_path
):
    """An empty quota, and an arm whose class shares changed without a control."""
    toy = {"name": "toy-mean", "budget": {"updates": 4}}
    matrix = write_matrix(
        seeds=[0, 1],
        strategies=[
            {"name": "real-only"},
            {"name": "nothing", "generator": toy, "synthetic": {"balance": 2}},
            {"name": "reds", "generator": toy, "synthetic": {"per_class": {"red": 200}}},
        ],
    )
    ran = in_process("run", matrix, "--out", "out")
    assert ran.code == 0, ran.err
    report = (tmp_path / "out/report.md").read_text()
    for said in (ran.out, report):
        assert said.count("nothing adds no synthetic images") == 1
        assert said.count("the synthetic images of reds change the shares of the classes") == 1
        assert "Keep in mind" in said
