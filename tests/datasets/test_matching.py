"""Image files below folders, and their match to the ids of a table: what is found, set aside, and refused."""

import shutil

import numpy as np
import pytest
from PIL import Image

from derm_bench.errors import UserError
from derm_bench_plugins.datasets import image_search
from derm_bench_plugins.datasets.image_search import find_images
from derm_bench_plugins.datasets.matching import match_images
from derm_bench_plugins.datasets.specs.shared import AllowsMissing
from derm_bench_plugins.datasets.tables import open_table


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("DERM_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))


def put(path, colour=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), colour, np.uint8)).save(path)


def tree(root, *names):
    for k, name in enumerate(names):
        put(root / name, k)
    return root


def names(found):
    return [found.name(path) for path in found.paths]


def noted(notes):
    return {note.text.removeprefix("set aside: "): list(note.names) for note in notes}


def matched(root, ids, folders=None, **options):
    file = root / "table.csv"
    file.write_text("image\n" + "\n".join(ids) + "\n")
    rows = open_table(file).read(["image"])
    found = find_images(root, folders)
    return match_images(rows, "image", found, AllowsMissing(**options), source="the moon", used=[file]), found


# --------------------------------------------------------------------------------------- the search


def test_folders_of_programs_and_hidden_files_are_set_aside_and_listed(tmp_path):
    root = tree(
        tmp_path,
        "a/1.png",
        "a/._1.png",
        "__MACOSX/a/1.png",
        "a/@eaDir/1.png",
        ".cache2/x.png",
        "Thumbs/x.png",
    )
    (root / "a" / "notes.txt").write_text("")
    (root / "a" / "Thumbs.db").write_text("")
    (root / "a" / "2.HEIC").write_text("")
    found = find_images(root)
    assert names(found) == ["a/1.png"]
    assert noted(found.notes()) == {
        image_search.HIDDEN: [".cache2", "a/._1.png"],
        image_search.PROGRAMS: ["Thumbs", "__MACOSX", "a/@eaDir"],
        image_search.OTHER: ["a/notes.txt"],
        image_search.UNSUPPORTED: ["a/2.HEIC"],
    }


@pytest.mark.parametrize("copy", ["x (1).png", "x(2).png", "x - Copy.png", "x copy.PNG"])
def test_a_copy_with_the_same_bytes_is_set_aside_and_another_image_is_not(tmp_path, copy):
    root = tree(tmp_path, "x.png", "y (1).png")
    shutil.copy(root / "x.png", root / copy)
    found = find_images(root)
    assert names(found) == ["x.png", "y (1).png"]
    assert noted(found.notes())[image_search.COPIES] == [copy]
    put(root / copy, 200)
    assert len(find_images(root).paths) == 3


def test_links_are_followed_and_recorded_and_never_in_a_circle(tmp_path):
    tree(tmp_path / "pool", "p.png", "more/q.png")
    root = tree(tmp_path / "root", "a.png")
    (root / "linked.png").symlink_to(tmp_path / "pool" / "p.png")
    (root / "folder").symlink_to(tmp_path / "pool")
    (root / "circle").symlink_to(root)
    (root / "self.png").symlink_to(root / "self.png")
    (root / "gone.png").symlink_to(tmp_path / "nowhere.png")
    found = find_images(root)
    assert names(found) == ["a.png", "folder/more/q.png", "folder/p.png", "linked.png"]
    assert sorted(found.broken) == ["gone.png", "self.png"]
    assert noted(found.notes())[image_search.AGAIN] == ["circle"]
    assert noted(found.notes())["links that were followed"] == ["circle", "folder", "linked.png"]


def test_a_folder_keeps_its_own_name_if_a_link_leads_to_it(tmp_path):
    root = tree(tmp_path, "z/1.png")
    (root / "a").symlink_to(root / "z")
    assert names(find_images(root)) == ["z/1.png"]


def test_several_folders_are_searched_as_one(tmp_path):
    root = tree(tmp_path, "part_1/a.png", "part_2/b.png", "other/c.png", "part_1/deep/d.png")
    places = [root / "part_1", root / "part_2", root / "part_1" / "deep"]
    assert names(find_images(root, places)) == ["part_1/a.png", "part_1/deep/d.png", "part_2/b.png"]
    assert names(find_images(root, places[:2], deep=False)) == ["part_1/a.png", "part_2/b.png"]


