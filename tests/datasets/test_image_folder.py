"""image-folder: layouts, ids, groups, and errors that say which path was tried."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.datasets.trees.folders import described, opened

from derm_bench.errors import UserError
from derm_bench.specs import RawImage, Unreadable
from derm_bench_plugins.datasets import image_search


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("DERM_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))


def put(path, colour=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((20, 30, 3), colour, np.uint8)).save(path)


@pytest.fixture
def root(tmp_path):
    for name in ("nevus/a.png", "nevus/b.JPG", "melanoma/a.png", "melanoma/deep/c.png"):
        put(tmp_path / "root" / name)
    return tmp_path / "root"


def test_class_folders(root):
    found = described(root)
    assert found.classes == ["melanoma", "nevus"]
    assert dict(zip(found.ids, found.labels, strict=True)) == {
        "melanoma/a.png": "melanoma",
        "melanoma/deep/c.png": "melanoma",
        "nevus/a.png": "nevus",
        "nevus/b.JPG": "nevus",
    }
    assert found.given_split is None and found.groups is None


def test_split_folders_give_the_split(tmp_path):
    for name in ("train/x/1.png", "Valid/x/1.png", "test/x/1.png", "test/y/2.png", "train/y/3.png"):
        put(tmp_path / name)
    found = described(tmp_path)
    assert len(set(found.ids)) == 5
    assert dict(zip(found.ids, found.given_split, strict=True))["Valid/x/1.png"] == "val"
    assert found.classes == ["x", "y"]


def test_classes_may_be_called_train_and_test_if_that_is_stated(tmp_path):
    put(tmp_path / "train" / "1.png")
    put(tmp_path / "test" / "1.png")
    with pytest.raises(UserError, match="named after splits, but have no class folders"):
        described(tmp_path)
    assert described(tmp_path, splits={}).classes == ["test", "train"]


def test_hidden_and_other_files_are_not_images(root):
    put(root / ".thumbs" / "t.png")
    put(root / "nevus" / ".hidden.png")
    (root / "nevus" / "notes.txt").write_text("x")
    assert len(described(root).ids) == 4


@pytest.mark.parametrize(
    "spelling",
    [("nevus/a.png", "melanoma/a.png"), ("nevus/a", "./melanoma/a"), ("nevus\\a.png", "melanoma/a.png")],
)
def test_groups_by_path(root, spelling):
    (root / "groups.csv").write_text(f"image,group\n{spelling[0]},p1\n{spelling[1]},p2\nc.png,p2\nb,\n")
    found = described(root)
    groups = dict(zip(found.ids, found.groups, strict=True))
    assert groups["nevus/a.png"] == "p1"
    assert groups["melanoma/a.png"] == groups["melanoma/deep/c.png"] == "p2"
    assert groups["nevus/b.JPG"] not in ("p1", "p2", "")


def test_groups_elsewhere(root, tmp_path):
    file = tmp_path / "g.csv"
    file.write_text("group,image\np,nevus/a.png\np,nevus/b.JPG\nq,melanoma/a.png\nq,c\n")
    assert set(described(root, groups=file).groups) == {"p", "q"}
    with pytest.raises(UserError, match=str(tmp_path / "no.csv")):
        described(root, groups=tmp_path / "no.csv")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("image,group\na.png,p1\n", "is ambiguous: melanoma/a.png, nevus/a.png"),
        ("image,group\nnevus/a.png,p1\n", "3 images have no row in groups.csv, of 4"),
        ("image,group\nb,p1\nb,p2\n", "two groups"),
        ("picture,group\nb,p1\n", "no column 'image'"),
        ("image,group\nb\n", "1 values"),
    ],
)
def test_unclear_groups_are_errors(root, text, message):
    (root / "groups.csv").write_text(text)
    with pytest.raises(UserError, match=message):
        described(root)


def test_a_missing_root_is_named_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=str(tmp_path / "nowhere")):
        described("nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file"):
        described(tmp_path / "file")


def test_no_class_and_an_empty_class_are_errors(tmp_path, root):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no class folders"):
        described(tmp_path / "empty")
    (root / "keratosis").mkdir()
    with pytest.raises(UserError, match="'keratosis' has no images"):
        described(root)


def test_split_and_class_folders_do_not_mix(root):
    put(root / "train" / "nevus" / "z.png")
    with pytest.raises(UserError, match="both split folders"):
        described(root)


def test_read_keeps_the_order_and_sets_broken_files_aside(root, tmp_path):
    put(root / "nevus" / "a.png", 200)
    (root / "nevus" / "z.jpg").write_text("no image")
    dataset, _ = opened(root)
    images = list(dataset.read(["nevus/z.jpg", "nevus/a.png", "melanoma/a.png"]))
    assert [type(image) for image in images] == [Unreadable, RawImage, RawImage]
    assert images[1].pixels[0, 0, 0] == 200 and images[1].mask is None
    assert "not an image" in images[0].reason


def test_the_fingerprint_follows_content_not_place(root, tmp_path):
    put(root / "nevus" / "b.JPG", 50)
    dataset, options = opened(root)
    before = dataset.fingerprint(options)
    assert set(before) == set(dataset.describe(options).ids)
    assert before["nevus/a.png"] == before["melanoma/a.png"] != before["nevus/b.JPG"]
    root.rename(tmp_path / "moved")
    dataset, options = opened(tmp_path / "moved")
    assert dataset.fingerprint(options) == before


# ------------------------------------------------------------------------- files of another kind


def closed(monkeypatch, *names):
    """The folders of these names cannot be opened. (The tests may run as a user who may open all.)"""
    scandir = os.scandir

    def refusing(place="."):
        if Path(os.fspath(place)).name in names:
            raise PermissionError(errno.EACCES, "Permission denied", os.fspath(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refusing)


def test_a_folder_that_cannot_be_opened_is_named_and_not_left_out(root, monkeypatch):
    for name in ("nevus/locked/d.png", "nevus/shut/e.png"):
        put(root / name)
    closed(monkeypatch, "locked", "shut")
    with pytest.raises(UserError, match=r"2 folders cannot be opened: .*/locked .permission denied.*shut"):
        described(root)


def test_a_class_folder_that_cannot_be_opened_is_named(root, monkeypatch):
    closed(monkeypatch, "melanoma")
    with pytest.raises(UserError, match=r"1 folder cannot be opened: .*/melanoma .permission denied"):
        described(root)


def test_groups_are_read_from_regular_files_only(root):
    for name in ("pipe.csv", "groups.csv"):
        os.mkfifo(root / name)
    (root / "link.csv").symlink_to("/dev/zero")
    for how in (
        {"groups": "/dev/zero"},
        {"groups": root / "pipe.csv"},
        {},
        {"groups": root / "link.csv"},
        {"groups": root},
    ):
        with pytest.raises(UserError, match="not a regular file"):
            described(root, **how)


def test_a_table_of_groups_may_hold_any_name(root):
    put(root / "nevus" / "a, b\nc.png")
    put(root / "nevus" / " d.png")
    rows = ["image,group", '"nevus/a, b\nc.png","one\ngroup"', "nevus/ d.png,2", "nevus/a.png,1", "b,1"]
    (root / "groups.csv").write_text("\n".join([*rows, "melanoma/a.png,\u2028", "c,3"]))
    found = described(root)
    groups = dict(zip(found.ids, found.groups, strict=True))
    assert groups["nevus/a, b\nc.png"] == "one\ngroup" and groups["nevus/ d.png"] == "2"


def test_a_value_of_a_table_is_bounded(root):
    (root / "groups.csv").write_text(f"image,group\nnevus/a.png,{'x' * 200_000}\n")
    with pytest.raises(UserError, match=r"groups\.csv:2: not a valid table: field larger"):
        described(root)


def test_the_whole_file_system_is_not_a_folder_of_images(tmp_path):
    (tmp_path / "link").symlink_to("/")
    for root in ("/", tmp_path / "link", "/../.."):
        with pytest.raises(UserError, match="whole file system"):
            described(root)


def test_a_search_for_images_is_bounded_in_number_and_depth(root, monkeypatch):
    monkeypatch.setattr(image_search, "MAX_DEPTH", 3)
    put(root / "nevus/1/2/3/4/5/a.png")
    with pytest.raises(UserError, match="more than 3 folders inside each other"):
        described(root)
    monkeypatch.setattr(image_search, "MAX_ENTRIES", 3)
    with pytest.raises(UserError, match="more than 3 files"):
        described(root)
    monkeypatch.setattr(image_search, "MAX_ENTRIES", 1)
    with pytest.raises(UserError, match="more than 1 files"):
        described(root)
