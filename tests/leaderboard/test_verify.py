"""Whatever somebody changes in an entry, `verify` names it; what no entry has is refused before it is read."""

import hashlib
import json
import os
import pickle
import shutil

import pandas as pd
import pytest
from tests.leaderboard.conftest import sealed

from derm_bench.errors import UserError
from derm_bench.leaderboard.build import PAGES, build
from derm_bench.leaderboard.names import check_id
from derm_bench.leaderboard.verify import verify_board

CELL = "moles/gan/tiny/0"


@pytest.fixture
def board(small, tmp_path):
    return shutil.copytree(small, tmp_path / "board")


@pytest.fixture
def entry(board):
    (found,) = (board / "entries").iterdir()
    return found


def change_predictions(entry, change):
    path = entry / "predictions.parquet"
    frame = pd.read_parquet(path)
    frame = change(frame)
    frame.to_parquet(path, index=False)
    sealed(entry)


def change_results(entry, change):
    path = entry / "results.csv"
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    frame = change(frame)
    frame.to_csv(path, index=False)
    sealed(entry)


def put(column, value, where=0):
    def change(frame):
        frame[column] = frame[column].astype(object)
        frame.loc[where, column] = value
        return frame.astype({column: "float64"}) if column.startswith("p_") else frame

    return change


def change_manifest(entry, **changes):
    manifest = json.loads((entry / "manifest.json").read_text())
    (entry / "manifest.json").write_text(json.dumps(manifest | changes))


def only_problem(board, entry):
    found = verify_board(board)
    assert found.problems, "nothing was found"
    assert {problem.entry for problem in found.problems} == {entry.name}
    return found.problems[0]


@pytest.mark.parametrize("metric", ["accuracy", "recall_mel", "sensitivity_at_0.90", "log_loss"])
def test_an_altered_score_is_named_with_both_values(board, entry, metric):
    before = float(pd.read_csv(entry / "results.csv")[metric][0])
    change_results(entry, put(metric, "0.123456"))
    (problem,) = verify_board(board).problems
    assert (problem.file, problem.metric, problem.cell) == ("results.csv", metric, "moles/real-only/tiny/0")
    assert problem.stated == 0.123456 and problem.found == pytest.approx(before)
    assert f"{metric} is 0.123456, and its predictions give {before:.12g}" in str(problem)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda f: f.drop(f.index[f["split"] == "test"][0]), "1 of 96 test images have no prediction"),
        (lambda f: pd.concat([f, f[f["split"] == "test"].iloc[:1]]), "was predicted 2 times"),
        (lambda f: f.drop(f.index[f["split"] == "val"]), "has no predictions of the val images"),
        (lambda f: put("image_id", "image9999", f.index[f["split"] == "test"][0])(f), "is not in the test part"),
        (lambda f: put("label", "bkl", f.index[f["label"] == "nv"][0])(f), "has the label 'bkl', and 'nv' on the"),
        (lambda f: put("predicted", "bkl", f.index[f["predicted"] == "nv"][0])(f), "is predicted as 'bkl'"),
        (put("p_mel", float("nan")), "NaN or infinite"),
        (put("p_mel", 1.7), "sum to 1"),
        (put("p_mel", -0.5), "predicted as"),
        (lambda f: f.assign(cell=f["cell"].replace(CELL, "moles/invented/tiny/0")), "no row in results.csv"),
        (lambda f: f.assign(split=f["split"].replace("val", "train")), "has predictions of train"),
        (lambda f: f.assign(extra=1.0), "its columns are not"),
        (lambda f: pd.concat([f] * 8), "rows, and 2 finished cells have at most"),
    ],
)  # fmt: skip
def test_altered_predictions_are_named(board, entry, change, said):
    change_predictions(entry, change)
    assert said in str(only_problem(board, entry))


def test_a_probability_that_changes_by_little_changes_scores(board, entry):
    def nudge(frame):
        frame.loc[frame["cell"] == CELL, "p_mel"] += 3e-6
        return frame

    change_predictions(entry, nudge)
    found = {problem.metric for problem in verify_board(board).problems}
    assert "brier" in found


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (put("status", "failed"), "has predictions, although it is not done"),
        (put("status", "perfect"), "has the status 'perfect'"),
        (put("protocol", "paper [ungrouped_split]"), "entries of this board have 'fair'"),
        (put("train_fraction", "0.5"), "train_fraction is '0.5'"),
        (put("test_set", "external"), "test_set is 'external'"),
        (put("split_seed", "7"), "is of the split 7"),
        (put("n_test", "12"), "n_test is 12"),
        (put("train_seconds", "-1"), "train_seconds is -1"),
        (put("strategy", "<script>alert(1)</script>"), "has markup in it"),
        (put("generator", "<img src=x>"), "has markup in it"),
        (put("strategy", "x" * 10_000_000), "more than 255 characters"),
        (put("accuracy", "nan"), "accuracy is missing"),
        (put("accuracy", "inf"), "accuracy is missing"),
        (put("accuracy", "very good"), "not of the dtype real"),
        (lambda f: pd.concat([f, f.iloc[:1]]), "has 2 rows of the cell"),
        (lambda f: f.iloc[1:], "no row in results.csv"),
        (lambda f: f.drop(columns="strategy"), "lacks the columns strategy"),
    ],
)  # fmt: skip
def test_altered_rows_are_named(board, entry, change, said):
    change_results(entry, change)
    assert any(said in str(problem) for problem in verify_board(board).problems)


