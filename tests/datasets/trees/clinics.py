"""Data sets of clinics and atlases, with the file names and columns of their archives."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from tests.datasets.trees.build import Tree, mask, picture, pictures, table, without

Layouts = dict[str, Callable[[Path], Tree]]

# ----------------------------------------------------------------------------------- PAD-UFES-20

COLUMNS_PAD = (
    "patient_id", "lesion_id", "smoke", "drink", "background_father", "background_mother", "age", "pesticide",
    "gender", "skin_cancer_history", "cancer_history", "has_piped_water", "has_sewage_system", "fitspatrick",
    "region", "diameter_1", "diameter_2", "diagnostic", "itch", "grew", "hurt", "changed", "bleed", "elevation",
    "img_id", "biopsed",
)  # fmt: skip
OF_PAD = ("BCC", "ACK", "NEV", "SEK", "SCC", "MEL")


def pad(root: Path, place: str = "imgs_part_{part}", task: str = "", suffix: str = ".png") -> Tree:
    labels, rows, patients = {}, [], {}
    for k in range(12):
        code, patient = OF_PAD[k % 6], k // 2
        name = f"PAT_{patient}_{10 + k}_{100 + k}"
        picture(root / place.format(part=k % 3 + 1) / f"{name}{suffix}")
        known = {
            "patient_id": f"PAT_{patient}", "lesion_id": str(10 + k), "age": "8" if k == 0 else "55",
            "gender": "" if k == 0 else "FEMALE", "fitspatrick": "" if k == 0 else "3.0", "region": "ARM",
            "diagnostic": code, "img_id": f"{name}.png", "biopsed": "True",
        }  # fmt: skip
        rows.append([known.get(column, "") for column in COLUMNS_PAD])
        cancer = "malignant" if code in ("BCC", "SCC", "MEL") else "benign"
        labels[name] = cancer if task == "malignancy" else code
        patients.setdefault(patient, set()).add(name)
    file = table(root / "metadata.csv", COLUMNS_PAD, rows)
    first, second = list(labels)[:2]
    return Tree(
        {"root": root} | ({"task": task} if task else {}),
        labels,
        list(patients.values()),
        attributes={
            "age": {first: 8.0},
            "sex": {first: None, second: "female"},
            "tone": {first: None, second: "3"},
            "site": {first: "ARM"},
        },
        spoil=without(file, "diagnostic"),
    )


PAD_UFES_20: Layouts = {
    "three parts": pad,
    "doubled folders": lambda root: pad(root, "imgs_part_{part}/imgs_part_{part}"),
    "as unpacked": lambda root: pad(root, "images/imgs_part_{part}"),
    "one folder": lambda root: pad(root, "images"),
    "downscaled": lambda root: pad(root, "images_128", suffix=".jpg"),
    "task: malignancy": lambda root: pad(root, task="malignancy"),
}

# -------------------------------------------------------------------------------- Fitzpatrick17k

COLUMNS_FITZPATRICK = (
    "md5hash", "fitzpatrick_scale", "fitzpatrick_centaur", "label", "nine_partition_label",
    "three_partition_label", "qc", "url", "url_alphanum",
)  # fmt: skip
CONDITIONS = (
    ("psoriasis", "inflammatory", "non-neoplastic"),
    ("melanoma", "malignant melanoma", "malignant"),
    ("seborrheic keratosis", "benign epidermal", "benign"),
)


def fitzpatrick(root: Path, place: str = "images", label: str = "", index: bool = False) -> Tree:
    names = [hashlib.md5(str(k).encode(), usedforsecurity=False).hexdigest() for k in range(9)]
    pictures(root / place, names)
    rows = []
    for k, name in enumerate(names):
        tone = "-1" if k == 0 else str(k % 6 + 1)
        row = (
            name,
            tone,
            tone,
            *CONDITIONS[k % 3],
            "",
            f"https://example.org/{k}.jpg",
            f"httpsexampleorg{k}jpg",
        )
        rows.append((str(k), *row) if index else row)
    header = ("", *COLUMNS_FITZPATRICK) if index else COLUMNS_FITZPATRICK
    file = table(root / "fitzpatrick17k.csv", header, rows)
    at = COLUMNS_FITZPATRICK.index(label or "label") - 3
    return Tree(
        {"root": root} | ({"label_column": label} if label else {}),
        {name: CONDITIONS[k % 3][at] for k, name in enumerate(names)},
        None,
        attributes={"tone": {names[0]: None, names[1]: "2"}},
        spoil=without(file, "md5hash"),
    )


FITZPATRICK17K: Layouts = {
    "images": fitzpatrick,
    "finalfitz17k": lambda root: fitzpatrick(root, "data/finalfitz17k"),
    "beside the table": lambda root: fitzpatrick(root, "."),
    "index column": lambda root: fitzpatrick(root, index=True),
    "three classes": lambda root: fitzpatrick(root, label="three_partition_label"),
    "nine classes": lambda root: fitzpatrick(root, label="nine_partition_label"),
}

# ------------------------------------------------------------------------------------------- DDI


def ddi(root: Path, place: str = ".", task: str = "") -> Tree:
    labels, rows = {}, []
    diseases = ("melanoma", "melanocytic-nevi", "mycosis-fungoides", "seborrheic-keratosis")
    for k in range(8):
        name, bad = f"{k + 1:06d}", k % 2 == 0
        picture(root / place / f"{name}.png")
        rows.append((k, k + 1, f"{name}.png", (12, 34, 56)[k % 3], bad, diseases[k % 4]))
        labels[name] = diseases[k % 4] if task == "diagnosis" else "malignant" if bad else "benign"
    file = table(
        root / "ddi_metadata.csv", ("", "DDI_ID", "DDI_file", "skin_tone", "malignant", "disease"), rows
    )
    return Tree(
        {"root": root} | ({"task": task} if task else {}),
        labels,
        None,
        dict.fromkeys(labels, "test"),
        {"tone": {"000001": "12", "000002": "34", "000003": "56"}},
        spoil=without(file, "skin_tone"),
    )


DDI: Layouts = {
    "beside the table": ddi,
    "one folder": lambda root: ddi(root, "images"),
    "doubled folders": lambda root: ddi(root, "ddidiversedermatologyimages/ddidiversedermatologyimages"),
    "task: diagnosis": lambda root: ddi(root, task="diagnosis"),
}

# ------------------------------------------------------------------------------------------- PH2

OF_PH2 = ("common nevus", "atypical nevus", "melanoma")
NAMES_PH2 = ("IMD002", "IMD003", "IMD009", "IMD058", "IMD061", "IMD417")


def ph2_images(root: Path, flat: bool = False) -> dict[str, str]:
    for name in NAMES_PH2:
        folder = root / "images" if flat else root / "PH2 Dataset images" / name
        picture((folder if flat else folder / f"{name}_Dermoscopic_Image") / f"{name}.bmp")
        mask((folder if flat else folder / f"{name}_lesion") / f"{name}_lesion.bmp")
        if not flat:
            mask(folder / f"{name}_roi" / f"{name}_R1_Label3.bmp")
    return {name: OF_PH2[k // 2] for k, name in enumerate(NAMES_PH2)}


def ph2(root: Path, flat: bool = False) -> Tree:
    labels = ph2_images(root, flat)
    header = ("Image Name", "Histological Diagnosis", "Clinical Diagnosis", "Asymmetry")
    file = table(
        root / "PH2_dataset.csv",
        header,
        [(name, "", OF_PH2.index(label), 0) for name, label in labels.items()],
    )
    return Tree({"root": root}, labels, masks=True, spoil=without(file, "Clinical Diagnosis"))


LEGEND_PH2 = """
Legends

