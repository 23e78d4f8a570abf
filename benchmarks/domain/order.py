"""Do the `_domain` distances order images as an eye does? Damages images of HAM10000 step by step and measures them.

    python benchmarks/quality/data.py HAM10000_ROOT reals.npz
    python benchmarks/domain/order.py reals.npz OUT.md [--references 5]

The reference networks are fitted to the training images of two classes as the stage `reference` does, once under each
of five seeds. Every series damages 300 images of one class more and more; the images that they are compared with are of
other lesions. For each series: Spearman's rank correlation of the distance with the step. For twelve sets of different
kinds: Kendall's rank correlation of the distances under each two of the seeds.
"""

from __future__ import annotations

import argparse
import io
import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.stats import kendalltau, spearmanr
from torch.nn import functional as F

from derm_bench.fidelity import reference
from derm_bench.fidelity.by_network import NETWORKS, by_network
from derm_bench.fidelity.distances import gaussian_distance
from derm_bench.images import ImageSet

CLASS = "bkl"
SOURCE = 300
THREADS = 2
# Sets of different kinds, with the step of each; some are far apart, and some nearly alike.
MIXED = (
    ("real", 0), ("noise", 0), ("noise", 3), ("blur", 3), ("checkerboard", 1), ("JPEG quality", 2), ("colour shift", 3),
    ("blocks shuffled", 1), ("blocks shuffled", 4), ("mode dropping", 3), ("outliers", 2), ("outliers", 4),
)  # fmt: skip
Series = dict[str, list[torch.Tensor]]


def series(images: torch.Tensor) -> Series:
    """Return the damaged sets by kind, each series from mild to strong; images are uint8 [N,3,64,64]."""
    draw = torch.Generator().manual_seed(0)
    steps: dict[str, tuple[Callable[[float], torch.Tensor], tuple[float, ...]]] = {
        "noise": (lambda level: _noisy(images, level, draw), (2, 5, 10, 20, 40)),
        "blur": (lambda sigma: _blurred(images, sigma), (0.7, 1, 1.5, 2, 3)),
        "checkerboard": (lambda level: _checked(images, level), (2, 4, 8, 16, 32)),
        "JPEG quality": (lambda quality: _compressed(images, int(quality)), (90, 60, 35, 15, 5)),
        "colour shift": (lambda level: _tinted(images, level), (4, 8, 16, 32, 64)),
        "blocks shuffled": (lambda share: _shuffled(images, share, draw), (0.1, 0.25, 0.5, 0.75, 1)),
        "mode dropping": (lambda kept: images[torch.arange(len(images)) % int(kept)], (100, 40, 15, 5, 1)),
        "outliers": (lambda share: _outliers(images, share, draw), (0.01, 0.03, 0.1, 0.3, 1)),
    }
    return {name: [damage(step) for step in values] for name, (damage, values) in steps.items()}


def snapshots(images: torch.Tensor) -> list[torch.Tensor]:
    """Return 300 samples of our DCGAN after more and more updates, from the last to the first: worse and worse. One
    thread fits it, as the number of threads changes the rounding, and with it the GAN."""
    from derm_bench.lazy import create
    from derm_bench.plugins import Plugins
    from derm_bench.specs import SampleRequest, Task
    from derm_bench.training.stage_run import StageRun, seed_everything

    spec = Plugins().get("generator", "dcgan")
    options = spec.options.model_validate({"base": 24, "batch_size": 32, "lr": 5e-4, "ema": 0.97})
    labels = torch.zeros(len(images), dtype=torch.long)
    ids = tuple(map(str, range(len(images))))
    train = ImageSet(images, labels, (CLASS,), ids, ids)
    made = []
    torch.set_num_threads(1)
    for updates in (480, 240, 120, 60, 30):
        seed_everything(0)
        gan = create(spec, options, Task((CLASS,), images.shape[-1]))
        gan.fit(train, StageRun(seed=0, budget=updates, device="cpu", precision="fp32"))
        made.append(gan.sample(SampleRequest(0, SOURCE, 0), train).images)
    torch.set_num_threads(THREADS)
    return made


def main() -> None:
    given = _parse()
    torch.set_num_threads(THREADS)
    reals = {name: torch.from_numpy(array) for name, array in np.load(given.reals).items()}
    classes = sorted({name.rpartition("_")[0] for name in reals})
    images = torch.cat([reals[f"{name}_train"] for name in classes])
    labels = torch.cat([torch.full((len(reals[f"{name}_train"]),), k) for k, name in enumerate(classes)])
    ids = tuple(map(str, range(len(images))))
    train = ImageSet(images, labels, tuple(classes), ids, ids)
    source, held = reals[f"{CLASS}_train"][:SOURCE], reals[f"{CLASS}_held"]
    sets = {"real": [source]} | series(source)
    if given.snapshots:
        sets["undertrained snapshots"] = snapshots(reals[f"{CLASS}_train"])
    found, seconds = [], []
    for k in range(given.references):
        reference.SEED = 20_261_101 + 1000 * k
        began = time.perf_counter()
        state = reference.fit_reference(train)
        seconds.append(time.perf_counter() - began)
        found.append(_measure(reference.Reference.load(state, len(classes)), held, sets))
        print(f"reference {k}: fitted in {seconds[-1]:.1f} s", flush=True)
    given.out.write_text(_written(found, seconds))
    print(given.out.read_text())


