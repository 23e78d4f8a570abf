"""image-folder on the trees that people really have: what is recognised, what is set aside and said, what is refused.

Files are empty where only their names matter: a description reads no pixels.
"""

import shutil

import numpy as np
import pytest
from PIL import Image
from tests.datasets.trees.folders import described, each, noted, opened

from derm_bench.errors import UserError

pytestmark = pytest.mark.usefixtures("own_cache")

# ---------------------------------------------------------------------------------------- splits


@pytest.mark.parametrize(
    ("train", "other", "split"),
    [
        ("Training", "Testing", "test"),
        ("train_set", "test_set", "test"),
        ("train_data", "valid", "val"),
        ("trainset", "validation-set", "val"),
        ("TrainImages", "test2", "test"),
        ("1_train", "dev", "val"),
    ],
)
def test_folders_named_after_splits_are_splits(tree, train, other, split):
    root = tree(*each([f"{train}/a", f"{train}/b", f"{other}/a", f"{other}/b"]))
    found = described(root)
    assert found.classes == ["a", "b"]
    assert dict(zip((name.partition("/")[0] for name in found.ids), found.given_split, strict=True)) == {
        train: "train",
        other: split,
    }
    assert any(f"{other} is {split}" in text for text in noted(found))


@pytest.mark.parametrize(
    ("tops", "stated"),
    [
        (("training", "truth"), {"training": "train", "truth": "test"}),
        (("fold_1", "fold_2"), {"fold_1": "train", "fold_2": "test"}),
        (("clinic A", "clinic B"), {"clinic A": "train", "clinic B": "test"}),
    ],
)
def test_folders_that_hold_the_same_class_names_are_no_classes(tree, tops, stated):
    root = tree(*each(f"{top}/{name}" for top in tops for name in ("a", "b", "c")))
    with pytest.raises(UserError) as error:
        described(root)
    assert "splits: {" in error.value.hint and all(top in str(error.value) for top in tops)
    found = described(root, splits=stated)
    assert found.classes == ["a", "b", "c"] and set(found.given_split) == {"train", "test"}
    if "truth" not in tops:
        assert described(root, splits={}).classes == sorted(tops)


@pytest.mark.parametrize("inner", [("train", "test"), ("Training", "Validation"), ("train_set", "test_set")])
def test_splits_may_be_inside_of_the_classes(tree, inner):
    found = described(tree(*each(f"{name}/{part}" for name in ("a", "b") for part in inner)))
    assert found.classes == ["a", "b"] and len(set(found.given_split)) == 2


def test_a_split_that_is_named_and_not_there_is_refused_with_what_is(tree):
    with pytest.raises(UserError, match="has no folder 'training' with images") as error:
        described(tree(*each(["train/a", "train/b"])), splits={"training": "train"})
    assert "train" in error.value.hint


def test_images_without_a_class_in_a_split_are_set_aside_and_said(tree):
    root = tree(*each(["train/a", "train/b", "test"]), "train/stray.jpg", "x.jpg")
    found = described(root)
    assert len(found.ids) == 4 and set(found.given_split) == {"train"}
    assert sorted(noted(found)["images outside of the class folders"]) == [
        "test/1.jpg",
        "test/2.jpg",
        "train/stray.jpg",
        "x.jpg",
    ]


def test_subfolders_of_classes_that_are_no_splits_belong_to_their_class(tree):
    found = described(tree(*each(["a/left", "a", "b/right", "b/deep/er"])))
    assert found.classes == ["a", "b"] and len(found.ids) == 8


# ------------------------------------------------------------------------------------ inner roots


@pytest.mark.parametrize("wrapper", ["archive_name", "images", "archive (3)/melanoma_cancer_dataset"])
@pytest.mark.parametrize("splits", [("train/", "test/"), ("",)])
def test_the_inner_root_is_found_and_said(tree, wrapper, splits):
    root = tree(*each(f"{wrapper}/{s}{name}" for s in splits for name in ("benign", "malignant")))
    found = described(root)
    assert found.classes == ["benign", "malignant"]
    assert f"the classes are the folders in {wrapper}" in noted(found)
    assert (found.given_split is not None) == (len(splits) == 2)


@pytest.mark.parametrize(
    "names",
    [each(["img"]), each(["train/all"]), each(["a/b/c"]), ["1.jpg", "2.jpg"], each([".hidden", "x"])],
)
def test_one_class_is_never_a_classification(tree, names):
    with pytest.raises(UserError, match=r"one class is no classification|no class folders"):
        described(tree(*names))


@pytest.mark.parametrize(
    ("table", "header", "columns"),
    [
        ("labels.csv", "filename,label", "image: filename, label: label"),
        ("HAM10000_metadata.tab", "lesion_id\timage_id\tdx", "image: image_id, label: dx"),
        ("meta/rows.tsv", "pic\tdiagnosis", "image: COLUMN, label: diagnosis"),
    ],
)
def test_a_table_beside_the_images_is_named_in_the_refusal(tree, table, header, columns):
    root = tree(*each(["img"]), table)
    (root / table).write_text(header + "\n")
    with pytest.raises(UserError, match="one class is no classification") as error:
        described(root)
    assert f"the table {table}, use `name: table`" in error.value.hint and columns in error.value.hint


# ------------------------------------------------------------------------------------------ links


