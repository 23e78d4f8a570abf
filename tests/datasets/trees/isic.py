"""The ISIC challenges of 2017 to 2020 and 2024, the archive and MILK10k, with the file names of their archives."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tests.datasets.trees.build import SIDES, Tree, isic, mask, one_hot, pictures, table, without

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

# ------------------------------------------------------------------------------------------ 2020

COLUMNS_2020 = (
    "image_name",
    "patient_id",
    "sex",
    "age_approx",
    "anatom_site_general_challenge",
    "diagnosis",
    "benign_malignant",
    "target",
)
DIAGNOSES_2020 = ("unknown", "nevus", "melanoma", "nevus", "unknown", "melanoma", "lentigo NOS", "nevus")


def of_2020(
    root: Path, place: str = "jpeg/train", metadata: str = "train.csv", suffix: str = ".jpg", task: str = ""
) -> Tree:
    names = isic(2637011, len(DIAGNOSES_2020))
    pictures(root / place, names, suffix)
    rows = []
    for k, (name, diagnosis) in enumerate(zip(names, DIAGNOSES_2020, strict=True)):
        malignant = diagnosis == "melanoma"
        word = "malignant" if malignant else "benign"
        site = "" if k == 0 else "head/neck"
        rows.append([name, f"IP_{k // 2}", "male", "45.0", site, diagnosis, word, str(int(malignant))])
    if metadata == "train.csv":
        file = table(root / metadata, COLUMNS_2020, rows)
    else:
        columns = (*COLUMNS_2020[:2], "lesion_id", *COLUMNS_2020[2:])
        file = table(
            root / metadata, columns, [(*row[:2], f"IL_{k}", *row[2:]) for k, row in enumerate(rows)]
        )
    at = 5 if task == "diagnosis" else 6
    return Tree(
        {"root": root} | ({"task": task} if task else {}),
        {row[0]: row[at] for row in rows},
        [set(names[k : k + 2]) for k in range(0, len(names), 2)],
        attributes={"site": {names[0]: None, names[1]: "head/neck"}, "age": {names[0]: 45.0}},
        spoil=without(file, "patient_id"),
    )


def competition_of_2020(root: Path) -> Tree:
    """As Kaggle's competition unpacks: DICOM and JPEG, a test part without labels, and tables of another kind."""
    made = of_2020(root)
    pictures(root / "jpeg" / "test", isic(52060, 3))
    columns = COLUMNS_2020[:5]
    table(root / "test.csv", columns, [(name, "IP_9", "male", "70.0", "torso") for name in isic(52060, 3)])
    table(root / "sample_submission.csv", ("image_name", "target"), [(name, 0) for name in isic(52060, 3)])
    for name in made.labels:
        (root / "train").mkdir(exist_ok=True)
        (root / "train" / f"{name}.dcm").write_bytes(b"\0" * 128 + b"DICM")
    return made


def with_duplicates_of_2020(root: Path) -> Tree:
    """The archive lists images of which one is a copy of the other; here of two patients."""
    made = of_2020(root, "ISIC_2020_Training_JPEG/train", "ISIC_2020_Training_GroundTruth_v2.csv")
    names = list(made.labels)
    columns = ("image_name_1", "image_name_2")
    table(root / "ISIC_2020_Training_Duplicates.csv", columns, [(names[0], names[2]), (names[4], names[5])])
    made.groups = [set(names[:4]), set(names[4:6]), set(names[6:])]
    return made


ISIC_2020: Layouts = {
    "JPEG": of_2020,
    "competition": competition_of_2020,
    "archive": lambda root: of_2020(
        root, "ISIC_2020_Training_JPEG/train", "ISIC_2020_Training_GroundTruth.csv"
    ),
    "with duplicates": with_duplicates_of_2020,
    "doubled folders": lambda root: of_2020(root, "train/train"),
    "one folder": lambda root: of_2020(root, "images"),
    "downscaled": lambda root: of_2020(root, "jpeg-melanoma-512x512/train", suffix=".png"),
    "task: diagnosis": lambda root: of_2020(root, task="diagnosis"),
}

# ------------------------------------------------------------------------------------------ 2024

COLUMNS_2024 = (
    "isic_id",
    "target",
    "patient_id",
    "age_approx",
    "sex",
    "anatom_site_general",
    "clin_size_long_diam_mm",
    "image_type",
    "tbp_tile_type",
    "tbp_lv_A",
    "attribution",
    "copyright_license",
    "lesion_id",
    "iddx_full",
    "iddx_1",
    "iddx_2",
    "iddx_3",
    "mel_thick_mm",
    "tbp_lv_dnn_lesion_confidence",
)


