"""How often the memorization screen flags real images that no generator has made, and finds copies, on HAM10000.

    python benchmarks/calibration/memorization.py HAM10000_ROOT [SEEDS] [NETWORKS]

For each seed, the lesions of six classes are divided anew: 65% train, 15% held out, 20% test. In place of samples are
200 test images (or as many as there are), which must not be flagged, and copies of training images, alone or among
test images, which must be. Features are of reference networks fitted to the seed's own training images, for the first
NETWORKS seeds; for all seeds, of networks fitted to nv, which has no part in the test; with 0 NETWORKS, pixels
alone are compared. Prints a table in Markdown.
"""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from derm_bench.fidelity.copies import pixel_distances
from derm_bench.fidelity.memorization import apart, screen
from derm_bench.fidelity.reference import Reference, fit_reference
from derm_bench.fidelity.screened import ALPHA, SAMPLES
from derm_bench.images import ImageSet
from derm_bench.stats.families import holm

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "vasc")
OTHER, OTHERS = "nv", 1_000
ALTERED = 3
"""Copies are looked for under this many seeds."""


def main(root: Path, seeds: int = 20, networks: int = 2) -> None:
    torch.set_num_threads(2)
    images, labels, groups = _read(root)
    apart_from = [i for i, name in enumerate(labels) if name == OTHER]
    shared = _features(images, labels, groups, apart_from) if networks else None
    found: Counter[tuple[str, str]] = Counter()
    for seed in range(seeds):
        part = _parts(labels, groups, seed)
        spaces = {"pixels": None} | ({"features, networks of nv": shared} if networks else {})
        if seed < networks:
            spaces["features, own networks"] = _features(
                images, labels, groups, [i for i, name in enumerate(part) if name == "train"]
            )
        for space, features in spaces.items():
            _count(found, space, features, (images, labels, groups, part), seed)
        print(f"seed {seed}: {dict(found)}", file=sys.stderr, flush=True)
    _table(found, {space: networks if "own" in space else seeds for space, _ in found})


def _count(found, space, features, data, seed):
    """Count the flags of each kind of sample: a seed is flagged if one of its classes is."""
    p_values: dict[str, list[float]] = {}
    for name in CLASSES:
        for kind, p_value in _tests(features, data, name, seed).items():
            p_values.setdefault(kind, []).append(p_value)
    for kind, own in p_values.items():
        found[space, kind] += any(p is not None and p < ALPHA for p in holm(own))
        found[space, f"{kind}, single tests"] += sum(p < ALPHA for p in own)


def _tests(features, data, name, seed):
    images, labels, groups, part = data
    rng = np.random.default_rng([seed, CLASSES.index(name)])
    rows = {
        which: np.array([i for i in range(len(labels)) if labels[i] == name and part[i] == which])
        for which in ("train", "held out", "test")
    }
    real = rng.permutation(rows["test"])[:SAMPLES]
    copies = rng.choice(rows["train"], len(real))
    tenth = max(1, len(real) // 10)
    kinds = {
        "held-out real images": images[real],
        "copies": images[copies],
        "copies, mirrored, moved by 2 px, JPEG of quality 75": _altered(images[copies]),
        "one copy in ten": np.concatenate([images[copies[:tenth]], images[real[tenth:]]]),
    }
    out = {}
    for kind, samples in kinds.items():
        if seed >= ALTERED and kind != "held-out real images":
            continue
        if features is None:
            given = torch.from_numpy(samples)
            tables = [
                pixel_distances(given, torch.from_numpy(images[rows[side]])) for side in ("train", "held out")
            ]
        else:
            extract, known = features
            given = extract(torch.from_numpy(samples))
            tables = [apart(given, known[rows[side]]) for side in ("train", "held out")]
        sides = ([groups[i] for i in rows[side]] for side in ("train", "held out"))
        out[kind] = screen(*tables, *sides, seed).p_value
    return out


def _altered(images):
    out = []
    for image in np.roll(images[..., ::-1], (2, -2), (2, 3)):
        buffer = io.BytesIO()
        Image.fromarray(image.transpose(1, 2, 0)).save(buffer, "JPEG", quality=75)
        out.append(np.asarray(Image.open(buffer)).transpose(2, 0, 1))
    return np.stack(out)


def _features(images, labels, groups, rows):
    """An extractor fitted to the images of these rows, and the features of all images."""
    names = tuple(sorted({labels[i] for i in rows}))
    train = ImageSet(
        images=torch.from_numpy(images[rows]),
        labels=torch.tensor([names.index(labels[i]) for i in rows]),
        classes=names,
        ids=tuple(map(str, rows)),
        groups=tuple(groups[i] for i in rows),
    )
    extract = Reference.load(fit_reference(train), names)
    return extract, extract(torch.from_numpy(images))


def _parts(labels, groups, seed):
    rng, part = np.random.default_rng(seed), {}
    for name in CLASSES:
        own = sorted({group for group, label in zip(groups, labels, strict=True) if label == name})
        rng.shuffle(own)
        ends = round(0.65 * len(own)), round(0.8 * len(own))
        for k, group in enumerate(own):
            part[group] = "train" if k < ends[0] else "held out" if k < ends[1] else "test"
    return [part.get(group, "") for group in groups]


def _read(root):
    files = {path.stem: path for path in root.rglob("ISIC_*.jpg")}
    with next(iter(root.rglob("HAM10000_metadata*"))).open(newline="") as handle:
        rows = sorted(csv.DictReader(handle), key=lambda row: row["image_id"])
    rows = [row for row in rows if row["dx"] in CLASSES] + [r for r in rows if r["dx"] == OTHER][:OTHERS]
    images = np.stack([_square(files[row["image_id"]]) for row in rows])
    return images, [row["dx"] for row in rows], [row["lesion_id"] for row in rows]


def _square(path):
    with Image.open(path) as image:
        image.draft("RGB", (150, 150))
        side = min(image.size)
        left, top = ((length - side) // 2 for length in image.size)
        cut = image.convert("RGB").crop((left, top, left + side, top + side))
        return np.asarray(cut.resize((64, 64), Image.Resampling.LANCZOS)).transpose(2, 0, 1)


def _table(found, seeds):
    print(
        "| space | in place of samples | seeds with a flag | single tests with p < 0.05 |\n|---|---|---|---|"
    )
    for (space, kind), n in found.items():
        if not kind.endswith("single tests"):
            n_seeds = seeds[space] if kind == "held-out real images" else min(ALTERED, seeds[space])
            single = found[space, f"{kind}, single tests"]
            print(f"| {space} | {kind} | {n} of {n_seeds} | {single} of {n_seeds * len(CLASSES)} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
