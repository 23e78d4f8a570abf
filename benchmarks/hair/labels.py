"""Do images of `aagan` keep the class of their photograph? A grader that has seen other, real photographs says.

    python benchmarks/hair/volumes.py OUT                  # the networks, unless OUT has them
    python benchmarks/hair/labels.py OUT [--size 64] [--images 1600] [--each 40] [--updates 600]

The grader is a ResNet-18, fitted to photographs of `phantom-scalp` alone. The photographs that `aagan` augments are of
other people. For them and for what is made of them: the share that the grader gives the class of the photograph, with
the interval of Wilson at 95%, and the same per class. OUT gets `labels.md` and `labels.png`: for each class a row of
photographs, and below it a row of images of `aagan`, which are made of others of them. The second command takes more
than ten minutes on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from statsmodels.stats.proportion import proportion_confint
from torchvision.utils import save_image

from derm_bench.images import ImageSet
from derm_bench.matrix.options import compose_options
from derm_bench.specs import SampleRequest, Task
from derm_bench.stages.required import normalisation
from derm_bench.training.feed import FeedOptions
from derm_bench.training.resize import resize_images
from derm_bench.training.stage_run import StageRun, seed_everything
from derm_bench_plugins.classifiers.specs.timm import SPEC as TIMM
from derm_bench_plugins.classifiers.timm_net import make
from derm_bench_plugins.datasets.phantom_scalp.dataset import PhantomScalp
from derm_bench_plugins.datasets.specs.phantom import ScalpOptions
from derm_bench_plugins.generators.aagan import Aagan
from derm_bench_plugins.generators.hair_volume import HairVolume
from derm_bench_plugins.generators.specs.aagan import AaganOptions
from derm_bench_plugins.generators.specs.hair_volume import SPEC as NETWORKS

ARMS: dict[str, dict[str, Any]] = {
    "aagan": {},
    "aagan, not mixed": {"mix": None},
    "warp": {"render": "warp"},
    "maps-only": {"maps_only": True},
}
SHOWN = 8  # photographs of each class in the picture


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--preset", default="small", choices=NETWORKS.presets, help="as for volumes.py")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--images", type=int, default=1600, help="photographs for the grader")
    parser.add_argument("--each", type=int, default=40, help="augmented images of each class and arm")
    parser.add_argument("--updates", type=int, default=600, help="of the grader, 32 images each")
    asked = parser.parse_args()
    seed_everything(0)
    learned = photographs(asked.images, asked.size, seed=1)
    sources = photographs(5 * asked.each, asked.size, seed=2)  # other people
    grader = graded(learned, asked.updates)
    network = fitted(asked.out, asked.preset)
    rows = {"photographs": (sources.images, sources.labels)}
    for name, options in ARMS.items():
        rows[name] = augmented(sources, network, options, asked.each)
    table = table_of(rows, grader, sources.classes)
    (asked.out / "labels.md").write_text(table)
    print(table)
    made, labels = rows["aagan"]
    strips = []
    for k in range(len(sources.classes)):
        strips += [sources.images[sources.labels == k][:SHOWN], made[labels == k][:SHOWN]]
    save_image(torch.cat(strips).float() / 255, asked.out / "labels.png", nrow=SHOWN, padding=2)


def photographs(count: int, size: int, seed: int) -> ImageSet:
    """Return photographs of people who depend on the seed, with masks."""
    options = ScalpOptions(images=count, side=2 * size, seed=seed, imbalance=1.0)
    data = PhantomScalp(options, Task(options.classes, size))
    listed = data.describe(options)
    read = list(data.read(listed.ids))
    pixels, masks = (
        resize_images(torch.from_numpy(np.stack(part)), size)
        for part in (
            [raw.pixels.transpose(2, 0, 1) for raw in read],
            [raw.mask[None] for raw in read if raw.mask is not None],
        )
    )
    labels = torch.tensor([options.classes.index(label) for label in listed.labels])
    return ImageSet(pixels, labels, options.classes, tuple(listed.ids), tuple(listed.groups), masks=masks)


def graded(train: ImageSet, updates: int) -> Any:
    """Return a classifier that is fitted to `train`."""
    options: Any = compose_options(TIMM).model_validate(
        {"model": "resnet18", "batch_size": 32, "select": "last"}
    )
    grader = make(options, Task(train.classes, train.size))
    run = StageRun(seed=0, budget=updates, device="cpu", feed=FeedOptions(32))
    grader.fit(train, train.subset(range(64)), run)
    return grader


def fitted(out: Path, preset: str) -> HairVolume:
    """Return the networks that `volumes.py` has fitted."""
    options: Any = compose_options(NETWORKS).model_validate(NETWORKS.presets[preset])
    network = HairVolume(options, Task(("hair",), 64))
    network.load_state(load_file(out / "state.safetensors"))
    return network


def augmented(
    sources: ImageSet, network: HairVolume, options: dict[str, Any], each: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return images uint8 [n,3,s,s] made of the sources, and the labels of their photographs [n]."""
    given = AaganOptions.model_validate({"side": network.options.side, **options})
    inputs = {} if given.maps_only else {"volume": network}
    aagan = Aagan(given, Task(sources.classes, sources.size, inputs=inputs))
    aagan.fit(sources, StageRun(seed=0, budget=1))
    made = [
        aagan.sample(SampleRequest(label, each, seed=label), sources).images
        for label in range(len(sources.classes))
    ]
    return torch.cat(made), torch.arange(len(sources.classes)).repeat_interleave(each)


def table_of(
    rows: dict[str, tuple[torch.Tensor, torch.Tensor]], grader: Any, classes: tuple[str, ...]
) -> str:
    """Return the shares in Markdown."""
    lines = [
        f"| images | n | class of the photograph | interval | {' | '.join(classes)} |",
        "|---|---|---|---|" + "---|" * len(classes),
    ]
    mean, std = (torch.tensor(part).view(1, -1, 1, 1) for part in normalisation(grader))
    for name, (images, labels) in rows.items():
        with torch.inference_mode():
            found = [
                grader.predict_proba((some.float() / 255 - mean) / std).argmax(1) for some in images.split(64)
            ]
        right = torch.cat(found) == labels
        low, high = proportion_confint(int(right.sum()), len(right), method="wilson")
        of_class = " | ".join(f"{right[labels == k].float().mean():.2f}" for k in range(len(classes)))
        lines.append(
            f"| {name} | {len(right)} | {right.float().mean():.3f} | {low:.2f} to {high:.2f} | {of_class} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