Histological Diagnosis:
\tCommon Nevus (0), Atypical Nevus (1), Melanoma (2);

Asymmetry:
\t0 - Fully Symmetry
"""


def ph2_text(root: Path) -> Tree:
    """The text file of the archive: columns between double bars, and a legend below."""
    labels = ph2_images(root / "PH2Dataset")
    lines = ["|| Name || Histological Diagnosis || Clinical Diagnosis || Asymmetry || Colors      ||"]
    lines += [
        f"|| {name} ||               ||            {OF_PH2.index(label)}            ||       0        || 3  4     ||"
        for name, label in labels.items()
    ]
    file = root / "PH2Dataset" / "PH2_dataset.txt"
    file.write_text("\n".join(lines) + "\n" + LEGEND_PH2)
    return Tree({"root": root}, labels, masks=True, spoil=without(file, "Clinical Diagnosis"))


def ph2_sheet(root: Path, marks: bool = True) -> Tree:
    """The sheet of the archive: a legend above, and an X in the column of the diagnosis."""
    openpyxl = __import__("pytest").importorskip("openpyxl")
    labels = ph2_images(root)
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["PH2 Dataset"])
    sheet.append([])
    sheet.append(["", "", "Clinical Diagnosis"])
    named = ("Common Nevus", "Atypical Nevus", "Melanoma")
    sheet.append(["Image Name", "Histological Diagnosis", *named, "Asymmetry\n(0/1/2)"])
    for name, label in labels.items():
        sheet.append([name, None, *("X" if code == label else None for code in OF_PH2), 0])
    book.save(root / "PH2_dataset.xlsx")
    return Tree({"root": root}, labels, masks=True)


PH2: Layouts = {
    "csv": ph2,
    "txt": ph2_text,
    "xlsx": ph2_sheet,
    "one folder": lambda root: ph2(root, flat=True),
}

# --------------------------------------------------------------------------------------- DermNet

FOLDERS_DERMNET = (
    "Acne and Rosacea Photos",
    "Nail Fungus and other Nail Disease",
    "Vascular Tumors",
    "Warts Molluscum and other Viral Infections",
)


def dermnet(root: Path, place: str = "{split}") -> Tree:
    labels, given = {}, {}
    for split in ("train", "test"):
        for folder in FOLDERS_DERMNET:
            for k in range(2):
                below = f"{place.format(split=split)}/{folder}/07{split}Rhinophyma{k}.jpg"
                picture(root / below, below)
                labels[below], given[below] = folder, split
    return Tree({"root": root}, labels, None, given)


DERMNET: Layouts = {
    "train and test": dermnet,
    "doubled folders": lambda root: dermnet(root, "dermnet/{split}"),
}
