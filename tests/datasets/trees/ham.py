"""HAM10000 as it lies on disks: of the Harvard Dataverse, of Kaggle, and as people change it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas
from tests.datasets.trees.build import Tree, isic, mask, picture, pictures, table, without

HEADER = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization")
CODES = ("mel", "mel", "nv", "nv", "bkl", "bcc", "akiec", "vasc", "df", "nv")
IDS = isic(24306, len(CODES))
PARTS = ("HAM10000_images_part_1", "HAM10000_images_part_2")


def rows(suffix: str = "", index: bool = False) -> list[tuple[str, ...]]:
    made = []
    for k, (name, code) in enumerate(zip(IDS, CODES, strict=True)):
        lesion = "HAM_0000001" if k in (0, 1) else f"HAM_000010{k}"
        row = (lesion, f"{name}{suffix}", code, "histo", "" if k == 2 else "60.0", "male", "back")
        made.append((str(k), *row) if index else row)
    return made


def tree(
    root: Path,
    folders: tuple[str, ...] = PARTS,
    metadata: str = "HAM10000_metadata.csv",
    *,
    separator: str = ",",
    encoding: str = "utf-8",
    suffix: str = "",
    index: bool = False,
    kind: str = ".jpg",
) -> Tree:
    for k, name in enumerate(IDS):
        picture(root / folders[k % len(folders)] / f"{name}{kind}")
    header = ("", *HEADER) if index else HEADER
    file = table(root / metadata, header, rows(suffix, index), separator, encoding)
    return Tree(
        {"root": root},
        dict(zip(IDS, CODES, strict=True)),
        [{IDS[0], IDS[1]}],
        attributes={
            "age": {IDS[0]: 60.0, IDS[2]: None},
            "sex": {IDS[0]: "male"},
            "site": {IDS[0]: "back"},
        },
        spoil=without(file, "lesion_id"),
    )


def with_masks(root: Path) -> Tree:
    made = tree(root)
    for name in IDS:
        mask(root / "HAM10000_segmentations_lesion_tschandl" / f"{name}_segmentation.png")
    made.masks = True
    return made


def in_class_folders(root: Path) -> Tree:
    made = tree(root, ("images",))
    for name, code in made.labels.items():
        (root / "sorted" / code).mkdir(parents=True, exist_ok=True)
        (root / "images" / f"{name}.jpg").rename(root / "sorted" / code / f"{name}.jpg")
    (root / "images").rmdir()
    return made


def with_the_test_set(root: Path) -> Tree:
    """The Dataverse also holds the test images of ISIC 2018, which the metadata do not list."""
    made = tree(root)
    pictures(root / "ISIC2018_Task3_Test_Images", isic(34524, 3))
    table(root / "ISIC2018_Task3_Test_GroundTruth.csv", HEADER, [])
    (root / "hmnist_28_28_RGB.csv").write_text("pixel0000,label\n1,2\n")
    return made


def downscaled(root: Path) -> Tree:
    return tree(root, ("HAM10000_images_resized_128",), kind=".png")


LAYOUTS: dict[str, Callable[[Path], Tree]] = {
    "two parts": tree,
    "masks": with_masks,
    "doubled folders": lambda root: tree(root, tuple(f"{part}/{part}" for part in PARTS)),
    "lower case": lambda root: tree(root, tuple(part.lower() for part in PARTS)),
    "one folder": lambda root: tree(root, ("images",)),
    "beside the table": lambda root: tree(root, (".",)),
    "class folders": in_class_folders,
    "downscaled": downscaled,
    "folders of ISIC 2018": lambda root: tree(root, ("ISIC2018_Task3_Training_Input",)),
    "with the test set": with_the_test_set,
    "a folder above": lambda root: _above(root),
    "tab file": lambda root: tree(root, metadata="HAM10000_metadata.tab", separator="\t"),
    "no extension": lambda root: tree(root, metadata="HAM10000_metadata", separator="\t"),
    "semicolons": lambda root: tree(root, separator=";"),
    "ids with .jpg": lambda root: tree(root, suffix=".jpg"),
    "ids with .JPG": lambda root: tree(root, suffix=".JPG"),
    "index column": lambda root: tree(root, index=True),
    "UTF-16": lambda root: _utf16(root),
    "UTF-8 with a mark": lambda root: tree(root, encoding="utf-8-sig"),
    "second download": lambda root: tree(root, metadata="HAM10000_metadata (1).csv"),
    "Parquet": lambda root: _without_text(root, ".parquet"),
    "XLSX": lambda root: _without_text(root, ".xlsx"),
    "copy": lambda root: tree(root, metadata="HAM10000_metadata - Copy.csv"),
}


def _above(root: Path) -> Tree:
    made = tree(root / "skin-cancer-mnist-ham10000")
    return Tree({"root": root}, made.labels, made.groups, None, made.attributes, spoil=made.spoil)


def _without_text(root: Path, suffix: str) -> Tree:
    """The metadata as a workbook or as Parquet."""
    made = tree(root)
    file = root / "HAM10000_metadata.csv"
    frame = pandas.read_csv(file)
    file.unlink()
    place = file.with_suffix(suffix)
    frame.to_excel(place, index=False) if suffix == ".xlsx" else frame.to_parquet(place)
    made.spoil = None
    return made


def _utf16(root: Path) -> Tree:
    made = tree(root, encoding="utf-16")
    made.spoil = None
    return made
