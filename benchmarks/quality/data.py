"""Cuts the images of two classes of HAM10000 to squares of 64 px and writes them into one npz file.

    python benchmarks/quality/data.py HAM10000_ROOT OUT.npz

Per class: `train`, the images that generators are fitted to, and `held`, images of other lesions, with which samples
are compared.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = ("bkl", "nv")
TRAIN, HELD = 400, 300


def main(root: Path, out: Path) -> None:
    folders = [folder for folder in (root, *root.rglob("*")) if folder.is_dir()]
    files = {path.stem: path for folder in folders for path in folder.glob("ISIC_*.jpg")}
    table = next(iter(root.rglob("HAM10000_metadata*")))
    with table.open(newline="") as handle:
        rows = sorted(csv.DictReader(handle), key=lambda row: (row["lesion_id"], row["image_id"]))
    draw = np.random.default_rng(0)
    arrays = {}
    for name in CLASSES:
        of_class = [row for row in rows if row["dx"] == name and row["image_id"] in files]
        lesions = sorted({row["lesion_id"] for row in of_class})
        draw.shuffle(lesions)
        place = {lesion: k for k, lesion in enumerate(lesions)}
        of_class.sort(key=lambda row: place[row["lesion_id"]])
        train = of_class[:TRAIN]
        used = {row["lesion_id"] for row in train}
        held = [row for row in of_class if row["lesion_id"] not in used][:HELD]
        for part, chosen in (("train", train), ("held", held)):
            images = [_square(files[row["image_id"]]) for row in chosen]
            arrays[f"{name}_{part}"] = np.stack(images).transpose(0, 3, 1, 2)
    np.savez_compressed(out, **arrays)


def _square(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        side = min(image.size)
        left, top = ((length - side) // 2 for length in image.size)
        cut = image.convert("RGB").crop((left, top, left + side, top + side))
        return np.asarray(cut.resize((64, 64), Image.Resampling.LANCZOS))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