def test_a_failed_run_with_a_score_is_named(board, entry):
    def fail(frame):
        frame.loc[frame["cell"] == CELL, "status"] = "failed"
        return frame

    change_results(entry, fail)
    change_predictions(entry, lambda frame: frame[frame["cell"] != CELL])
    assert "is failed, and has a value of accuracy" in str(only_problem(board, entry))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"protocol_version": "1"}, "has the protocol version '1', and the board '2'"),
        ({"splits": {"0": "0" * 64}}, "has another split of seed 0 than the board"),
        ({"splits": {}}, "does not cover the split of seed 0"),
        ({"id": "../../etc"}, "id"),
        ({"id": "another"}, "is the entry 'another', and its folder is another"),
        ({"by": "<b>me</b>"}, "markup"),
        ({"surprise": 1}, "surprise"),
        ({"samples": [{"file": "../../x.webp", "strategy": "gan", "generator": "", "class": "mel", "seed": 0}]},
         "samples.0.file"),
        ({"samples": []}, "does not list 'samples/000.webp'"),
        ({"files": {}}, "has no digest of"),
    ],
)  # fmt: skip
def test_an_altered_manifest_is_named(board, entry, changes, said):
    change_manifest(entry, **changes)
    assert said in str(only_problem(board, entry))


@pytest.mark.parametrize("name", ["results.csv", "fidelity.csv", "predictions.parquet", "samples/000.webp"])
def test_a_file_that_differs_from_its_digest_is_named(board, entry, name):
    with (entry / name).open("ab") as file:
        file.write(b"\n")
    problem = only_problem(board, entry)
    assert "differs from its digest" in str(problem) and name.split("/")[-1] in str(problem)


def test_files_that_no_entry_has_are_refused_and_never_opened(board, entry, tmp_path):
    class Attack:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "attacked"),)

    (entry / "model.pkl").write_bytes(pickle.dumps(Attack()))
    assert "no entry has a file of this name" in str(only_problem(board, entry))
    (entry / "model.pkl").unlink()
    (entry / "predictions.parquet").write_bytes(pickle.dumps(Attack()))
    sealed(entry)
    assert "not a valid predictions file" in str(only_problem(board, entry))
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize("name", ["results.csv", "manifest.json", "samples/000.webp", "samples"])
def test_links_are_refused(board, entry, tmp_path, name):
    target = tmp_path / "elsewhere"
    shutil.move(entry / name, target)
    (entry / name).symlink_to(target)
    assert "links are not followed" in str(only_problem(board, entry))


def test_a_link_in_place_of_an_entry_and_a_special_file_are_refused(board, entry, tmp_path):
    shutil.move(entry, tmp_path / "moved")
    entry.symlink_to(tmp_path / "moved")
    assert "links are not followed" in str(only_problem(board, entry))
    entry.unlink()
    shutil.move(tmp_path / "moved", entry)
    (entry / "fidelity.csv").unlink()
    os.mkfifo(entry / "fidelity.csv")
    assert "is not a regular file" in str(only_problem(board, entry))


@pytest.mark.parametrize("name", ["results.csv", "manifest.json", "predictions.parquet", "samples/000.webp"])
def test_an_oversized_file_is_refused_before_it_is_read(board, entry, name):
    size = (entry / name).stat().st_size * 10_000
    os.truncate(entry / name, max(size, 600 * 2**20))  # a file with a hole takes no space
    problem = only_problem(board, entry)
    assert "bytes, more than the" in str(problem) and name.split("/")[-1] in str(problem)


@pytest.mark.parametrize("name", ["Up Case", "a..b", "-rf", "x" * 200, "<b>"])
def test_the_folder_of_an_entry_has_a_plain_name(board, entry, name):
    entry.rename(entry.parent / name)
    (problem,) = verify_board(board).problems
    assert "is not an id" in str(problem) and len(str(problem)) < 400


@pytest.mark.parametrize("name", ["../../escaped", "a/b", ".hidden", "a..b"])
def test_an_id_does_not_lead_out_of_the_board(name):
    with pytest.raises(UserError, match="is not an id"):
        check_id(name)


def test_a_board_with_a_wrong_entry_is_not_built(board, entry):
    build(board)
    before = {name: (board / name).read_bytes() for name in PAGES}
    change_results(entry, put("accuracy", "0.999"))
    assert build(board).problems
    assert {name: (board / name).read_bytes() for name in PAGES} == before


def test_a_wrong_task_is_named_with_its_line(board):
    text = (board / "board.yaml").read_text()
    digest = next(line.split(": ")[1] for line in text.splitlines() if line.startswith("  0: "))
    for old, new, said in (
        (digest, hashlib.sha256(b"x").hexdigest(), "differs from its digest"),
        ("metric: balanced_accuracy", "metric: niceness", "no metric that can be computed"),
        ("protocol: fair", "protocol: paper", "'fair'"),
        ("classes:", "klasses:", "classes"),
    ):
        (board / "board.yaml").write_text(text.replace(old, new))
        with pytest.raises(UserError, match=said):
            verify_board(board)
    (board / "board.yaml").write_text(text)
    split = (board / "split.csv").read_text()
    (board / "split.csv").write_text(split.replace(",mel,test", ",nv,test", 1))
    with pytest.raises(UserError, match="differs from its digest"):
        verify_board(board)


def test_formulas_are_no_formulas_in_the_tables(board, entry):
    formula = "=HYPERLINK(0)"

    def rename(frame):
        frame["strategy"] = frame["strategy"].replace("gan", "'" + formula)
        return frame

    change_results(entry, rename)
    assert build(board).problems == []
    assert f"'{formula}" in (board / "leaderboard.csv").read_text()
    assert formula in (board / "index.html").read_text()
