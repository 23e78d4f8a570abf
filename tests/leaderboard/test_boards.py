"""A run becomes an entry of a board, which is scored again, ranked and shown."""

import json
import re
import shutil

import pyarrow.parquet as pq
import pytest
from PIL import Image
from tests.conftest import read_csv
from tests.leaderboard.conftest import CLASSES, make_run, make_split

from derm_bench.errors import UserError
from derm_bench.leaderboard.add import add
from derm_bench.leaderboard.build import build
from derm_bench.leaderboard.task import Board, read_board, write_board
from derm_bench.leaderboard.verify import verify_board


def rows_of(board, **wanted):
    rows = read_csv(board / "leaderboard.csv")
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


METADATA = {"exif", "xmp", "icc_profile", "comment"}


def test_a_run_makes_a_board_that_fixes_its_task(made, run):
    board = read_board(made)
    task = board.task
    assert (task.name, task.dataset.name, task.dataset.size, task.classes) == (
        "moles-32", "phantom-dermoscopy", 32, CLASSES,
    )  # fmt: skip
    assert task.splits == {0: make_split().digest} and board.splits[0] == make_split()
    assert (task.protocol, task.protocol_version, task.metric) == ("fair", "2", "balanced_accuracy")
    assert task.dataset.options == {"seed": 0}, "where the data lie is not part of the task"
    (entry,) = (made / "entries").iterdir()
    assert re.fullmatch("moles-study-[0-9a-f]{8}", entry.name)
    assert {path.name for path in entry.iterdir()} == {
        "manifest.json", "results.csv", "fidelity.csv", "predictions.parquet", "samples",
    }  # fmt: skip
    columns = pq.read_schema(entry / "predictions.parquet").names
    assert "sex" not in columns and columns[-3:] == [f"p_{name}" for name in CLASSES]
    (sheet,) = (entry / "samples").iterdir()
    with Image.open(sheet) as image:
        assert image.format == "WEBP" and not image.info.keys() & METADATA, (
            "re-encoded, and nothing but pixels is kept"
        )
    assert json.loads((entry / "manifest.json").read_text())["samples"][0]["strategy"] == "gan"


def test_a_board_that_agrees_is_verified_and_says_what_is_self_reported(board):
    before = {path: path.read_bytes() for path in board.rglob("*") if path.is_file()}
    found = verify_board(board)
    assert (found.entries, found.rows, found.problems) == (1, 9, [])
    assert found.scores == 9 * (16 + 4 * 3 + 1), "all metrics and n_test of each run"
    assert found.self_reported == {"fd_domain": 1}
    assert {path: path.read_bytes() for path in board.rglob("*") if path.is_file()} == before


def test_rows_are_ranked_and_compared_with_the_baseline(board):
    build(board)
    rows = {row["strategy"]: row for row in read_csv(board / "leaderboard.csv")}
    gan, real, flipped = rows["gan"], rows["real-only"], rows["flipped"]
    assert next(iter(rows)) == "gan" and (gan["rank_low"], gan["rank_high"]) == ("1", "1")
    assert real["rank_groups"] == flipped["rank_groups"] != gan["rank_groups"], "a tie is marked"
    assert real["rank_low"] == flipped["rank_low"] == "2" and real["rank_high"] == "3"
    assert gan["verdict"] == "helps" and gan["baseline"].endswith("/real-only/tiny")
    assert flipped["verdict"] == "inconclusive" and real["baseline"] == ""
    assert float(gan["ci_low"]) < float(gan["mean"]) < float(gan["ci_high"])
    assert gan["balanced_accuracy"] == gan["mean"] and gan["self_reported_fd_domain"] == "3.5"
    assert real["self_reported_fd_domain"] == "" and real["self_reported_train_seconds"] == "1.5"


@pytest.mark.slow
def test_the_same_run_is_added_once_and_another_beside_it(board, run, other_run, add_run):
    again = add_run(run, board)
    assert again.existed and len(list((board / "entries").iterdir())) == 1
    added = add_run(other_run, board, by="A. Tester", entry="others")
    assert (added.problems, added.entry, added.new_board) == ([], "others", False)
    build(board)
    (mixup,) = rows_of(board, entry="others", strategy="mixup")
    assert mixup["by"] == "A. Tester" and mixup["baseline"] == "others/real-only/tiny"
    assert len(rows_of(board)) == 5


@pytest.mark.slow
def test_an_entry_without_a_baseline_is_compared_with_that_of_another(board, tmp_path, add_run):
    run = make_run(tmp_path / "run", {"mixup": 4.0}, rng=3)
    assert add_run(run, board, entry="lone").problems == []
    build(board)
    (row,) = rows_of(board, entry="lone")
    assert row["baseline"].startswith("moles-study-") and row["verdict"] == "helps"


def test_incomplete_rows_are_grey_and_neither_ranked_nor_compared(board, tmp_path, add_run):
    failed = ("moles/gan/tiny/1", *(f"moles/broken/tiny/{seed}" for seed in range(3)))
    run = make_run(tmp_path / "run", {"real-only": 0.5, "gan": 2.5, "broken": 0.0}, failed=failed)
    assert add_run(run, board, entry="partial").problems == []
    build(board)
    (gan,), (broken,) = rows_of(board, entry="partial", strategy="gan"), rows_of(board, strategy="broken")
    assert (gan["status"], gan["n_runs"], gan["n_planned"]) == ("incomplete", "2", "3")
    assert gan["rank_low"] == gan["verdict"] == "" and gan["mean"] != ""
    assert (broken["status"], broken["mean"], broken["accuracy"]) == ("failed", "", ""), "and never a zero"
    order = [row["status"] for row in rows_of(board)]
    assert order == sorted(order, key=["complete", "incomplete", "failed"].index)
    page = (board / "index.html").read_text()
    assert '<tr class="incomplete"' in page and '<tr class="failed"' in page and "the loss is NaN" in page


