"""Do the networks of AA-GAN learn the volume of hair? Fits them to made hairstyles and measures them on others.

    python benchmarks/hair/volumes.py OUT [--preset small] [--updates 320] [--on validation] [--seconds 100]

Measured is the angle in degrees between the direction of a volume and the true one, at the voxels that truly have hair,
on pairs of hairstyles that no network has seen: 60 for validation, with which settings are chosen, or 100 for the test
(`--on test`), which is for the settings that were chosen. A voxel without a direction counts as 90 degrees, which is
what a guess is worth on average. `seen` are voxels that are the first with hair from the front, `hidden` the others.
`deviation` is that of the mean angle over hairstyles, `better` the share of hairstyles in which it is smaller than that
of the mean volume. Compared are

    maps-only   the maps, lifted to the depth of the bust
    extruded    the maps, the same through the whole depth
    mean        the mean direction at each voxel over the training pairs

With `--seconds` a fit pauses after that long; the same command continues it. OUT gets `pairs.safetensors`, the state of
the networks, `validation.md` or `test.md` and, of `--picture` hairstyles, `validation.png` or `test.png`: from left to
right a photograph and the strands that grow in the true volume, in that of the networks, in the mean one and in the
lifted maps.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F
from torchvision.utils import save_image

from derm_bench.images import ImageSet
from derm_bench.matrix.options import compose_options
from derm_bench.specs import Task
from derm_bench.training.checkpoints import Checkpoints
from derm_bench.training.feed import FeedOptions
from derm_bench.training.stage_run import Checkpointing, StageRun, seed_everything
from derm_bench_plugins.generators.aagan_volume import Field as HairField
from derm_bench_plugins.generators.aagan_volume import directions, grow, lift
from derm_bench_plugins.generators.hair_volume import HairVolume, unpacked
from derm_bench_plugins.generators.specs.hair_volume import SPEC, HairVolumeOptions
from derm_bench_plugins.hair.head import DEPTH, bust_depth
from derm_bench_plugins.hair.pairs import HairPairs
from derm_bench_plugins.hair.render import FINE, paint

HELD_OUT = {
    "validation": (60, 987_654_321),
    "test": (100, 246_813_579),
}  # pairs, and the seed of their hairstyles
DRAWN = 256  # side of a picture of strands
ROOTS = 3000  # strands of it


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
    parser.add_argument("--on", choices=HELD_OUT, default="validation", help="the hairstyles to measure on")
    parser.add_argument("--picture", type=int, default=8, help="hairstyles in the picture")
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
    held_out = hairstyles_of(options, asked.on)
    maps, real = held_out.batch(range(len(held_out)))
    pairs = network.pairs(None)
    made = made_of(network, maps, pairs)
    table = heading(options, len(pairs), asked) + measured(made, real)
    (asked.out / f"{asked.on}.md").write_text(table)
    print(table)
    # Two pairs in a row are of one hairstyle.
    shown = list(range(0, len(held_out), 2))[: asked.picture]
    tiles = [tile for k in shown for tile in strands_of(held_out, real, made, k)]
    save_image(torch.stack(tiles), asked.out / f"{asked.on}.png", nrow=len(tiles) // len(shown), padding=2)


def number(text: str) -> Any:
    """The value of an option as a number if it is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def hairstyles_of(options: HairVolumeOptions, name: str) -> HairPairs:
    """Return the pairs of validation or test, drawn from the same distribution as the training pairs."""
    count, seed = HELD_OUT[name]
    return HairPairs(count, options.side, seed, options.exact, combed=options.combed)


def made_of(network: HairVolume, maps: torch.Tensor, pairs: ImageSet) -> dict[str, torch.Tensor]:
    """Return the volumes [N,3,D,H,W] of all methods for maps [N,4,S,S]."""
    return {
        "AA-GAN": torch.cat([network.volumes(some).cpu() for some in maps.split(10)]),
        "mean": mean_volume(pairs).expand(len(maps), -1, -1, -1, -1),
        "extruded": extruded(maps),
        "maps-only": lift(maps),
    }


def heading(options: HairVolumeOptions, pairs: int, asked: argparse.Namespace) -> str:
    count = HELD_OUT[asked.on][0]
    return (
        f"Side {options.side}, width {options.width:g}, {options.budget.updates} updates, {pairs} pairs, on "
        f"{asked.device}; {count} pairs of the {asked.on}.\n\n"
    )