def test_class_folders_and_files_that_are_links_are_read(tmp_path):
    for k, name in enumerate(("a", "b", "c")):
        for i in range(2):
            path = tmp_path / "pool" / name / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8, 3), 10 * k + i, np.uint8)).save(path)
    root = tmp_path / "root"
    (root / "c").mkdir(parents=True)
    (root / "a").symlink_to(tmp_path / "pool" / "a")
    (root / "b").symlink_to("../pool/b")
    (root / "c" / "linked.png").symlink_to(tmp_path / "pool" / "c" / "0.png")
    dataset, options = opened(root)
    found = dataset.describe(options)
    assert found.ids == ["a/0.png", "a/1.png", "b/0.png", "b/1.png", "c/linked.png"]
    assert noted(found)["links that were followed"] == ["a", "b", "c/linked.png"]
    images = list(dataset.read(found.ids))
    assert [int(image.pixels[0, 0, 0]) for image in images] == [0, 1, 10, 11, 20]


def test_a_split_that_is_a_link_and_a_link_to_a_link_are_read(tree, tmp_path):
    root = tree(*each(["train/a", "train/b"]))
    (tmp_path / "pool").mkdir()
    shutil.move(root / "train", tmp_path / "pool" / "half")
    (tmp_path / "near").symlink_to(tmp_path / "pool" / "half")
    (root / "train").symlink_to(tmp_path / "near")
    for name in each(["a", "b"]):
        (root / "test" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "test" / name).write_text("")
    found = described(root)
    assert found.classes == ["a", "b"] and sorted(set(found.given_split)) == ["test", "train"]
    assert noted(found)["links that were followed"] == ["train"]


def test_a_link_that_leads_back_up_is_entered_once(tree):
    root = tree(*each(["a", "b"]))
    (root / "a" / "again").symlink_to(root / "a")
    found = described(root)
    assert len(found.ids) == 4
    assert ["a/again"] in noted(found).values()


def test_links_that_lead_nowhere_are_refused_while_planning(tree):
    root = tree(*each(["a", "b"]))
    for k in range(3):
        (root / "a" / f"gone{k}.jpg").symlink_to(root / "nowhere")
    with pytest.raises(UserError, match=r"3 links in .* lead nowhere, of 7: a/gone0.jpg"):
        described(root)
    assert len(described(root, missing=0.5).ids) == 4


def test_two_classes_that_are_the_same_folder_are_refused(tree):
    root = tree(*each(["a", "b"]))
    (root / "c").symlink_to(root / "b")
    with pytest.raises(UserError, match="class 'c' is a link to a folder that is another class"):
        described(root)


# --------------------------------------------------------------------- what is no image or no class


def test_folders_of_programs_copies_and_folders_without_images_are_skipped_and_listed(tree):
    root = tree(
        *each(["a", "b"]), "__MACOSX/a/._1.jpg", "a/@eaDir/1.jpg", "models/net.pt", "models/run/log.json"
    )
    (root / "a" / "1.jpg").write_text("one")
    shutil.copy(root / "a" / "1.jpg", root / "a" / "1 (1).jpg")
    found = described(root)
    assert found.classes == ["a", "b"] and len(found.ids) == 4
    listed = noted(found)
    assert listed["folders without images"] == ["models"]
    assert listed["byte-equal copies of an image beside them"] == ["a/1 (1).jpg"]
    assert listed["folders that belong to a program or system"] == ["__MACOSX", "a/@eaDir"]


@pytest.mark.parametrize(
    "name", ["b/.AppleDouble/1.jpg", "a/.ipynb_checkpoints/1-checkpoint.png", "b/._2.jpg"]
)
def test_hidden_copies_of_programs_are_no_images(tree, name):
    found = described(tree(*each(["a", "b"]), name))
    assert len(found.ids) == 4
    assert any(listed and name.startswith(listed[0]) for listed in noted(found).values())


@pytest.mark.parametrize("suffix", [".jfif", ".gif", ".JPG", ".tif", ".webp"])
def test_images_of_every_suffix_count(tree, suffix):
    names = each(["a", "b"], [f"1{suffix}", "2.png"])
    assert sorted(described(tree(*names)).ids) == sorted(names)


@pytest.mark.parametrize(
    ("images", "rows"),
    [
        (["1.jpg", "2.jpg", "3.jpg"], ["a/1.jpg", "a/2.jpg", "a/3.jpg", "b/1.jpg"]),
        (["1.jpg"], ["a/1.jpg", "b/1.jpg", "a/9.jpg"]),
        (["1.jpg", "2.jpg"], ["b/2.jpg", "b/7.jpg"]),
    ],
)
def test_a_group_table_that_is_incomplete_in_either_direction_is_said(tree, images, rows):
    root = tree(*each(["a", "b"], images))
    (root / "groups.csv").write_text("image,group\n" + "".join(f"{row},g{row}\n" for row in rows))
    found = described(root, missing=1.0)
    there = set(each(["a", "b"], images))
    assert len(found.ids) == len(there)
    listed = noted(found)
    assert listed.get("rows of groups.csv without an image", []) == [row for row in rows if row not in there]
    alone = listed.get("images without a row in groups.csv, each a group of its own", [])
    assert sorted(alone) == sorted(there - set(rows))


@pytest.mark.parametrize("names", [("0", "1", "2"), ("001", "002"), ("1e3", "0x10", "on")])
def test_names_of_classes_are_the_text_that_is_written(tree, names):
    assert described(tree(*each(names))).classes == sorted(names)


def test_classes_that_differ_in_case_only_are_refused(tree):
    with pytest.raises(UserError, match=r"Benign and benign .*differ only in upper and lower case"):
        described(tree(*each(["train/Benign", "train/mal", "test/benign", "test/mal"])))


def test_an_empty_and_a_wrong_folder_are_refused_in_words(tree, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no class folders in .*empty"):
        described(tmp_path / "empty")
    with pytest.raises(UserError, match=r"no class folders in .*root"):
        described(tree("notes/a.txt", "b.txt"))
