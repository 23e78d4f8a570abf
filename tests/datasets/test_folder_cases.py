"""image-folder on the trees that people really have: what is recognised, what is set aside and said, what is refused.

Files are empty where only their names matter: a description reads no pixels.
"""

import shutil

import numpy as np
import pytest
from PIL import Image

from derm_bench.errors import UserError
from derm_bench.specs import RawImage, Task, create
from derm_bench_plugins.datasets import specs

SPEC = {spec.name: spec for spec in specs()}["image-folder"]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("DERM_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def tree(tmp_path):
    """Makes files of these names below a root."""

    def make(*names):
        for name in names:
            path = tmp_path / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("" if path.suffix else name)
        return tmp_path / "root"

    return make


def each(folders, names=("1.jpg", "2.jpg")):
    return [f"{folder}/{name}" for folder in folders for name in names]


def opened(root, **options):
    options = SPEC.options(root=root, **options)
    return create(SPEC, options, Task((), 16)), options


def described(root, **options):
    dataset, options = opened(root, **options)
    return dataset.describe(options)


def noted(found):
    return {note.text.removeprefix("set aside: "): list(note.names) for note in found.notes}


def groups_of(found):
    return dict(zip(found.ids, found.groups, strict=True))


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


# ----------------------------------------------------------------------------------------- groups


@pytest.mark.parametrize("text", ["NaN", "nan", "", "NA", "None", "unknown"])
def test_a_missing_group_means_alone(tree, text):
    root = tree(*each(["a", "b"], ["1.jpg", "2.jpg", "3.jpg"]))
    rows = [
        f"a/1.jpg,{text}",
        f"a/2.jpg,{text}",
        f"b/1.jpg,{text}",
        "b/2.jpg,p",
        "b/3.jpg,p",
        f"a/3.jpg,{text}",
    ]
    (root / "groups.csv").write_text("\n".join(["image,group", *rows]) + "\n")
    found = described(root)
    assert len(set(found.groups)) == 5 and groups_of(found)["b/2.jpg"] == groups_of(found)["b/3.jpg"]
    assert len(noted(found)["images whose group is missing in groups.csv, each a group of its own"]) == 4


@pytest.mark.parametrize(
    ("name", "text", "columns"),
    [
        (
            "HAM10000_metadata.csv",
            "lesion_id,image_id,dx\nL1,1,nv\nL1,2,nv\nL2,3,mel\n",
            ("image_id", "lesion_id"),
        ),
        ("meta.tsv", "img_id\tpatient_id\n1.jpg\tL1\n2.jpg\tL1\n3.jpg\tL2\n", ("img_id", "patient_id")),
        ("m.csv", ";isic_id;Lesion ID\n0;1;L1\n1;2;L1\n2;3;L2\n", ("isic_id", "Lesion ID")),
    ],
)
def test_a_table_with_groups_is_noticed_and_its_columns_can_be_named(tree, name, text, columns):
    root = tree("a/1.jpg", "a/2.jpg", "b/3.jpg", name)
    (root / name).write_text(text)
    found = described(root)
    (note,) = [note for note in found.notes if note.warns]
    assert found.groups is None and name in note.text
    assert f"image: {columns[0]}, group: {columns[1]}" in note.text
    groups = {"file": root / name, "image": columns[0], "group": columns[1]}
    assert described(root, groups=groups).groups == ["L1", "L1", "L2"]


def test_images_without_a_row_and_rows_without_an_image_are_listed(tree):
    root = tree("a/1.jpg", "a/2.jpg", "b/3.jpg")
    (root / "groups.csv").write_text("image,group\n1,p\n2,p\n9,q\n")
    with pytest.raises(UserError, match=r"1 images have no row in groups.csv, of 3: b/3.jpg"):
        described(root)
    found = described(root, missing=0.4)
    assert found.groups[:2] == ["p", "p"] and found.groups[2] not in ("p", "q")
    assert noted(found)["rows of groups.csv without an image"] == ["9"]
    assert noted(found)["images without a row in groups.csv, each a group of its own"] == ["b/3.jpg"]


# ---------------------------------------------------------------------- masks, copies, made images


@pytest.mark.parametrize("ending", ["_segmentation", "_mask", "_expert", "_lesion", "_Segmentation"])
def test_files_named_after_masks_are_masks_of_the_image_beside_them(tmp_path, ending):
    for name in ("mel/000", "mel/001", "nv/000"):
        path = tmp_path / f"{name}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (12, 8), (90, 60, 30)).save(path)
        Image.new("L", (12, 8), 255).save(tmp_path / f"{name}{ending}.png")
    dataset, options = opened(tmp_path)
    found = dataset.describe(options)
    assert found.ids == ["mel/000.jpg", "mel/001.jpg", "nv/000.jpg"] and found.masks
    assert len(noted(found)["files used as masks of the images beside them"]) == 3
    (image,) = dataset.read(["mel/000.jpg"])
    assert isinstance(image, RawImage) and image.mask.min() == 255
    before = dataset.fingerprint(options)
    Image.new("L", (12, 8), 0).save(tmp_path / f"mel/000{ending}.png")
    after = opened(tmp_path)[0].fingerprint(options)
    assert {name for name in before if before[name] != after[name]} == {"mel/000.jpg"}


def test_a_name_like_that_of_a_mask_without_an_image_is_an_image(tree):
    found = described(tree("mel/000_lesion.jpg", "mel/001_mask.jpg", "nv/2.jpg"))
    assert len(found.ids) == 3 and not found.masks


@pytest.mark.parametrize(
    "names",
    [
        ["images/a/1.jpg", "images/b/2.jpg", "masks/a/1.png", "masks/b/2_mask.png"],
        ["a/1.jpg", "b/2.jpg", "segmentations/1.png", "segmentations/2.png"],
        ["a/1.jpg", "a/masks/1.png", "b/2.jpg", "b/masks/2.png"],
        [
            "a/1.jpg",
            "b/2.jpg",
            "HAM_lesions_tschandl/1_segmentation.png",
            "HAM_lesions_tschandl/2_segmentation.png",
        ],
    ],
)
def test_folders_of_masks(tree, names):
    dataset, options = opened(tree(*names))
    found = dataset.describe(options)
    assert found.classes == ["a", "b"] and len(found.ids) == 2 and found.masks


def test_of_several_masks_one_is_used_and_the_others_are_said(tree):
    names = ["1.jpg", "1_lesion.png", "1_segmentation.png", "1_superpixels.png"]
    found = described(tree(*each(["a", "b"], names)))
    assert found.ids == ["a/1.jpg", "b/1.jpg"]
    assert noted(found)["files used as masks of the images beside them"] == [
        "a/1_segmentation.png",
        "b/1_segmentation.png",
    ]
    assert len(noted(found)["masks and overlays without an image of their own, or besides another mask"]) == 4


@pytest.mark.parametrize("folder", ["mel/synthetic", "mel/Generated_images", "mel/augmented", "mel/gan/v2"])
def test_folders_of_made_images_are_set_aside_and_said(tree, folder):
    found = described(tree(*each(["mel", "nv"]), f"{folder}/s.png"))
    assert len(found.ids) == 4
    assert noted(found)["images in folders named after synthetic or augmented images"] == [f"{folder}/s.png"]


def test_a_folder_of_made_images_beside_splits_is_set_aside(tree):
    found = described(tree(*each(["train/a", "train/b", "test/a", "test/b", "synthetic/a"])))
    assert set(found.given_split) == {"train", "test"} and len(found.ids) == 8
    assert len(noted(found)["images in folders named after synthetic or augmented images"]) == 2


def test_real_and_fake_may_be_the_classes(tree):
    assert described(tree(*each(["real", "fake"]))).classes == ["fake", "real"]


@pytest.mark.parametrize(
    "copy", ["000_aug_1.png", "000_augmented.png", "000_hflip.png", "000_rot90.png", "000_flip_rot_180.png"]
)
def test_augmented_copies_are_in_the_group_of_their_source(tree, copy):
    found = described(tree("mel/000.png", f"mel/{copy}", "mel/001.png", "nv/000.png", "nv/001.png"))
    groups = groups_of(found)
    assert groups["mel/000.png"] == groups[f"mel/{copy}"] and len(set(groups.values())) == 4
    (note,) = [note for note in found.notes if note.warns]
    assert list(note.names) == [f"mel/{copy}"]


def test_augmented_copies_in_another_split_and_without_their_source_are_grouped_too(tree):
    hashes = ["0123456789abcdef0123456789abcdef", "ffffffffffffffffffffffffffffffff"]
    found = described(
        tree(
            *(f"train/mel/x_jpg.rf.{h}.jpg" for h in hashes),
            *each(["train/nv", "test/nv"]),
            "test/mel/000.png",
            "train/mel/000_aug_7.png",
        )
    )
    groups = groups_of(found)
    assert len({groups[f"train/mel/x_jpg.rf.{h}.jpg"] for h in hashes}) == 1
    assert groups["train/mel/000_aug_7.png"] == groups["test/mel/000.png"]


def test_augmented_copies_take_the_group_that_a_table_gives_their_source(tree):
    root = tree("mel/000.png", "mel/000_aug_1.png", "nv/1.png", "nv/2.png")
    (root / "groups.csv").write_text("image,group\n000,p\n1,p\n2,\n")
    assert list(described(root).groups) == ["p", "p", "p", "alone:nv/2.png"]


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