# --------------------------------------------------------------------------------------- the match


@pytest.mark.parametrize(
    "ids",
    [
        ("a", "b"),
        ("a.png", "b.JPG"),
        ("a.PNG", "b.jpg"),
        ("one/a.png", "two/b"),
        (".\\one\\a", "root/two/b.jpg"),
        ("a.jpg", "b.png"),
    ],
)
def test_ids_with_and_without_suffix_or_folder(tmp_path, ids):
    root = tree(tmp_path / "root", "one/a.png", "two/b.JPG")
    match, found = matched(root, ids)
    assert [found.name(match.paths[k]) for k in match.rows] == ["one/a.png", "two/b.JPG"]
    assert match.notes == []


def test_a_name_with_dots_is_not_taken_for_a_suffix(tmp_path):
    match, found = matched(tree(tmp_path, "a.1.png", "a.2.png"), ["a.2", "a.1"])
    assert [found.name(match.paths[k]) for k in match.rows] == ["a.2.png", "a.1.png"]


def test_doubled_folders_with_equal_files_count_once(tmp_path):
    root = tree(tmp_path, "imgs_part_1/a.png", "imgs_part_1/b.png")
    shutil.copytree(root / "imgs_part_1", root / "imgs_part_1" / "imgs_part_1")
    match, found = matched(root, ["a", "b"])
    assert [found.name(path) for path in match.paths.values()] == ["imgs_part_1/a.png", "imgs_part_1/b.png"]
    (note,) = match.notes
    assert "equal files" in note.text
    assert note.sentence().endswith("(2): imgs_part_1/imgs_part_1/a.png, imgs_part_1/imgs_part_1/b.png")


def test_one_id_of_two_different_images_is_refused(tmp_path):
    root = tree(tmp_path, "1/a.png", "2/a.png")
    with pytest.raises(
        UserError, match=r"csv:2: 'a' may be one of several files that differ: 1/a.png, 2/a.png"
    ):
        matched(root, ["a"])
    match, _ = matched(root, ["1/a", "2/a"])
    assert len(match.rows) == 2


def test_rows_without_an_image_need_an_allowance(tmp_path):
    root, ids = tree(tmp_path, "a.png", "b.png", "c.png"), ["a", "x", "b", "c"]
    with pytest.raises(UserError, match=r"1 rows of table.csv without an image, of 4: x") as error:
        matched(root, ids)
    assert "missing: 0.25" in error.value.hint and "partial: true" in error.value.hint
    assert "the moon" in error.value.hint
    with pytest.raises(UserError):
        matched(root, ids, missing=0.2)
    for options in ({"missing": 0.25}, {"partial": True}):
        match, _ = matched(root, ids, **options)
        assert match.rows == [0, 2, 3]
        assert noted(match.notes) == {"rows of table.csv without an image": ["x"]}


def test_images_without_a_row_need_the_same_allowance(tmp_path):
    root = tree(tmp_path, "a.png", "b.png", "c.png", "d.png")
    for options in ({}, {"partial": True}, {"missing": 0.2}):
        with pytest.raises(UserError, match=r"1 images without a row in table.csv, of 4: d.png"):
            matched(root, ["a", "b", "c"], **options)
    match, _ = matched(root, ["a", "b", "c"], missing=0.25)
    assert noted(match.notes) == {"images without a row in table.csv": ["d.png"]}


def test_a_link_that_leads_nowhere_needs_the_allowance_too(tmp_path):
    root = tree(tmp_path, "a.png")
    (root / "b.png").symlink_to(root / "none")
    with pytest.raises(UserError, match="1 links that lead nowhere"):
        matched(root, ["a"])


def test_images_of_another_data_set_are_recognised(tmp_path):
    with pytest.raises(UserError, match="2 rows") as error:
        matched(tree(tmp_path, "IMG_1.png"), ["ISIC_7", "ISIC_8"])
    assert "the table names 'ISIC_7', and the files are named like 'IMG_1'" in error.value.hint
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no images in") as error:
        matched(tmp_path / "empty", ["a"])
    assert "the moon" in error.value.hint


def test_two_rows_of_one_image_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"csv:3: column 'image': 'a.png' and 'a' stand for one image"):
        matched(tree(tmp_path, "a.png"), ["a", "a.png"])
