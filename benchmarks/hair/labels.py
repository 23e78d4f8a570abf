"""Do images of `aagan` keep the class of their photograph? A grader that has seen other, real photographs says.

    python benchmarks/hair/volumes.py OUT                  # the networks, unless OUT has them
    python benchmarks/hair/labels.py OUT [--size 64] [--images 3000] [--each 50] [--updates 1000]

The grader is a ResNet-18, fitted to photographs of `phantom-scalp` alone. The photographs that `aagan` augments are of
other people. For them and for what is made of them: the share that the grader gives the class of the photograph, with
the interval of Wilson at 95%, and the same per class.

OUT gets `labels.md` and two pictures, with a row of photographs of each class and below it what `aagan` makes of them:
`labels.png`, as it varies them, and `identity.png`, strands of their own volumes that are neither mixed nor turned.
Photographs and the grader are kept there too, so that the same command with other networks takes minutes, and not half
an hour on one core.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
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
from derm_bench_plugins.transforms.affine import HFlip
from derm_bench_plugins.transforms.specs.affine import FlipOptions

ARMS: dict[str, dict[str, Any]] = {
    "aagan": {},
    "aagan, not mixed": {"mix": None},
    "warp": {"render": "warp"},
    "maps-only": {"maps_only": True},
}
IDENTITY: dict[str, Any] = {"mix": None, "turns": (0, 0, 0), "mirror": False}
SHOWN = 8  # photographs of each class in a picture


class Made(NamedTuple):
    """images: uint8 [n,3,s,s]; labels: those of their photographs, int64 [n]; rows: of these photographs, int64 [n]."""

    images: torch.Tensor
    labels: torch.Tensor
    rows: torch.Tensor


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--preset", default="small", choices=NETWORKS.presets, help="as for volumes.py")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--images", type=int, default=3000, help="photographs for the grader")
    parser.add_argument("--each", type=int, default=50, help="augmented images of each class and arm")
    parser.add_argument("--updates", type=int, default=1000, help="of the grader, 32 images each")
    asked = parser.parse_args()
    seed_everything(0)
    sources = photographs(asked.out, 5 * asked.each, asked.size, seed=2)  # other people
    grader = graded(asked.out, asked.images, asked.size, asked.updates)
    network = fitted(asked.out, asked.preset)
    made = {name: augmented(sources, network, options, asked.each) for name, options in ARMS.items()}
    whole = Made(sources.images, sources.labels, torch.arange(len(sources)))
    table = table_of({"photographs": whole, **made}, grader, sources.classes)
    (asked.out / "labels.md").write_text(table)
    print(table)
    show(sources, made["aagan"], asked.out / "labels.png")
    show(sources, augmented(sources, network, IDENTITY, SHOWN), asked.out / "identity.png")


def photographs(out: Path, count: int, size: int, seed: int) -> ImageSet:
    """Return photographs of people who depend on the seed, with masks. They are kept in a file."""
    options = ScalpOptions(images=count, side=2 * size, seed=seed, imbalance=1.0)
    data = PhantomScalp(options, Task(options.classes, size))
    listed = data.describe(options)
    file = out / f"photographs-{count}-{size}-{seed}.safetensors"
    if not file.exists():
        read = list(data.read(listed.ids))
        masks = [raw.mask[None] for raw in read if raw.mask is not None]
        parts = {"pixels": [raw.pixels.transpose(2, 0, 1) for raw in read], "masks": masks}
        save_file(
            {name: resize_images(torch.from_numpy(np.stack(part)), size) for name, part in parts.items()},
            file,
        )
    stored = load_file(file)
    labels = torch.tensor([options.classes.index(label) for label in listed.labels])
    ids, groups = tuple(listed.ids), tuple(listed.groups)
    return ImageSet(stored["pixels"], labels, options.classes, ids, groups, masks=stored["masks"])


def graded(out: Path, count: int, size: int, updates: int) -> Any:
    """Return a classifier that is fitted to `count` photographs. It is kept in a file."""
    options: Any = compose_options(TIMM).model_validate(
        {"model": "resnet18", "batch_size": 32, "select": "last", "schedule": "cosine"}
    )
    task = Task(ScalpOptions().classes, size)
    grader = make(options, task)
    file = out / f"grader-{count}-{size}-{updates}.safetensors"
    if not file.exists():
        train = photographs(out, count, size, seed=1)
        feed = FeedOptions(32, image_transforms=(HFlip(FlipOptions(), task),))
        run = StageRun(seed=0, budget=updates, device="cpu", feed=feed)
        grader.fit(train, train.subset(range(64)), run)
        save_file({name: value.contiguous() for name, value in grader.state().items()}, file)
    grader.load_state(load_file(file))
    return grader


def fitted(out: Path, preset: str) -> HairVolume:
    """Return the networks that `volumes.py` has fitted."""
    options: Any = compose_options(NETWORKS).model_validate(NETWORKS.presets[preset])
    network = HairVolume(options, Task(("hair",), 64))
    network.load_state(load_file(out / "state.safetensors"))
    return network


def augmented(sources: ImageSet, network: HairVolume, options: dict[str, Any], each: int) -> Made:
    """Return `each` images of every class."""
    given = AaganOptions.model_validate({"side": network.options.side, **options})
    inputs = {} if given.maps_only else {"volume": network}
    aagan = Aagan(given, Task(sources.classes, sources.size, inputs=inputs))
    aagan.fit(sources, StageRun(seed=0, budget=1))
    made = [
        aagan.sample(SampleRequest(label, each, seed=label), sources) for label in range(len(sources.classes))
    ]
    rows = [sources.ids.index(name) for samples in made for name in samples.source_ids or ()]
    images = torch.cat([samples.images for samples in made])
    return Made(images, torch.arange(len(sources.classes)).repeat_interleave(each), torch.tensor(rows))


def show(sources: ImageSet, made: Made, file: Path) -> None:
    """Draw some photographs of each class, and below them what was made of them."""
    rows = []
    for k in range(len(sources.classes)):
        chosen = torch.nonzero(made.labels == k).flatten()[:SHOWN]
        rows += [sources.images[made.rows[chosen]], made.images[chosen]]
    save_image(torch.cat(rows).float() / 255, file, nrow=SHOWN, padding=2)


def table_of(rows: dict[str, Made], grader: Any, classes: tuple[str, ...]) -> str:
    """Return the shares in Markdown."""
    lines = [
        f"| images | n | class of the photograph | interval | {' | '.join(classes)} |",
        "|---|---|---|---|" + "---|" * len(classes),
    ]
    mean, std = (torch.tensor(part).view(1, -1, 1, 1) for part in normalisation(grader))
    for name, (images, labels, _) in rows.items():
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
