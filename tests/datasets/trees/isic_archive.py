"""The ISIC archive and MILK10k, with the file names of their archives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.datasets.trees.build import Tree, isic, one_hot, pictures, table, without

Layouts = dict[str, Callable[[Path], Tree]]

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