@pytest.mark.slow
def test_an_entry_covers_every_split_of_the_board(tmp_path, add_run):
    both = make_run(tmp_path / "both", {"real-only": 0.5}, seeds=(0,), splits=(0, 3))
    assert add_run(both, tmp_path / "board").problems == []
    assert list(read_board(tmp_path / "board").task.splits) == [0, 3]
    one = make_run(tmp_path / "one", {"real-only": 0.5}, seeds=(0,), splits=(0,))
    (problem,) = add_run(one, tmp_path / "board").problems
    assert "covers 1 of the 2 splits" in problem and "seeds 3" in problem
    more = make_run(tmp_path / "more", {"real-only": 0.5}, seeds=(0,), splits=(0, 3, 6))
    added = add_run(more, tmp_path / "board", entry="more")
    assert added.problems == [] and added.left_out == ["splits of the seeds 6, which the board does not have"]
    assert {row["split_seed"] for row in read_csv(tmp_path / "board/entries/more/results.csv")} == {"0", "3"}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"protocol_version": "1"}, "`protocol_version` is 2 here and 1 there"),
        ({"protocol": {"name": "paper", "allow": ["ungrouped_split"]}}, "boards take runs under 'fair' alone"),
        ({"size": 64}, "`dataset.size` is 32 here and 64 there"),
        ({"options": {"seed": 5}}, "`dataset.options.seed` is 0 here and 5 there"),
    ],
)  # fmt: skip
def test_a_run_of_another_task_is_refused(board, run, tmp_path, add_run, changes, said):
    copied = shutil.copytree(run, tmp_path / "copied")
    manifest = json.loads((copied / "manifest.json").read_text())
    for key, value in changes.items():
        place = manifest["matrix"]["datasets"][0] if key in ("size", "options") else manifest["matrix"]
        (manifest if key == "protocol_version" else place)[key] = value
    (copied / "manifest.json").write_text(json.dumps(manifest))
    before = sorted((board / "entries").iterdir())
    assert any(said in problem for problem in add_run(copied, board).problems)
    assert sorted((board / "entries").iterdir()) == before and not list(board.glob(".adding-*"))


def test_a_run_that_does_not_agree_with_itself_makes_no_board(run, tmp_path, add_run):
    copied = shutil.copytree(run, tmp_path / "copied")
    text = (copied / "results.csv").read_text()
    (copied / "results.csv").write_text(text.replace(",100,", ",200,"))
    assert "differs from its digest" in add_run(copied, tmp_path / "board").problems[0]
    assert not (tmp_path / "board").exists()


def test_samples_are_passed_on_only_where_the_licence_lets_them(tmp_path, add_run):
    terms = {"datasets": {"moles": {"licence": "CC BY-NC 4.0"}}}
    run = make_run(tmp_path / "run", {"gan": 4.0}, seeds=(0,), changes=terms)
    added = add_run(run, tmp_path / "quiet")
    assert (
        "samples" in added.left_out[0] and not (tmp_path / "quiet/entries" / added.entry / "samples").exists()
    )
    added = add_run(run, tmp_path / "asked", samples=True)
    assert len(list((tmp_path / "asked/entries" / added.entry / "samples").iterdir())) == 1


def test_the_page_is_one_file_that_escapes_what_entries_say(made):
    page = (made / "index.html").read_text()
    assert "default-src 'none'" in page and "sha256-" in page
    assert not re.search(r"(src|href)=\"(?!data:|#)", page), "nothing is fetched"
    assert page.count("<template id=") == 3 and "Confusion matrix" in page
    assert "data:image/webp;base64," in page and "derm-bench run matrix.yaml" in page
    assert "not results that were invented" in page
    text = (made / "README.md").read_text()
    assert "| rank | strategy |" in text and "moles-study" in text


def test_images_that_cleaning_drops_are_no_part_of_the_task(run, plugins, tmp_path):
    split = make_split()
    dropped = (split.ids[split.indices("test")[0]], split.ids[split.indices("val")[0]])
    cleaned = make_run(tmp_path / "cleaned", dropped=dropped, clean={"duplicates": "keep", "blurred": 40.0})
    assert add(cleaned, tmp_path / "board", plugins).problems == []
    assert build(tmp_path / "board").problems == []
    board = read_board(tmp_path / "board")
    assert board.task.set_aside == tuple(sorted(dropped))
    listed = len(split.indices("test"))
    assert f"**Test images**: {listed - 1} of {listed} (" in (tmp_path / "board/README.md").read_text()
    (problem,) = add(run, tmp_path / "board", plugins).problems
    assert "`set_aside` is" in problem and dropped[0] in problem, (
        "a run that predicts them is of another task"
    )
    kept = make_run(tmp_path / "kept", dropped=dropped, clean={"duplicates": "keep", "blurred": None})
    problems = add(kept, tmp_path / "new", plugins).problems
    assert problems and all("have no prediction" in problem for problem in problems)


def test_a_board_that_could_not_be_read_again_is_refused_before_it_is_written(made, tmp_path):
    board = read_board(made)
    task = board.task.model_copy(update={"set_aside": tuple(f"{k:0100d}" for k in range(11_000))})
    with pytest.raises(UserError, match="11,000 images of validation and test are set aside"):
        write_board(Board(tmp_path / "long", task, board.splits))
    assert not (tmp_path / "long").exists()