def metadata_of_2024(root: Path, names: Sequence[str]) -> tuple[Tree, Path]:
    rows = []
    for k, name in enumerate(names):
        bad = k % 4 == 0
        kind = ("Malignant", "Malignant melanocytic", "Melanoma") if bad else ("Benign", "", "")
        rows.append([
            name, int(bad), f"IP_{k // 3}", "" if k == 1 else "60.0", "male", "lower extremity", "3.04",
            "TBP tile: close-up", "3D: white", "20.2", "Memorial Sloan Kettering", "CC-BY",
            f"IL_{k}" if bad else "", "::".join(filter(None, kind)), *kind, "", "97.5",
        ])  # fmt: skip
    file = table(root / "train-metadata.csv", COLUMNS_2024, rows)
    made = Tree(
        {"root": root},
        {row[0]: "malignant" if row[1] else "benign" for row in rows},
        [set(names[k : k + 3]) for k in range(0, len(names), 3)],
        attributes={
            "age": {names[0]: 60.0, names[1]: None},
            "site": {names[0]: "lower extremity"},
            "licence": {names[0]: "CC-BY"},
        },
        spoil=without(file, "patient_id"),
    )
    return made, file


def of_2024(root: Path, place: str = "train-image/image", suffix: str = ".jpg") -> Tree:
    names = isic(15670, 9)
    pictures(root / place, names, suffix)
    return metadata_of_2024(root, names)[0]


def hdf5_of_2024(root: Path, file: str = "train-image.hdf5", how: str = "bytes") -> Tree:
    h5py = __import__("pytest").importorskip("h5py")
    made, _ = metadata_of_2024(root, isic(15670, 9))
    with h5py.File(root / file, "w") as container:
        for k, name in enumerate(made.labels):
            content = np.frombuffer(encoded(k), np.uint8)
            if how == "bytes":  # a scalar of opaque bytes, as Kaggle's file has
                container.create_dataset(name, data=np.void(content.tobytes()))
            else:
                container.create_dataset(name, data=content)
    return made


