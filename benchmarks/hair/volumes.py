"""Do the networks of AA-GAN learn the volume of hair? Fits them to made hairstyles and measures them on others.

    python benchmarks/hair/volumes.py OUT [--preset small] [--updates 400] [--seconds 100]

Measured is the angle in degrees between the direction of a volume and the true one, at the voxels that truly have hair,
on 60 hairstyles that no network has seen. A voxel without a direction counts as 90 degrees, which is what a guess is
worth on average. `seen` are voxels that are the first with hair from the front, `hidden` the others. Compared are

    maps-only   the maps, lifted to the depth of the bust
    extruded    the maps, the same through the whole depth
    mean        the mean direction at each voxel over the training pairs

With `--seconds` a fit pauses after that long; the same command continues it. OUT gets `pairs.safetensors`, the state of
the networks, `volumes.md` and, from `--picture` hairstyles, `volumes.png`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F
from torchvision.utils import save_image

from derm_bench.images import ImageSet
from derm_bench.matrix.options import compose_options
from derm_bench.specs import SampleRequest, Task
from derm_bench.training.checkpoints import Checkpoints
from derm_bench.training.feed import FeedOptions
from derm_bench.training.stage_run import Checkpointing, StageRun, seed_everything
from derm_bench_plugins.generators.aagan_volume import directions, lift
from derm_bench_plugins.generators.hair_volume import HairVolume, unpacked
from derm_bench_plugins.generators.specs.hair_volume import SPEC
from derm_bench_plugins.hair.pairs import HairPairs

HELD_OUT = 60
HELD_OUT_SEED = 987_654_321  # of other hairstyles than any fit's


class Paused(BaseException):
    """The time of this call is over; the state of the fit is on disk."""


class Pausing(StageRun):
    """A run that pauses after `seconds`."""

    def __init__(self, folder: Path, seconds: float, **more: Any) -> None:
        super().__init__(**more, checkpointing=Checkpointing(folder, seconds))
        self.folder, self.until = folder, time.monotonic() + seconds

    def checkpoint(self, step: int, state: Callable[[], Mapping[str, Any]]) -> None:
        over = time.monotonic() >= self.until
        super().checkpoint(step, state)
        if over and step < self.budget:
            Checkpoints(self.folder).wait()
            raise Paused(f"update {step} of {self.budget}")


class Kept(HairVolume):
    """The networks, with training pairs that are kept in a file."""

    path: Path

    def pairs(self, run: Any) -> ImageSet:
        if not self.path.exists():
            made = super().pairs(run)
            save_file(dict(made.data) | {"images": made.images}, self.path)
        stored = load_file(self.path)
        images = stored.pop("images")
        names = tuple(f"hairstyle/{k:06d}" for k in range(len(images)))
        labels = torch.zeros(len(images), dtype=torch.int64)
        return ImageSet(images, labels, ("hair",), names, names, data=stored)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--preset", default="small", choices=SPEC.presets)
    parser.add_argument("--updates", type=int)
    parser.add_argument(
        "--set", action="append", default=[], metavar="OPTION=VALUE", help="a number or a word"
    )
    parser.add_argument("--seconds", type=float, default=1e9, help="pause the fit after this long")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--picture", type=int, default=12, help="hairstyles in volumes.png")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    given = dict(SPEC.presets[asked.preset])
    if asked.updates:
        given["budget"] = {"updates": asked.updates}
    given |= {name: number(value) for name, value in (item.split("=", 1) for item in asked.set)}
    options: Any = compose_options(SPEC).model_validate(given)
    seed_everything(0)
    network = Kept(options, Task(("hair",), 192, asked.device))
    network.path = asked.out / "pairs.safetensors"
    state = asked.out / "state.safetensors"
    if not state.exists():
        run = Pausing(
            asked.out / "checkpoint",
            asked.seconds,
            seed=0,
            budget=options.budget.in_updates(options.pairs, options.batch_size),
            device=asked.device,
            feed=FeedOptions(options.batch_size),
        )
        try:
            network.fit(network.pairs(run), run)
        except Paused as paused:
            latest = {row.metric: round(row.value, 4) for row in run.history()}
            print(f"paused at {paused}: {latest}; run the same command again to continue")
            return
        curves = [f"{row.step},{row.metric},{row.value:.6g}" for row in run.history()]
        (asked.out / "history.csv").write_text("\n".join(["step,metric,value", *curves]) + "\n")
        save_file(network.state(), state)
    network.load_state(load_file(state))
    table = measured(network, network.pairs(None), asked.device)
    (asked.out / "volumes.md").write_text(table)
    print(table)
    picture = network.sample(SampleRequest(None, asked.picture, HELD_OUT_SEED)).images
    save_image(picture.float() / 255, asked.out / "volumes.png", nrow=4, padding=2)


def number(text: str) -> Any:
    """The value of an option as a number if it is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def measured(network: HairVolume, pairs: ImageSet, device: str) -> str:
    """The table of angles, in Markdown."""
    options = network.options
    held_out = HairPairs(HELD_OUT, options.side, HELD_OUT_SEED, options.exact)
    maps, real = held_out.batch(range(HELD_OUT))
    mean = mean_volume(pairs)
    made = {
        "AA-GAN": torch.cat([network.volumes(some).cpu() for some in maps.split(10)]),
        "maps-only": lift(maps),
        "extruded": extruded(maps),
        "mean": mean.expand(len(real), -1, -1, -1, -1),
    }
    lines = [
        f"Side {options.side}, width {options.width:g}, {options.budget.updates} updates, {len(pairs)} pairs, on "
        f"{device}; {HELD_OUT} held-out hairstyles.",
        "",
        "| volume | mean angle | median | seen | hidden | without sign | has a direction | IoU of hair |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, volumes in made.items():
        values = " | ".join(
            f"{value:.2f}" if value < 1.5 else f"{value:.1f}" for value in figures(volumes, real)
        )
        lines.append(f"| {name} | {values} |")
    return "\n".join(lines) + "\n"


def figures(made: torch.Tensor, real: torch.Tensor) -> list[float]:
    """Return mean, median, mean of seen and of hidden voxels, mean without the sign, share of voxels that have a
    direction, and the intersection over union of the voxels with hair."""
    (ours, has), (theirs, hair) = directions(made), directions(real)
    cosine = (ours * theirs).sum(dim=1, keepdim=True).clamp(-1, 1)
    angles = torch.rad2deg(torch.acos(cosine))  # 90 degrees for a vector of 0
    seen = hair & (hair.int().cumsum(dim=2) == 1)
    turned = torch.rad2deg(torch.acos(cosine.abs()))
    return [
        float(angles[hair].mean()),
        float(angles[hair].median()),
        float(angles[seen].mean()),
        float(angles[hair & ~seen].mean()),
        float(turned[hair].mean()),
        float(has[hair].float().mean()),
        float((has & hair).sum() / (has | hair).sum()),
    ]


def extruded(maps: torch.Tensor) -> torch.Tensor:
    """Return the maps' directions, without depth, at all depths of a column that shows hair."""
    weight = (maps[:, :2].sum(dim=1, keepdim=True) > 0) * (maps[:, 2:3] + 1e-3)
    flat = F.avg_pool2d((2 * maps[:, :2] - 1) * weight, 8)
    known = F.avg_pool2d(weight, 8) > 0
    vectors = F.normalize(torch.cat([flat, torch.zeros_like(flat[:, :1])], dim=1), dim=1)
    return ((vectors + 1) / 2 * known).unsqueeze(2).expand(-1, -1, 3 * maps.shape[-1] // 32, -1, -1)


def mean_volume(pairs: ImageSet) -> torch.Tensor:
    """Return the mean direction at each voxel over the training pairs, [1,3,D,H,W], wherever any of them has hair."""
    total = torch.zeros(1)
    for some in pairs.data["volume"].split(50):
        total = total + directions(unpacked(some))[0].sum(dim=0, keepdim=True)
    return (F.normalize(total, dim=1) + 1) / 2 * (total.norm(dim=1, keepdim=True) > 0)


if __name__ == "__main__":
    main()
