"""image-folder on trees with more than images in class folders: tables of groups, masks, copies and made images."""

import pytest
from PIL import Image
from tests.datasets.trees.folders import described, each, groups_of, noted, opened

from derm_bench.errors import UserError
from derm_bench.specs import RawImage

pytestmark = pytest.mark.usefixtures("own_cache")

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