def encoded(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (*SIDES, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG")
    return file.getvalue()


def competition_of_2024(root: Path) -> Tree:
    made = of_2024(root)
    table(root / "test-metadata.csv", ("isic_id", "patient_id"), [("ISIC_0015657", "IP_1")])
    table(root / "sample_submission.csv", ("isic_id", "target"), [("ISIC_0015657", 0.3)])
    (root / "test-image.hdf5").write_bytes(b"not opened")
    return made


def archive_of_2024(root: Path) -> Tree:
    """The files of the archive: the target and the metadata lie in two tables."""
    names = isic(15670, 9)
    pictures(root / "ISIC_2024_Training_Input", names)
    made, file = metadata_of_2024(root, names)
    lines = [line.split(",") for line in file.read_text().splitlines()]
    file.unlink()
    table(root / "ISIC_2024_Training_Input" / "metadata.csv", *_columns(lines, lambda name: name != "target"))
    truth = root / "ISIC_2024_Training_GroundTruth.csv"
    table(truth, ("isic_id", "malignant"), [(line[0], f"{line[1]}.0") for line in lines[1:]])
    made.spoil = without(truth, "malignant")
    return made


def _columns(lines: list[list[str]], keep: Callable[[str], bool]) -> tuple[list[str], list[list[str]]]:
    at = [k for k, name in enumerate(lines[0]) if keep(name)]
    header, *rows = [[line[k] for k in at] for line in lines]
    return header, rows


ISIC_2024: Layouts = {
    "files": of_2024,
    "hdf5": hdf5_of_2024,
    "hdf5 of arrays": lambda root: hdf5_of_2024(root, how="array"),
    "competition": competition_of_2024,
    "archive": archive_of_2024,
    "doubled folders": lambda root: of_2024(root, "train-image/train-image/image"),
    "one folder": lambda root: of_2024(root, "images"),
    "downscaled": lambda root: of_2024(root, "train-image-64", ".png"),
}

# --------------------------------------------------------------------------------------- archive

COLUMNS_ARCHIVE = (
    "isic_id",
    "attribution",
    "copyright_license",
    "age_approx",
    "anatom_site_general",
    "benign_malignant",
    "diagnosis_1",
    "diagnosis_2",
    "diagnosis_3",
    "lesion_id",
    "patient_id",
    "sex",
)
KINDS = (
    ("Benign", "Benign melanocytic proliferations", "Nevus"),
    ("Malignant", "Malignant melanocytic proliferations (Melanoma)", "Melanoma Invasive"),
    ("Malignant", "Malignant epidermal proliferations", "Basal cell carcinoma"),
)


def archive(root: Path, place: str = ".", metadata: str = "metadata.csv", label: str = "") -> Tree:
    names = isic(60000, 9)
    pictures(root / place, names)
    rows = []
    for k, name in enumerate(names):
        kind = KINDS[k % 3]
        licence = ("CC-0", "CC-BY-NC")[k % 2]
        lesion = f"IL_{k // 2}" if k < 4 else ""
        patient = "IP_1" if k in (4, 5, 0) else ""
        rows.append([
            name, "Anonymous", licence, "" if k == 0 else "35", "head/neck", kind[0].lower(), *kind, lesion,
            patient, "male",
        ])  # fmt: skip
    file = table(root / metadata, COLUMNS_ARCHIVE, rows)
    (root / "attribution.txt").write_text("Anonymous\n")
    (root / "licenses").mkdir()
    (root / "licenses" / "CC-0.txt").write_text("...")
    at = COLUMNS_ARCHIVE.index(label or "diagnosis_1")
    return Tree(
        {"root": root} | ({"label_column": label} if label else {}),
        {row[0]: row[at] for row in rows},
        [{names[0], names[1], names[4], names[5]}, {names[2], names[3]}],
        attributes={
            "licence": {names[0]: "CC-0", names[1]: "CC-BY-NC"},
            "age": {names[0]: None, names[1]: 35.0},
            "source": {names[0]: "Anonymous"},
        },
        spoil=without(file, label or "diagnosis_1"),
    )


ISIC_ARCHIVE: Layouts = {
    "isic-cli": archive,
    "level 3": lambda root: archive(root, label="diagnosis_3"),
    "benign_malignant": lambda root: archive(root, label="benign_malignant"),
    "one folder": lambda root: archive(root, "images"),
    "of the web site": lambda root: archive(root, "ISIC-images", "ISIC-images/metadata.csv"),
    "metadata of a collection": lambda root: archive(
        root, "images", "challenge-2020-training_metadata_2024-10-10.csv"
    ),
}

# --------------------------------------------------------------------------------------- MILK10k

OF_MILK = ("AKIEC", "BCC", "BEN_OTH", "BKL", "DF", "INF", "MAL_OTH", "MEL", "NV", "SCCKA", "VASC")
TYPES = ("clinical: close-up", "dermoscopic")


def milk(root: Path, place: str = "MILK10k_Training_Input/{lesion}", image_type: str = "") -> Tree:
    lesions = {f"IL_{k:07d}": code for k, code in enumerate(OF_MILK)}
    truth = root / "MILK10k_Training_GroundTruth.csv"
    table(truth, ("lesion_id", *OF_MILK), one_hot(OF_MILK, lesions))
    columns = (
        "lesion_id", "image_type", "isic_id", "attribution", "copyright_license", "image_manipulation",
        "age_approx", "sex", "skin_tone_class", "site", "MONET_hair",
    )  # fmt: skip
    rows, labels, groups = [], {}, []
    for k, (lesion, code) in enumerate(lesions.items()):
        names = isic(4671410 + 2 * k, 2)
        pictures(root / place.format(lesion=lesion), names)
        for name, kind in zip(names, TYPES, strict=True):
            rows.append(
                (lesion, kind, name, "MILK study team", "CC-BY-NC", "", "70", "female", "3", "foot", "0.1")
            )
            if not image_type or kind.startswith(image_type):
                labels[name] = code
        groups.append(set(names))
    table(root / "MILK10k_Training_Metadata.csv", columns, rows)
    first = next(iter(labels))
    return Tree(
        {"root": root} | ({"image_type": image_type} if image_type else {}),
        labels,
        [] if image_type else groups,
        attributes={"tone": {first: "3"}, "site": {first: "foot"}, "licence": {first: "CC-BY-NC"}},
        spoil=without(truth, "SCCKA"),
    )


def milk_with_test(root: Path) -> Tree:
    made = milk(root)
    pictures(root / "MILK10k_Test_Input" / "IL_9000001", isic(9000001, 2))
    table(
        root / "MILK10k_Test_Metadata.csv",
        ("lesion_id", "image_type", "isic_id"),
        [("IL_9000001", TYPES[k], name) for k, name in enumerate(isic(9000001, 2))],
    )
    return made


MILK10K: Layouts = {
    "training": milk,
    "with the test part": milk_with_test,
    "dermoscopic": lambda root: milk(root, image_type="dermoscopic"),
    "clinical": lambda root: milk(root, image_type="clinical"),
    "doubled folders": lambda root: milk(root, "MILK10k_Training_Input/MILK10k_Training_Input/{lesion}"),
    "one folder": lambda root: milk(root, "images"),
}
