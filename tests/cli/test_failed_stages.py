"""A stage that failed is seen: a row or a warning, and exit code 1, whatever kind of stage it is."""

import json

import pytest
from tests.conftest import read_csv, toy_matrix

from derm_bench.store import Store

SCORED = {
    "seeds": [0],
    "metrics": ["fd_domain"],
    "strategies": [{"name": "scored", "generator": {"name": "toy-mean", "budget": {"updates": 4}}}],
    "classifiers": [],
}


def broken(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    ("function", "title"),
    [
        ("derm_bench.stages.reference:reference", "fit the reference network of toy-blobs"),
        ("derm_bench.stages.grids:grids", "draw samples of"),
        ("derm_bench.stages.health:health", "check the health of"),
        ("derm_bench.stages.statistics:statistics", "compare the arms of toy"),
    ],
)
def test_a_failed_stage_that_no_cell_needs_is_a_warning_and_exit_1(
    in_process, write_matrix, tmp_path, monkeypatch, function, title
):
    scored = "reference" in function
    matrix = write_matrix(**(SCORED if scored else SCORED | {"metrics": []}))
    module, _, name = function.partition(":")
    with monkeypatch.context() as patched:
        patched.setattr(f"{module}.{name}", broken)
        ran = in_process("run", matrix, "--out", "out")
    assert ran.code == 1, ran.err
    assert "warning: '" in ran.err and title in ran.err and "no space left" in ran.err
    said = json.loads((tmp_path / "out/manifest.json").read_text())["warnings"]
    assert any(title in line and "no space left" in line for line in said), said
    if scored:
        rows = read_csv(tmp_path / "out/fidelity.csv")
        assert rows and all((row["metric"], row["value"]) == ("fd_domain", "") for row in rows)
        return
    assert in_process("run", matrix, "--out", "out").code == 0, "a full disk is tried again"
    said = json.loads((tmp_path / "out/manifest.json").read_text())["warnings"]
    assert not any(title in line for line in said), said


def test_a_later_run_that_does_not_try_again_says_so_too(in_process, write_matrix, tmp_path, monkeypatch):
    def collapse(context):
        raise RuntimeError("no reference today")

    matrix = write_matrix(**SCORED)
    with monkeypatch.context() as patched:
        patched.setattr("derm_bench.stages.reference.reference", collapse)
        assert in_process("run", matrix, "--out", "out").code == 1
    later = in_process("run", matrix, "--out", "out")
    assert later.code == 1 and "no reference today" in later.err and "--retry-failed" in later.err
    assert in_process("report", "out", "--store", "store").code == 0
    assert "no reference today" in (tmp_path / "out/report.html").read_text()


def test_a_corrupted_output_is_made_again_even_if_what_was_made_of_it_is_there(
    in_process, write_matrix, tmp_path
):
    """Set aside by `store verify`, or found by the run itself."""
    strategies = [toy_matrix()["strategies"][2]]
    matrix, store = write_matrix(seeds=[0], strategies=strategies), Store(tmp_path / "store")
    assert in_process("run", matrix, "--out", "out").code == 0
    before = (tmp_path / "out/history.csv").read_bytes()
    for kind in ("train", "fit", "health", "evaluate", "decode", "grids"):
        documents = {path: json.loads(path.read_text()) for path in store.root.glob("objects/*/*/stage.json")}
        path = next(path for path, document in documents.items() if document["identity"]["kind"] == kind)
        path.chmod(0o644)
        edited = documents[path] | {"result": {"n_test": 7, "scores": {"accuracy": 1.0}}}
        path.write_text(json.dumps(edited))
        if kind in ("train", "decode"):
            assert in_process("store", "verify").code == 1
        ran = in_process("run", matrix, "--out", "out")
        assert ran.code == 0, ran.err
        assert "1 stages run" in ran.out, kind
        (row,) = read_csv(tmp_path / "out/results.csv")
        assert row["status"] == "done" and row["n_test"] != "7"
        assert (tmp_path / "out/history.csv").read_bytes() == before


@pytest.mark.parametrize("file", ["images.npy", "index.json"])
def test_a_stage_that_fails_because_its_input_is_damaged_goes_on_in_the_next_run(
    in_process, write_matrix, tmp_path, monkeypatch, file
):
    """The run itself hashes no images: the stage that cannot read them does, once it has failed."""
    matrix = write_matrix(seeds=[0], strategies=["real-only"])
    assert in_process("run", matrix, "--out", "out").code == 0
    (path,) = (tmp_path / "store/objects").rglob("images.npy")
    path = path.with_name(file)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:100])
    changed = ("run", matrix, "--out", "lr", "--set", "classifiers.0.lr=0.5")
    ran = in_process(*changed)
    if file == "images.npy":
        (row,) = read_csv(tmp_path / "lr/results.csv")
        assert ran.code == 1 and "inputs are damaged: decode (images.npy changed)" in row["error"]
        ran = in_process(*changed)
    assert ran.code == 0, ran.err


def test_damaged_splits_are_found_by_the_run_and_by_a_worker(in_process, write_matrix, tmp_path):
    matrix = write_matrix(seeds=[0], strategies=["real-only"])
    assert in_process("run", matrix, "--out", "out").code == 0
    (split,) = (tmp_path / "out/splits").iterdir()
    content = split.read_bytes()
    (place,) = (path for path in (tmp_path / "store/data").iterdir() if path.read_bytes() == content)
    place.write_bytes(content.replace(b",test", b",train", 8))
    ran = in_process("run", matrix, "--out", "lr", "--set", "classifiers.0.lr=0.5")
    assert ran.code == 0 and place.read_bytes() == content
    assert len(list((tmp_path / "store/aside").iterdir())) == 1


def test_what_is_not_ours_stays_where_a_run_writes(in_process, write_matrix, tmp_path):
    """A probe of writability takes nothing away, whether the folder is refused or not."""
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/.writable").write_text("years of work")
    assert in_process("run", write_matrix(seeds=[0]), "--out", "theirs").code == 2
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == [".writable"]
    assert (tmp_path / "theirs/.writable").read_text() == "years of work"
    assert in_process("run", write_matrix(seeds=[0], strategies=["real-only"]), "--out", "out").code == 0
    (tmp_path / "out/.writable").write_text("more work")
    assert in_process("run", write_matrix(seeds=[0], strategies=["real-only"]), "--out", "out").code == 0
    assert (tmp_path / "out/.writable").read_text() == "more work"
