"""The ISIC challenges of 2020 and 2024, whose tables name patients, with the file names of their archives."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from tests.datasets.trees.build import SIDES, Tree, isic, pictures, table, without

Layouts = dict[str, Callable[[Path], Tree]]

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