def _measure(extractor: reference.Reference, held: torch.Tensor, sets: Series) -> dict[str, list[float]]:
    real = by_network(extractor(held))

    def distance(images: torch.Tensor) -> float:
        fake = by_network(extractor(images))
        return statistics.fmean(
            gaussian_distance(x, y, groups=0).value for x, y in zip(real, fake, strict=True)
        )

    return {name: [distance(images) for images in steps] for name, steps in sets.items()}


def _written(found: list[dict[str, list[float]]], seconds: list[float]) -> str:
    rows = [
        "| series | distance from mild to strong, mean over seeds | Spearman, worst seed |",
        "|---|---|---|",
    ]
    for name in found[0]:
        means = [statistics.fmean(column) for column in zip(*(one[name] for one in found), strict=True)]
        cells = ", ".join(f"{value:.4f}" for value in means)
        worst = (
            min(spearmanr(range(len(means)), one[name]).statistic for one in found)
            if len(means) > 1
            else None
        )
        rows.append(f"| {name} | {cells} | {'' if worst is None else format(worst, '.2f')} |")
    ranked = [[one[name][step] for name, step in MIXED] for one in found]
    agreement = [float(kendalltau(a, b).statistic) for a, b in itertools.combinations(ranked, 2)]
    lines = [*rows, ""]
    if agreement:
        lines.append(
            f"Kendall's rank correlation of the twelve mixed sets under each two of {len(found)} seeds: mean "
            f"{statistics.fmean(agreement):.3f}, from {min(agreement):.3f} to {max(agreement):.3f}."
        )
    lines.append(f"Seconds to fit the {NETWORKS} networks: {', '.join(format(s, '.1f') for s in seconds)}.")
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------------------------------- damage


def _bytes(images: torch.Tensor) -> torch.Tensor:
    return images.round().clamp(0, 255).byte()


def _noisy(images: torch.Tensor, deviation: float, draw: torch.Generator) -> torch.Tensor:
    return _bytes(images + deviation * torch.randn(images.shape, generator=draw))


def _blurred(images: torch.Tensor, sigma: float) -> torch.Tensor:
    place = torch.arange(-9, 10).float()
    kernel = torch.exp(-place.square() / (2 * sigma**2))
    row = (kernel / kernel.sum()).expand(3, 1, 1, 19)
    padded = F.pad(images.float(), (9, 9, 9, 9), mode="reflect")
    return _bytes(F.conv2d(F.conv2d(padded, row, groups=3), row.transpose(2, 3), groups=3))


def _checked(images: torch.Tensor, level: float) -> torch.Tensor:
    place = torch.arange(images.shape[-1])
    board = (place[:, None] + place[None]) % 2 * 2.0 - 1
    return _bytes(images + level * board)


def _compressed(images: torch.Tensor, quality: int) -> torch.Tensor:
    made = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
        made.append(torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1))
    return torch.stack(made)


def _tinted(images: torch.Tensor, level: float) -> torch.Tensor:
    return _bytes(images + torch.tensor([-level, 0.0, level]).view(3, 1, 1))


def _shuffled(images: torch.Tensor, share: float, draw: torch.Generator) -> torch.Tensor:
    """Return the images, of a share of which the 4x4 blocks are in another order."""
    made = images.clone()
    for k in range(int(share * len(images))):
        blocks = images[k].unfold(1, 16, 16).unfold(2, 16, 16).reshape(3, 16, 16, 16)
        blocks = blocks[:, torch.randperm(16, generator=draw)].reshape(3, 4, 4, 16, 16)
        made[k] = blocks.permute(0, 1, 3, 2, 4).reshape(3, 64, 64)
    return made


def _outliers(images: torch.Tensor, share: float, draw: torch.Generator) -> torch.Tensor:
    """Return the images, of a share of which are uniform noise."""
    made = images.clone()
    count = round(share * len(images))
    made[:count] = torch.randint(0, 256, made[:count].shape, generator=draw, dtype=torch.uint8)
    return made


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("reals", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--references", type=int, default=5, help="seeds of the reference networks")
    parser.add_argument("--snapshots", action="store_true", help="also fit a DCGAN (minutes)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
