"""`verify` finds what does not agree in a run directory, and `report` does not make a report of it."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import NewType

import pandas as pd
import pytest
import yaml
from pydantic import BaseModel, create_model
from tests.conftest import TOYS, main_here, read_csv, toy_matrix

from derm_bench.options.base import Options
from derm_bench.plugins import Plugins
from derm_bench.runner.verify import verify
from derm_bench.specs import MetricSpec
from derm_bench.store import file_digest

CELL = "toy-blobs/real-only/toy-centroid/0"


@pytest.fixture(scope="module")
def whole(tmp_path_factory, parsed):
    """A run directory, without its store: tests copy it and change the copy."""
    folder = tmp_path_factory.mktemp("verified")
    (folder / "costs.json").write_text('{"red": 1, "green": 1, "blue": 1}')
    changes = {
        "strategies": ["real-only", {"name": "flipped", "augment": ["hflip"]}],
        "metrics": [{"name": "toy-cost", "costs": "costs.json"}],
    }
    (folder / "matrix.yaml").write_text(yaml.safe_dump(toy_matrix(**changes)))
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.syspath_prepend(str(TOYS))
        patched.setenv("DERM_BENCH_CACHE", str(parsed))
        assert main_here(["run", "matrix.yaml", "--out", "out", "--store", "store"]) == 0
    return folder


@pytest.fixture
def copied(whole, tmp_path):
    return shutil.copytree(whole / "out", tmp_path / "copied")


def edit(path, old: str, new: str, *, sealed: bool) -> None:
    """Replaces a text in a file; `sealed`: also its digest in the manifest."""
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    if sealed:
        seal(path)


def seal(path) -> None:
    """Writes the digest of a file into the manifest."""
    folder = path.parent if path.parent.name != "splits" else path.parent.parent
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][path.relative_to(folder).as_posix()] = file_digest(path)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_run_that_agrees_is_verified_without_store_or_data(copied, in_process):
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    ran = in_process("verify", copied)
    assert ran.code == 0, ran.out + ran.err
    assert "116 scores of 4 rows" in ran.out and "no differences" in ran.out
    assert "4 values of toy-cost" in ran.out, (
        "its option names a file, and files that a manifest names are not read"
    )
    said = json.loads(in_process("verify", copied, "--json").out)
    assert (said["rows"], said["differences"], said["not_recomputed"]) == (4, [], {"values of toy-cost": 4})
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("metric", ["accuracy", "sensitivity_at_0.90", "f1_blue", "ece"])
def test_an_altered_score_is_named_with_both_values(copied, in_process, metric):
    row = read_csv(copied / "results.csv")[0]
    assert row["cell"] == CELL
    frame = pd.read_csv(copied / "results.csv", dtype=str, keep_default_na=False)
    frame.loc[0, metric] = "0.123456"
    frame.to_csv(copied / "results.csv", index=False)
    ran = in_process("verify", copied)
    assert ran.code == 1
    assert "results.csv: differs from its digest" in ran.out
    expected = f"{CELL} on test: {metric} is 0.123456, and its predictions give {float(row[metric]):.12g}"
    assert expected in ran.out.replace("\n", " ")
    assert "summary.csv" in ran.out and f"mean of {metric}" in ran.out, "the mean is not that of these scores"


def test_scores_that_were_sealed_after_they_were_altered_are_found_all_the_same(copied, in_process):
    row = read_csv(copied / "results.csv")[0]
    edit(copied / "results.csv", row["log_loss"], "0.001", sealed=True)
    said = json.loads(in_process("verify", copied, "--json").out)["differences"]
    assert {one["file"] for one in said} == {"results.csv", "summary.csv"}
    (found,) = [one for one in said if one["file"] == "results.csv"]
    assert (found["where"], found["test_set"], found["metric"]) == (CELL, "test", "log_loss")
    assert (found["stated"], found["found"]) == (0.001, pytest.approx(float(row["log_loss"])))


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("summary.csv", ",accuracy,,2,", ",accuracy,,3,", "n_seeds of accuracy is 3, and the tables give 2"),
        ("summary.csv", ",ece,,", ",invented,,", "has a row that does not follow"),
        ("results.csv", CELL, CELL[:-1] + "7", "is not in the plan"),
        ("results.csv", CELL, CELL[:-1] + "1", "has 2 rows"),
        ("results.csv", f"{CELL},", f"{CELL}x,", f"{CELL} on test: has no row"),
        ("results.csv", ",test,done,,", ",test,failed,,", "is 'failed', although predictions.parquet has"),
    ],
)  # fmt: skip
def test_rows_that_do_not_follow_from_the_others_are_found(copied, in_process, file, old, new, said):
    edit(copied / file, old, new, sealed=True)
    ran = in_process("verify", copied)
    assert ran.code == 1 and said in ran.out.replace("\n", " "), ran.out


def test_altered_predictions_and_lost_or_added_files_are_found(copied, in_process):
    frame = pd.read_parquet(copied / "predictions.parquet")
    frame.loc[frame["split"] == "test", ["p_red", "p_blue"]] = frame.loc[
        frame["split"] == "test", ["p_blue", "p_red"]
    ].to_numpy()
    frame.to_parquet(copied / "predictions.parquet")
    (copied / "composition.csv").rename(copied / "samples" / "added.csv")
    ran = in_process("verify", copied)
    assert ran.code == 2 and "composition.csv" in ran.err, "no run directory without its tables"
    shutil.copy(copied / "samples" / "added.csv", copied / "composition.csv")
    (copied / "splits" / "toy-blobs-s0.csv").unlink()
    ran = in_process("verify", copied)
    assert ran.code == 1
    for said in (
        "predictions.parquet: differs from its digest",
        "splits/toy-blobs-s0.csv: is missing",
        "samples/added.csv: has no digest",
        "and its predictions give",
    ):
        assert said in ran.out


def test_scores_of_a_plugin_are_recomputed_where_none_of_its_options_is_a_file(copied, toys):
    class Flat(Options):
        costs: str

    flat = MetricSpec(
        name="toy-cost", summary="share of wrong answers", create="toy_plugins.costs:Flat", options=Flat,
        level="predictions", higher_is_better=False,
    )  # fmt: skip
    plugins = SimpleNamespace(get=lambda kind, name: flat)
    assert verify(copied, plugins).scores == 120
    edit(copied / "results.csv", read_csv(copied / "results.csv")[0]["toy-cost"] + "\n", "0.5\n", sealed=True)
    assert {one.metric for one in verify(copied, plugins).differences} == {"toy-cost"}


def as_if_written(copied, change) -> list[str]:
    """What `verify` finds after a change of predictions.parquet that its digest in the manifest follows."""
    path = copied / "predictions.parquet"
    frame = pd.read_parquet(path)
    mine = (frame["cell"] == CELL) & (frame["split"] == "test")
    frame.loc[mine, "image_id"] = change(frame.loc[mine, "image_id"].tolist())
    frame.to_parquet(path)
    seal(path)
    found = verify(copied, Plugins(builtins_only=True)).differences
    return [f"{one.where}: {one.message}" for one in found if one.file == path.name]


def test_predictions_are_of_different_images(copied):
    assert as_if_written(copied, lambda ids: [ids[0]] * len(ids)) == [f"{CELL}: an image was predicted twice"]


def test_predictions_are_of_images_of_the_test_part(copied):
    split = pd.read_csv(copied / "splits/toy-blobs-s0.csv", dtype=str)
    train = split.loc[split["split"] == "train", "image_id"].tolist()
    (said,) = as_if_written(copied, lambda ids: train[: len(ids)])
    assert said == f"{CELL}: the image '{train[0]}' is not in the test part of the split"


def test_labels_of_predictions_are_those_of_the_split(copied):
    (said,) = as_if_written(copied, lambda ids: ids[1:] + ids[:1])
    assert "has the label" in said and "in the split" in said


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: text.replace("train", "test", 1), "no file is the split of toy-blobs with seed 0"),
        (lambda text: "", "no file is the split"),
    ],
)
def test_splits_are_those_that_were_planned(copied, change, said):
    path = copied / "splits/toy-blobs-s0.csv"
    path.write_text(change(path.read_text()))
    seal(path)
    found = verify(copied, Plugins(builtins_only=True)).differences
    assert [one.file for one in found] == ["splits"] and said in found[0].message


@pytest.mark.parametrize(
    "content", [b"", b"image_id,group,label,split\n", b"\xff\n\xff", b"a\n" + b"x" * 200_000, b"a,b\n1,2\n"]
)
def test_a_planned_file_that_is_no_split_is_named(copied, content):
    path = copied / "splits/toy-blobs-s0.csv"
    path.write_bytes(content)
    manifest = json.loads((copied / "manifest.json").read_text())
    old = manifest["splits"]["toy-blobs/0"]
    text = json.dumps(manifest).replace(old, file_digest(path))
    (copied / "manifest.json").write_text(text)
    found = verify(copied, Plugins(builtins_only=True)).differences
    assert [one.file for one in found] == ["splits/toy-blobs-s0.csv"] and "is no split" in found[0].message


class InnerCosts(BaseModel):
    file: Path | None = None


Hidden = NewType("Hidden", Path)


@pytest.mark.parametrize("annotation", [Path, InnerCosts, Hidden, list[Hidden], dict[str, InnerCosts]])
def test_a_file_among_the_options_of_a_metric_is_not_read_wherever_it_stands(copied, tmp_path, annotation):
    secret = tmp_path / "secret"
    secret.write_text("{}")
    raw = {
        InnerCosts: {"file": str(secret)},
        list[Hidden]: [str(secret)],
        dict[str, InnerCosts]: {"a": {"file": str(secret)}},
    }.get(annotation, str(secret))
    options = create_model("Options", __base__=Options, costs=(annotation, ...))
    spec = MetricSpec(
        name="toy-cost", summary="reads a file", create="toy_plugins.costs:Flat", options=options,
        level="predictions", higher_is_better=False,
    )  # fmt: skip
    manifest = json.loads((copied / "manifest.json").read_text())
    use = next(use for use in manifest["matrix"]["metrics"] if use["name"] == "toy-cost")
    use["options"] = {"costs": raw}
    (copied / "manifest.json").write_text(json.dumps(manifest))
    found = verify(copied, SimpleNamespace(get=lambda kind, name: spec))
    assert found.not_recomputed["values of toy-cost"] == 4


@pytest.mark.parametrize(
    "name", ["../secret", "/etc/passwd", "samples/../../secret", "a/b", "samples/..", "x\0"]
)
def test_files_outside_of_the_directory_are_not_read(copied, in_process, tmp_path, name):
    (tmp_path / "secret").write_text("password")
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["files"][name] = "0" * 64
    (copied / "manifest.json").write_text(json.dumps(manifest))
    for command in ("verify", "report"):
        ran = in_process(command, copied)
        assert ran.code == 2 and "none of a run directory" in ran.err


def test_links_and_other_folders_are_refused(copied, in_process, tmp_path):
    (copied / "results.csv").rename(tmp_path / "elsewhere.csv")
    (copied / "results.csv").symlink_to(tmp_path / "elsewhere.csv")
    ran = in_process("verify", copied)
    assert ran.code == 2 and "links are not followed" in ran.err
    (tmp_path / "empty").mkdir()
    assert in_process("verify", tmp_path / "empty").code == 2
    assert in_process("verify", tmp_path / "nowhere").code == 2


# ----------------------------------------------------------------------------------- report


def test_a_report_is_made_from_the_directory_alone(copied, in_process):
    (copied / "report.html").unlink()
    tables = {path.name: path.read_bytes() for path in copied.glob("*.csv")}
    ran = in_process("report", copied)
    assert ran.code == 0, ran.err
    assert {path.name: path.read_bytes() for path in copied.glob("*.csv")} == tables
    assert (copied / "report.html").stat().st_size > 1000
    assert in_process("verify", copied).code == 0


@pytest.mark.parametrize(
    "name", ["results.csv", "predictions.parquet", "report.html", "splits/toy-blobs-s0.csv"]
)
def test_no_report_is_made_of_files_that_differ_even_if_the_store_has_others(
    copied, whole, in_process, monkeypatch, name
):
    monkeypatch.setenv("DERM_BENCH_STORE", str(whole / "store"))
    with (copied / name).open("ab") as file:
        file.write(b" ")
    before = {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()}
    ran = in_process("report", copied)
    assert ran.code == 1
    assert f"{copied / name} differs from its digest" in ran.err and "Nothing was written" in ran.err
    assert {path: path.read_bytes() for path in copied.rglob("*") if path.is_file()} == before


def test_a_removed_file_is_made_again_from_the_store_that_has_it(copied, whole, in_process, monkeypatch):
    (copied / "predictions.parquet").unlink()
    ran = in_process("report", copied)
    assert ran.code == 0 and "predictions.parquet is missing" in ran.err
    monkeypatch.setenv("DERM_BENCH_STORE", str(whole / "store"))
    ran = in_process("report", copied)
    assert ran.code == 0 and "rebuilt from the store" in ran.err
    assert (copied / "predictions.parquet").read_bytes() == (whole / "out/predictions.parquet").read_bytes()
