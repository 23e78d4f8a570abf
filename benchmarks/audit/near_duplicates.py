"""Measures on HAM10000 how many versions of an image the audit finds across a split, and how often it errs.

python benchmarks/audit/near_duplicates.py DATA [--versions 400] [--size 64] [--seed 0]

A version is made from the file at its own size, saved as JPEG, and stored as the decode stage stores images. Each
kind is made of other images of the training part, and put into the test part under a lesion of its own. The pairs of
images that were there before and belong to different lesions are false alarms, unless a person sees that they show
one lesion.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance

from derm_bench.audit.images import AuditedImages
from derm_bench.audit.near_duplicates import near_duplicates
from derm_bench.training.resize import fit_square

Picture = Image.Image
Maker = Callable[[Picture, np.random.Generator], Picture]


def crop(picture: Picture, rng: np.random.Generator) -> Picture:
    """A crop of 80% of the area with the same aspect ratio, anywhere."""
    width, height = (round(side * 0.8**0.5) for side in picture.size)
    left, top = rng.integers(0, picture.width - width + 1), rng.integers(0, picture.height - height + 1)
    return picture.crop((left, top, left + width, top + height))


def jpeg(picture: Picture, quality: int) -> Picture:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(io.BytesIO(buffer.getvalue())).convert("RGB")


def lighter(picture: Picture, rng: np.random.Generator) -> Picture:
    return ImageEnhance.Brightness(picture).enhance(float(rng.choice([0.8, 1.2])))


def mirrored(picture: Picture, rng: np.random.Generator) -> Picture:
    return picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)


def everything(picture: Picture, rng: np.random.Generator) -> Picture:
    return jpeg(lighter(mirrored(crop(picture, rng), rng), rng), 30)


KINDS: dict[str, Maker] = {
    "crop of 80% of the area": lambda picture, rng: jpeg(crop(picture, rng), 90),
    "JPEG quality 30": lambda picture, rng: jpeg(picture, 30),
    "brightness +-20%": lambda picture, rng: jpeg(lighter(picture, rng), 90),
    "mirrored": lambda picture, rng: jpeg(mirrored(picture, rng), 90),
    "all four at once": everything,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="the folder of HAM10000")
    parser.add_argument("--versions", type=int, default=400, help="versions of each kind")
    parser.add_argument("--size", type=int, default=64, help="stored side in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(1)
    images, versions = build(given)
    began, worked = time.perf_counter(), time.process_time()
    found = near_duplicates(images, threads=given.threads)
    seconds = time.perf_counter() - began, time.process_time() - worked
    report(images, versions, found, seconds)


def build(given: argparse.Namespace) -> tuple[AuditedImages, dict[str, dict[str, str]]]:
    """The images with the planted versions, and by kind the original of each version."""
    with next(given.data.glob("HAM10000_metadata*")).open(newline="") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["image_id"])[:10_000]
    files = {path.stem: path for path in given.data.rglob("ISIC_*.jpg")}
    rng = np.random.default_rng(given.seed)
    lesions = sorted({row["lesion_id"] for row in rows})
    part_of = dict(
        zip(lesions, rng.choice(["train", "val", "test"], len(lesions), p=[0.7, 0.1, 0.2]), strict=True)
    )
    train = [row["image_id"] for row in rows if part_of[row["lesion_id"]] == "train"]
    chosen = rng.choice(len(train), (len(KINDS), given.versions), replace=False)

    def stored(picture: Picture) -> np.ndarray:
        return fit_square(np.asarray(picture), None, given.size, "center-crop")[0]

    def original(row: dict[str, str]) -> np.ndarray:
        return stored(Image.open(files[row["image_id"]]).convert("RGB"))

    def version(place: tuple[int, int]) -> np.ndarray:
        maker = list(KINDS.values())[place[0]]
        name = train[chosen[place]]
        return stored(
            maker(Image.open(files[name]).convert("RGB"), np.random.default_rng([given.seed, *place]))
        )

    places = [(k, i) for k in range(len(KINDS)) for i in range(given.versions)]
    with ThreadPoolExecutor(given.threads) as pool:
        pixels = np.stack([*pool.map(original, rows), *pool.map(version, places)])
    names = [
        f"{kind} of {train[chosen[k, i]]}" for k, kind in enumerate(KINDS) for i in range(given.versions)
    ]
    ids = [row["image_id"] for row in rows] + names
    made = {kind: {f"{kind} of {train[i]}": train[i] for i in chosen[k]} for k, kind in enumerate(KINDS)}
    images = AuditedImages(
        ids=ids,
        labels=[row["dx"] for row in rows] + [""] * len(names),
        groups=[row["lesion_id"] for row in rows] + names,
        parts=[str(part_of[row["lesion_id"]]) for row in rows] + ["test"] * len(names),
        classes=(),
        pixels=pixels,
        rows=np.arange(len(ids)),
        pixel_digests=[""] * len(ids),
        file_digests=[""] * len(ids),
    )
    return images, made


def report(
    images: AuditedImages, versions: dict[str, dict[str, str]], found: list, seconds: tuple[float, float]
) -> None:
    pairs = {frozenset((images.ids[pair.first], images.ids[pair.second])) for pair in found}
    took = f"{seconds[0]:.0f} s, {seconds[1]:.0f} s of the processor"
    print(f"{len(images):,} images of {images.pixels.shape[1]} px, {took}\n")
    print("| version | found |\n|---|---|")
    planted = set()
    for kind, originals in versions.items():
        hits = sum(frozenset(pair) in pairs for pair in originals.items())
        print(f"| {kind} | {hits / len(originals):.1%} of {len(originals)} |")
        planted |= set(originals)
    wrong = sorted((pair for pair in found if not planted & {images.ids[pair.first], images.ids[pair.second]}),
                   key=lambda pair: -pair.agreement)  # fmt: skip
    concerned = {i for pair in wrong for i in pair[:2]}
    before = len(images) - len(planted)
    print(f"\nPairs of different lesions among the {before:,} original images: {len(wrong)}, "
          f"with {len(concerned)} images ({len(concerned) / before:.2%})\n")  # fmt: skip
    for pair in wrong:
        print(f"{images.ids[pair.first]} {images.ids[pair.second]} {pair.agreement}", file=sys.stderr)


if __name__ == "__main__":
    main()
