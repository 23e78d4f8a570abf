"""The ISIC challenges of 2017 to 2019, with the file names of their archives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tests.datasets.trees.build import Tree, isic, mask, one_hot, pictures, table, without

Layouts = dict[str, Callable[[Path], Tree]]

# ------------------------------------------------------------------------------------------ 2017

OF_2017 = ("melanoma", "nevus", "seborrheic_keratosis")
PARTS_2017 = {"Training": "train", "Validation": "val", "Test_v2": "test"}


def _truth_2017(file: Path, labels: dict[str, str]) -> Path:
    return table(
        file,
        ("image_id", "melanoma", "seborrheic_keratosis"),
        one_hot(("melanoma", "seborrheic_keratosis"), labels),
    )


def of_2017(root: Path, place: str = "{part}_Data", parts: Sequence[str] = tuple(PARTS_2017)) -> Tree:
    labels, given, ages = {}, {}, {}
    for k, part in enumerate(parts):
        here = dict(zip(isic(100 * k, 6), OF_2017 * 2, strict=True))
        folder = root / place.format(part=f"ISIC-2017_{part}")
        pictures(folder, here)
        pictures(folder, (f"{name}_superpixels" for name in here), ".png")
        for name in here:
            mask(root / f"ISIC-2017_{part}_Part1_GroundTruth" / f"{name}_segmentation.png")
        file = _truth_2017(root / f"ISIC-2017_{part}_Part3_GroundTruth.csv", here)
        rows = [(name, "unknown" if name == "ISIC_0000001" else "55", "female") for name in here]
        table(folder / f"ISIC-2017_{part}_Data_metadata.csv", ("image_id", "age_approximate", "sex"), rows)
        labels |= here
        given |= dict.fromkeys(here, PARTS_2017[part])
        ages |= {name: None if name == "ISIC_0000001" else 55.0 for name in here}
    return Tree(
        {"root": root},
        labels,
        None,
        given if len(parts) > 1 else None,
        {"age": ages},
        True,
        without(file, "seborrheic_keratosis"),
    )


def one_part_of_2017(root: Path) -> Tree:
    whole = of_2017(root)
    kept = {name: label for name, label in whole.labels.items() if whole.given[name] == "test"}
    return Tree({"root": root, "part": "test"}, kept, None, None, masks=True, spoil=whole.spoil)


def malignancy_of_2017(root: Path) -> Tree:
    made = of_2017(root)
    labels = {name: "malignant" if label == "melanoma" else "benign" for name, label in made.labels.items()}
    return Tree({"root": root, "task": "malignancy"}, labels, None, made.given, masks=True)


ISIC_2017: Layouts = {
    "all parts": of_2017,
    "training alone": lambda root: of_2017(root, parts=("Training",)),
    "part: test": one_part_of_2017,
    "task: malignancy": malignancy_of_2017,
    "doubled folders": lambda root: of_2017(root, "{part}_Data/{part}_Data"),
    "one folder": lambda root: of_2017(root, "images"),
    "downscaled": lambda root: of_2017(root, "{part}_Data_resized"),
}

# ------------------------------------------------------------------------------------------ 2018

OF_2018 = ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")
PARTS_2018 = {"Training": "train", "Validation": "val", "Test": "test"}


def of_2018(
    root: Path,
    place: str = "ISIC2018_Task3_{part}_Input",
    truth: str = "ISIC2018_Task3_{part}_GroundTruth/ISIC2018_Task3_{part}_GroundTruth.csv",
    parts: Sequence[str] = tuple(PARTS_2018),
    suffix: str = ".jpg",
) -> Tree:
    labels, given, groups = {}, {}, []
    for k, part in enumerate(parts):
        here = dict(zip(isic(24306 + 10000 * k, 9), (*OF_2018, "NV", "MEL"), strict=True))
        pictures(root / place.format(part=part), here, suffix)
        file = table(root / truth.format(part=part), ("image", *OF_2018), one_hot(OF_2018, here))
        labels |= here
        given |= dict.fromkeys(here, PARTS_2018[part])
        if part == "Training":
            first, *rest = here
            lesions = [(first, "HAM_1", "histopathology")]
            lesions += [(name, f"HAM_{j // 2}", "serial imaging") for j, name in enumerate(rest, start=2)]
            columns = ("image", "lesion_id", "diagnosis_confirm_type")
            table(root / "ISIC2018_Task3_Training_LesionGroupings.csv", columns, lesions)
            groups = [{first, *rest[:2]}, {*rest[2:4]}, {*rest[4:6]}, {*rest[6:8]}]
    (root / "LICENSE.txt").write_text("CC BY-NC")
    return Tree(
        {"root": root}, labels, groups, given if len(parts) > 1 else None, spoil=without(file, "AKIEC")
    )


def without_groupings_of_2018(root: Path) -> Tree:
    made = of_2018(root, parts=("Training",))
    (root / "ISIC2018_Task3_Training_LesionGroupings.csv").unlink()
    made.groups = None
    return made


ISIC_2018: Layouts = {
    "all parts": of_2018,
    "doubled folders": lambda root: of_2018(root, "ISIC2018_Task3_{part}_Input/ISIC2018_Task3_{part}_Input"),
    "tables beside": lambda root: of_2018(root, truth="ISIC2018_Task3_{part}_GroundTruth.csv"),
    "training alone": lambda root: of_2018(root, parts=("Training",)),
    "no groupings": without_groupings_of_2018,
    "one folder": lambda root: of_2018(root, "images"),
    "downscaled": lambda root: of_2018(root, "{part}_224", suffix=".png"),
}

# ------------------------------------------------------------------------------------------ 2019

OF_2019 = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")


def of_2019(
    root: Path, place: str = "ISIC_2019_{part}_Input", test: bool = False, suffix: str = ".jpg"
) -> Tree:
    names = [*isic(0, 8), "ISIC_0000100_downsampled", "ISIC_0000101_downsampled"]
    train = dict(zip(names, (*OF_2019[:8], "NV", "MEL"), strict=True))
    pictures(root / place.format(part="Training"), train, suffix)
    file = table(root / "ISIC_2019_Training_GroundTruth.csv", ("image", *OF_2019), one_hot(OF_2019, train))
    columns = ("image", "age_approx", "anatom_site_general", "lesion_id", "sex")
    rows = [
        (name, "" if k == 0 else "50.0", "anterior torso", "" if k < 3 else f"BCN_{k // 2}", "female")
        for k, name in enumerate(train)
    ]
    table(root / "ISIC_2019_Training_Metadata.csv", columns, rows)
    made = Tree(
        {"root": root},
        train,
        [set(names[4:6]), set(names[6:8]), set(names[8:10])],
        attributes={"age": {names[0]: None, names[1]: 50.0}, "site": {names[1]: "anterior torso"}},
        spoil=without(file, "SCC"),
    )
    return _with_test_of_2019(root, place, made, suffix) if test else made


def _with_test_of_2019(root: Path, place: str, made: Tree, suffix: str) -> Tree:
    labels = dict(zip(isic(53000, 3), ("MEL", "NV", "UNK"), strict=True))
    pictures(root / place.format(part="Test"), labels, suffix)
    header = ("image", *OF_2019, "score_weight", "validation_weight")
    rows = [[*row, "1.0", "0.0"] for row in one_hot(OF_2019, labels)]
    table(root / "ISIC_2019_Test_GroundTruth.csv", header, rows)
    columns = ("image", "age_approx", "anatom_site_general", "sex")
    table(root / "ISIC_2019_Test_Metadata.csv", columns, [(name, "30.0", "", "male") for name in labels])
    made.given = dict.fromkeys(made.labels, "train") | dict.fromkeys(labels, "test")
    made.labels |= labels
    return made


def unlabelled_test_of_2019(root: Path) -> Tree:
    """Before the labels of the test part were published, its images lay beside as well."""
    made = of_2019(root)
    pictures(root / "ISIC_2019_Test_Input", isic(53000, 3))
    table(root / "ISIC_2019_Test_Metadata.csv", ("image", "age_approx", "anatom_site_general", "sex"), [])
    return made


ISIC_2019: Layouts = {
    "training": of_2019,
    "with the test part": lambda root: of_2019(root, test=True),
    "unlabelled test part": unlabelled_test_of_2019,
    "doubled folders": lambda root: of_2019(root, "ISIC_2019_{part}_Input/ISIC_2019_{part}_Input"),
    "one folder": lambda root: of_2019(root, "images"),
    "downscaled": lambda root: of_2019(root, "ISIC_2019_{part}_Input(Resized)", suffix=".png"),
}
