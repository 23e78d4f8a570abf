"""Photographs of faces and hair, and the arrays of MedMNIST, with the file names of their archives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from tests.datasets.trees.build import Tree, mask, picture

Layouts = dict[str, Callable[[Path], Tree]]

# ---------------------------------------------------------------------------------------- ACNE04


def acne(
    root: Path, place: str = "JPEGImages", lists: str = "ImageSets/Main", fold: int | None = None
) -> Tree:
    names = [f"levle{grade}_{k}" for grade in range(4) for k in range(5)]
    for name in names:
        picture(root / place / f"{name}.jpg")
    (root / lists).mkdir(parents=True, exist_ok=True)
    test_of = {}
    for number in range(5):
        for kind in ("trainval", "test"):
            chosen = [name for name in names if (int(name[-1]) == number) == (kind == "test")]
            lines = [f"{name}.jpg  {name[5]}  {3 + int(name[5]) * 10}" for name in chosen]
            file = root / lists / f"NNEW_{kind}_{number}.txt"
            file.write_text("\n".join(lines) + "\n")
        test_of[number] = set(chosen)

    def spoil() -> str:
        of_fold = root / lists / f"NNEW_test_{fold or 0}.txt"
        of_fold.write_text("\n".join(line.split()[0] for line in of_fold.read_text().splitlines()))
        return "(?i)grade"

    tests = test_of[fold or 0]
    return Tree(
        {"root": root} | ({"fold": fold} if fold is not None else {}),
        {name: name[5] for name in names},
        None,
        {name: "test" if name in tests else "train" for name in names},
        {"lesion_count": {"levle2_0": 23}},
        spoil=spoil,
    )


def acne_without_lists(root: Path) -> Tree:
    made = acne(root)
    for file in (root / "ImageSets" / "Main").iterdir():
        file.unlink()
    return Tree({"root": root}, made.labels)


ACNE04: Layouts = {
    "VOC": acne,
    "fold: 3": lambda root: acne(root, fold=3),
    "doubled folders": lambda root: acne(
        root, "Classification/JPEGImages/JPEGImages", "Classification/ImageSets/Main"
    ),
    "lists beside": lambda root: acne(root, "Classification/JPEGImages", "Classification"),
    "no lists": acne_without_lists,
}

# -------------------------------------------------------------------------------------- Figaro1k

HAIR = ("straight", "wavy", "curly", "kinky", "braids", "dreadlocks", "short")


def figaro(root: Path, place: str = ".", masks: bool = True, split: bool = True) -> Tree:
    labels, given = {}, {}
    for k, name in enumerate(HAIR):
        for part, number in (("Training", 150 * k + 1), ("Testing", 150 * k + 150)):
            frame = f"Frame{number:05d}"
            folder = f"/{part}" if split else ""
            picture(root / place / f"Original{folder}" / f"{frame}-org.jpg")
            if masks:
                mask(root / place / f"GT{folder}" / f"{frame}-gt.pbm")
            labels[frame], given[frame] = name, "train" if part == "Training" else "test"
    if masks:
        mask(root / place / f"GT{folder}" / "Frame00150-gt(1).pbm")

    def spoil() -> str:
        picture(root / place / f"Original{folder}" / "Frame01051-org.jpg")
        return "(?i)1051"

    return Tree({"root": root}, labels, None, given if split else None, masks=masks, spoil=spoil)


FIGARO1K: Layouts = {
    "training and testing": figaro,
    "doubled folders": lambda root: figaro(root, "Figaro1k/Figaro1k"),
    "no masks": lambda root: figaro(root, masks=False),
    "one folder": lambda root: figaro(root, split=False),
}

# -------------------------------------------------------------------------------------- MedMNIST

OF_DERMAMNIST = ("akiec", "bcc", "bkl", "df", "mel", "nv", "vasc")
COUNTS = {"train": 14, "val": 7, "test": 7}


def arrays(side: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(side)
    made: dict[str, np.ndarray] = {}
    for part, count in COUNTS.items():
        made[f"{part}_images"] = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
        made[f"{part}_labels"] = (np.arange(count) % 7).astype(np.uint8)[:, None]
    return made


def medmnist(
    root: Path, side: int = 28, compressed: bool = True, folder: str = "", whole: bool = False
) -> Tree:
    name = "dermamnist.npz" if side == 28 else f"dermamnist_{side}.npz"
    (root / folder).mkdir(parents=True, exist_ok=True)
    file = root / folder / name
    (np.savez_compressed if compressed else np.savez)(file, **arrays(side))
    labels, given = {}, {}
    for part, count in COUNTS.items():
        for k in range(count):
            labels[f"{part}/{k:05d}"], given[f"{part}/{k:05d}"] = OF_DERMAMNIST[k % 7], part

    def spoil() -> str:
        kept = {key: value for key, value in arrays(side).items() if key != "val_labels"}
        np.savez_compressed(file, **kept)
        return "val_labels"

    options = {"root": file if whole else root} | ({"side": side} if side != 28 else {})
    return Tree(options, labels, None, given, spoil=spoil)


MEDMNIST: Layouts = {
    "28 pixels": medmnist,
    "64 pixels": lambda root: medmnist(root, 64),
    "not compressed": lambda root: medmnist(root, compressed=False),
    "a folder below": lambda root: medmnist(root, folder="medmnist"),
    "the file": lambda root: medmnist(root, whole=True),
}
