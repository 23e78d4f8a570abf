"""How often the memorization screen flags images that copy nothing, and how often it finds copies, on HAM10000.

    python benchmarks/calibration/memorization.py HAM10000_ROOT [SEEDS] [NETWORKS]

For each seed, the lesions of six classes are divided anew: 65% train, 15% held out, 20% test. In place of samples
are, for each class, 100 images (or as many as test has) of the kinds below. A seed is flagged if one of its classes
is, after Holm's correction. Under `members` half of the training images stand for the held-out ones. Distances are
in pixels, and, for the first NETWORKS seeds, in features of reference networks that are fitted to the training
images. Prints tables in Markdown.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.io import decode_image, encode_jpeg
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2.functional import center_crop, gaussian_blur, resize, rotate

from derm_bench.fidelity.copies import pixel_distances
from derm_bench.fidelity.halves import split_halves
from derm_bench.fidelity.memorization import apart, screen
from derm_bench.fidelity.reference import Reference, fit_reference
from derm_bench.fidelity.screened import ALPHA
from derm_bench.images import ImageSet
from derm_bench.stats.families import holm

Space = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "vasc")
COMPONENTS = 30
SAMPLES = 100


def main(root: Path, seeds: int = 20, networks: int = 2) -> None:
    torch.set_num_threads(2)
    data = _read(root)
    spaces: dict[str, Space] = {"pixels": pixel_distances}
    tables: dict[str, dict[str, list[dict[str, float]]]] = {}
    for seed in range(seeds):
        part = _parts(*data[1:], seed)
        own = {"networks fitted to train": _between(_fitted(*data, part))} if seed < networks else {}
        for name, space in (spaces | own).items():
            for kind, p_values in _tests(space, data, part, seed).items():
                tables.setdefault(name, {}).setdefault(kind, []).append(p_values)
        print(f"seed {seed} is done", file=sys.stderr, flush=True)
    for name, found in tables.items():
        _table(name, found)


def _tests(space, data, part, seed):
    """The p value of each class by kind of sample, and by kind with halves of train as both sides."""
    images, labels, groups = data
    found: dict[str, dict[str, float]] = {}
    for name in CLASSES:
        rng = np.random.default_rng([seed, CLASSES.index(name)])
        rows = {
            which: np.array([i for i in range(len(labels)) if labels[i] == name and part[i] == which])
            for which in ("train", "held out", "test")
        }
        train, held_out = (torch.from_numpy(images[rows[side]]) for side in ("train", "held out"))
        of = [[groups[i] for i in rows[side]] for side in ("train", "held out")]
        one, other = split_halves([str(i) for i in rows["train"]], of[0])
        halves = [[of[0][i] for i in half] for half in (one, other)]
        for kind, samples in _kinds(images, rows, rng).items():
            near, far = space(samples, train), space(samples, held_out)
            found.setdefault(kind, {})[name] = screen(near, far, *of, seed).p_value
            found.setdefault(f"members: {kind}", {})[name] = screen(
                near[:, one], near[:, other], *halves, seed
            ).p_value
    return found


def _kinds(images, rows, rng):
    """Samples uint8 [Q,3,64,64] by kind: first those that copy nothing."""
    real = torch.from_numpy(images[rng.permutation(rows["test"])[:SAMPLES]])
    train = torch.from_numpy(images[rows["train"]])
    copies = train[torch.from_numpy(rng.integers(0, len(train), len(real)))]
    noise = torch.from_numpy(rng.normal(0, 10, copies.shape))

    def among(share):
        n = max(1, round(share * len(real)))
        return torch.cat([copies[:n], real[n:]])

    return {
        "real images of test": real,
        "real images of test, blurred": gaussian_blur(real, [9, 9]),
        f"Gaussian of {COMPONENTS} components of train": _gaussian(train, len(real), rng),
        "copies": copies,
        "copies with noise of 10 levels": (copies + noise).round().clamp(0, 255).byte(),
        "copies, blurred": gaussian_blur(copies, [9, 9]),
        "copies, mirrored, moved by 2 px, JPEG of quality 75": _altered(copies),
        "copies, brighter by a tenth and redder": (copies * torch.tensor([1.2, 1.1, 1.1])[:, None, None])
        .clamp(0, 255)
        .byte(),
        "copies, enlarged by a tenth": center_crop(resize(copies, [70, 70], antialias=True), [64, 64]),
        "copies, rotated by 20 degrees": rotate(copies, 20, InterpolationMode.BILINEAR),
        "30% copies": among(0.3),
        "10% copies": among(0.1),
    }


def _gaussian(train, n, rng):
    """Samples of a normal distribution in the principal components of the training images: a model that is fitted to
    them and cannot store them."""
    flat = train.flatten(1).double().numpy()
    mean = flat.mean(0)
    _, lengths, axes = np.linalg.svd(flat - mean, full_matrices=False)
    k = min(COMPONENTS, len(flat) // 4)
    drawn = mean + rng.normal(size=(n, k)) * (lengths[:k] / np.sqrt(len(flat))) @ axes[:k]
    return torch.from_numpy(drawn.round().clip(0, 255).astype(np.uint8)).reshape(n, *train.shape[1:])


def _altered(copies):
    out = []
    for image in copies.flip(-1).roll((2, -2), (2, 3)):
        out.append(decode_image(encode_jpeg(image, quality=75)))
    return torch.stack(out)


def _between(extract) -> Space:
    """Distances between images in the features of a network."""
    known: dict[int, tuple[torch.Tensor, np.ndarray]] = {}

    def between(x, y):
        if id(y) not in known:
            known[id(y)] = y, extract(y)
        return apart(extract(x), known[id(y)][1])

    return between


def _fitted(images, labels, groups, part):
    """Reference networks that are fitted to the training images."""
    rows = [i for i, name in enumerate(part) if name == "train"]
    names = tuple(sorted({labels[i] for i in rows}))
    train = ImageSet(
        images=torch.from_numpy(images[rows]),
        labels=torch.tensor([names.index(labels[i]) for i in rows]),
        classes=names,
        ids=tuple(map(str, rows)),
        groups=tuple(groups[i] for i in rows),
    )
    return Reference.load(fit_reference(train), names)


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
    rows = [row for row in rows if row["dx"] in CLASSES]
    images = np.stack([_square(files[row["image_id"]]) for row in rows])
    return images, [row["dx"] for row in rows], [row["lesion_id"] for row in rows]


def _square(path):
    with Image.open(path) as image:
        image.draft("RGB", (150, 150))
        side = min(image.size)
        left, top = ((length - side) // 2 for length in image.size)
        cut = image.convert("RGB").crop((left, top, left + side, top + side))
        return np.asarray(cut.resize((64, 64), Image.Resampling.LANCZOS)).transpose(2, 0, 1)


def _table(space, found):
    n = len(found["copies"])
    print(f"\nDistances in {space}, {n} seeds:\n")
    print(
        "| in place of samples | seeds flagged | tests below 0.05 | members: seeds flagged | tests below 0.05 |"
    )
    print("|---|---|---|---|---|")
    for kind in found:
        if not kind.startswith("members"):
            cells = " | ".join(_counted(found[of]) for of in (kind, f"members: {kind}"))
            print(f"| {kind} | {cells} |")


def _counted(seeds):
    flags = sum(any(p is not None and p < ALPHA for p in holm(list(own.values()))) for own in seeds)
    single = [p < ALPHA for own in seeds for p in own.values()]
    return f"{flags} of {len(seeds)} | {sum(single)} of {len(single)}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