def measured(made: Mapping[str, torch.Tensor], real: torch.Tensor) -> str:
    """Return the table of angles, in Markdown."""
    found = {name: angles(volumes, real) for name, volumes in made.items()}
    lines = [
        "| volume | mean angle | deviation | better | median | seen | hidden | without sign | has a direction | "
        "IoU of hair |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    baseline = by_hairstyle(found["mean"])
    for name, one in found.items():
        own = by_hairstyle(one)
        values = [
            *(
                f"{one.all[one.hair].mean():.1f}",
                f"{own.std():.1f}",
                f"{(own < baseline).float().mean():.2f}",
            ),
            f"{one.all[one.hair].median():.1f}",
            *(f"{one.all[where].mean():.1f}" for where in (one.seen, one.hair & ~one.seen)),
            f"{one.unsigned[one.hair].mean():.1f}",
            f"{one.has[one.hair].float().mean():.2f}",
            f"{(one.has & one.hair).sum() / (one.has | one.hair).sum():.2f}",
        ]
        lines.append(f"| {name} | {' | '.join(values)} |")
    return "\n".join(lines) + "\n"


class Angles(NamedTuple):
    """Angles in degrees at all voxels, [N,1,D,H,W], signed or not; where there is a direction, where there truly is
    hair, and where it is seen from the front, bool."""

    all: torch.Tensor
    unsigned: torch.Tensor
    has: torch.Tensor
    hair: torch.Tensor
    seen: torch.Tensor


def angles(made: torch.Tensor, real: torch.Tensor) -> Angles:
    """Return the angles between volumes [N,3,D,H,W]."""
    (ours, has), (theirs, hair) = directions(made), directions(real)
    cosine = (
        (ours * theirs).sum(dim=1, keepdim=True).clamp(-1, 1)
    )  # 0, and so 90 degrees, without a direction
    seen = hair & (hair.int().cumsum(dim=2) == 1)
    return Angles(*(torch.rad2deg(torch.acos(c)) for c in (cosine, cosine.abs())), has, hair, seen)


def by_hairstyle(found: Angles) -> torch.Tensor:
    """Return the mean angle of each pair, [N]."""
    weight = found.hair.flatten(1).float()
    return (found.all.flatten(1) * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)


def strands_of(
    pairs: HairPairs, real: torch.Tensor, made: Mapping[str, torch.Tensor], index: int
) -> list[torch.Tensor]:
    """Return pictures [3,DRAWN,DRAWN] of a pair: the photograph, and strands in the true volume and in those made."""
    photograph = torch.from_numpy(pairs.picture(index).picture.transpose(2, 0, 1).copy())
    large = F.interpolate(photograph[None], DRAWN, mode="bilinear")[0].clamp(0, 1)
    volumes = [real[index], *(made[name][index] for name in ("AA-GAN", "mean", "maps-only"))]
    return [large, *(grown(volume, bust_depth(pairs.subject(index).head, DRAWN)) for volume in volumes)]


def grown(volume: torch.Tensor, bust: np.ndarray) -> torch.Tensor:
    """Return a picture [3,DRAWN,DRAWN] of the strands that grow in a volume [3,D,H,W] through points spread over all of
    its hair, in front of the head of depth `bust`. Their colour is their direction: x, y, z as red, green and blue."""
    draws = torch.Generator().manual_seed(0)
    _, hair = directions(volume[None])
    places = hair[0, 0].nonzero()
    head = np.where(bust > 0, 0.75 - 0.5 * bust, 0.15)
    picture = np.repeat(head[..., None], 3, axis=2).astype(np.float32)
    if len(places):
        chosen = places[torch.randint(len(places), (ROOTS,), generator=draws)]
        at = (chosen + torch.rand(chosen.shape, generator=draws)) / volume.shape[-1]
        seeds = at.flip(1) - torch.tensor([0.5, 0.5, DEPTH / 2])
        points = grow(HairField.of(volume), seeds).numpy()
        along = points[:, -1] - points[:, 0]
        along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
        behind = np.where(bust > 0, (bust - 0.5) * DEPTH + 0.02, np.inf).repeat(FINE, 0).repeat(FINE, 1)
        picture, _ = paint(points, (along + 1) / 2, picture, behind=behind)
    return torch.from_numpy(picture.transpose(2, 0, 1).copy())


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
