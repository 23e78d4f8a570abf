"""The networks of AA-GAN (paper 000) and their training: WGAN-GP, content and style, on pairs of made hairstyles.

    per update   D on one half of the batch: equation 1                      Adam (0,.9), 3e-4
                 then G on the other half: equation 3, or 2 at first         Adam (0,.9), 1e-4

The paper trains on 3D models of hairstyles, which are not available for redistribution; here they are made
(`derm_bench_plugins.hair.pairs`). The images of the data set are not looked at, so that the class is not known to the
networks, and a fit is the same whatever the data set. Pairs are kept as bytes, as the maps of Hair-GAN's code are; half
a byte is a quarter of a degree. Images of the data set do not count as those that were shown: the budget counts pairs.

A generator of volumes draws no photographs. Its samples are pictures for a person: for a hairstyle that it has not been
trained on, above the directions and the confidence of its maps, below its true volume and that of G, seen from the
front. `aagan` makes images from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn import functional as F

from derm_bench.errors import Diverged
from derm_bench.images import ImageSet, Samples
from derm_bench.training.engine import Engine, frozen, minimise
from derm_bench.training.losses import negative_score
from derm_bench.training.module_plugin import ModulePlugin
from derm_bench.training.optim import make_schedule
from derm_bench.training.seeding import child_seed
from derm_bench_plugins.generators.aagan_losses import (
    content_loss,
    direction_loss,
    discriminator_losses,
    layers_of,
    style_loss,
)
from derm_bench_plugins.generators.aagan_nets import VolumeDiscriminator, VolumeGenerator
from derm_bench_plugins.generators.aagan_volume import cosines, vectors_of
from derm_bench_plugins.hair.pairs import HairPairs
from derm_bench_plugins.hair.volume import OCCUPIED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from derm_bench.run import Batch, Run
    from derm_bench.specs import SampleRequest, Task
    from derm_bench_plugins.generators.specs.hair_volume import HairVolumeOptions

EMPTY_FOR = 100  # updates with an empty volume after which G is given up
LOOKED_AT = 25  # updates between two looks, which wait for the device
MADE = 16  # pairs that are made at once


class HairVolume(ModulePlugin):
    """G and D for maps of side `options.side`, whatever the size of the images."""

    def __init__(self, options: HairVolumeOptions, task: Task) -> None:
        self.options, self.device, self.size = options, task.device, task.size
        self.generator: nn.Module = VolumeGenerator(
            options.side, options.width, options.init, options.centred
        ).to(task.device)
        self.discriminator = VolumeDiscriminator(options.side, options.width).to(task.device)

    def fit(self, train: ImageSet, run: Run) -> None:
        """Per batch of pairs, update D once on one half, then G once on the other. Raises Diverged if G gives empty
        volumes for 100 updates."""
        g, d, options = self.generator, self.discriminator, self.options
        style_weight = options.beta * (options.alpha if options.beta_is == "ratio" else 1.0)
        pairs = self.pairs(run)
        if options.start == "mean":
            cast(VolumeGenerator, g).start_at(unpacked(pairs.data["volume"]).mean(dim=(0, 3, 4)))
        engine = Engine(run)
        for name, net in self.parts().items():  # not channels_last, which torch lacks for 3D convolutions
            engine.keep(name, net.train())
        adam_g = engine.adam(g, options.lr, options.betas)
        adam_d = engine.adam(d, options.lr_d, options.betas)
        rates = (adam_g, options.lr), (adam_d, options.lr_d)
        schedules = [make_schedule(options.schedule, adam, lr, run.budget) for adam, lr in rates]
        if options.ema:
            self.generator = engine.average(g, options.ema, warm_up=True).net
        mix = engine.stream("mix")
        empty = Counter().to(run.device)
        engine.keep("empty", empty)

        def step(batch: Batch, pretrain: bool) -> dict[str, torch.Tensor]:
            (maps, others), (real, target) = (unpacked(batch.data[name]).chunk(2) for name in PARTS)
            with engine.autocast():
                with torch.no_grad():
                    fake = g(maps)
                loss_d, penalty, scores = discriminator_losses(d, real, fake, d.condition(maps), mix)
            minimise(loss_d + options.penalty * penalty, adam_d)

            with frozen(d), engine.autocast():
                fake, condition = g(others), d.condition(others)
                theirs, ours = layers_of(d, target, condition), layers_of(d, fake, condition)
            content = content_loss(theirs, ours, options.content_layers)
            style = style_loss(theirs, ours, options.style_layers)
            adversarial = negative_score(ours[-1])
            direction = direction_loss(target, fake)
            full = options.alpha * content + style_weight * style + options.adv_weight * adversarial
            loss_g = adversarial if pretrain else full + options.direction_weight * direction
            minimise_within(options.clip, loss_g, adam_g)

            empty.add(~fake.detach().any())
            return {
                **{"loss_d": loss_d, "loss_g": loss_g, "penalty": penalty},
                **{"content": content, "style": style, "adversarial": adversarial, "direction": direction},
                **dict(zip(("score_real", "score_fake"), (s.float().mean() for s in scores), strict=True)),
                "error": angle_error(fake.detach(), target),
            }

        def after(batch: Batch, logs: Mapping[str, torch.Tensor]) -> None:
            for schedule in schedules:
                schedule(batch.step, logs["loss_g"])
            if batch.step % LOOKED_AT == 0 and int(empty.count) >= EMPTY_FOR:
                raise Diverged(
                    f"the volume of G is 0 everywhere for {EMPTY_FOR} updates before update {batch.step}: its last "
                    "ReLU is dead; another seed or a lower lr may help"
                )
            run.snapshot(batch.step, self.state)

        before = lambda number: {"pretrain": number <= options.pretrain * run.budget}  # noqa: E731
        engine.fit(step, pairs, options.batch_size, before=before, after=after)

    def pairs(self, run: Run) -> ImageSet:
        """Return the training pairs (see `training_pairs`)."""
        return training_pairs(self.options, run)

    @torch.inference_mode()
    def sample(self, request: SampleRequest, train: ImageSet | None = None) -> Samples:
        """Return pictures uint8 [n,3,size,size] of maps and volumes of new hairstyles."""
        made = hairstyles(self.options, request.n, request.seed)
        tiles = []
        for rows in torch.arange(request.n).split(MADE):
            maps, real = made.batch(rows)
            fake = self.volumes(maps).cpu()
            certain = maps[:, 2:3].expand(-1, 3, -1, -1)
            # The direction in x, y as red and green; volumes have z as blue.
            flat = torch.cat([maps[:, :2], 0.5 * (maps[:, :1] > 0)], dim=1)
            tiles.append(mosaic([flat, certain, front(real), front(fake)], self.size))
        return Samples(torch.cat(tiles).mul(255).round().clamp(0, 255).to(torch.uint8))

    @torch.inference_mode()
    def volumes(self, maps: torch.Tensor) -> torch.Tensor:
        """Return G's volumes [n,3,D,S/8,S/8] of maps float32 [n,4,S,S]."""
        self.generator.eval()
        made: torch.Tensor = self.generator(maps.to(self.device))
        return made

    def parts(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator}


# ------------------------------------------------------------------------------------------- pairs

PARTS = ("maps", "volume")


def training_pairs(options: HairVolumeOptions, run: Run) -> ImageSet:
    """Return the pairs as the named data `maps` uint8 [n,4,S,S] and `volume` uint8 [n,3,D,S/8,S/8]; n is `pairs`, or
    fewer if the budget shows fewer. The images are small pictures of the maps."""
    count = min(options.pairs, run.budget * options.batch_size)
    made = hairstyles(options, count, run.seed)
    chunks = [[packed(part) for part in made.batch(rows)] for rows in torch.arange(count).split(MADE)]
    maps, volumes = (torch.cat(part) for part in zip(*chunks, strict=True))
    names = tuple(f"hairstyle/{k:06d}" for k in range(count))
    groups = tuple(f"hairstyle/{k // 2:06d}" for k in range(count))
    images = maps[:, :3, :: options.side // 8, :: options.side // 8].contiguous()
    labels = torch.zeros(count, dtype=torch.int64)
    return ImageSet(images, labels, ("hair",), names, groups, data={"maps": maps, "volume": volumes})


def hairstyles(options: HairVolumeOptions, count: int, seed: int) -> HairPairs:
    """Return the pairs of a seed, such as that of a run."""
    seed = child_seed(seed, "hairstyles")
    return HairPairs(count, options.side, seed, options.exact, combed=options.combed)


def packed(values: torch.Tensor) -> torch.Tensor:
    """Return values in [0,1] as bytes."""
    return values.mul(255).round().to(torch.uint8)


def unpacked(values: torch.Tensor) -> torch.Tensor:
    """Return bytes as float32 in [0,1]."""
    return values.float() / 255


def minimise_within(most: float, loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
    """Perform one update with a gradient whose norm is at most `most`, if that is above 0."""
    if most == 0:
        minimise(loss, optimizer)
        return
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    nn.utils.clip_grad_norm_([p for group in optimizer.param_groups for p in group["params"]], most)
    optimizer.step()


class Counter(nn.Module):
    """Counts how many of the last events in a row were true, on the device."""

    count: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))

    def add(self, event: torch.Tensor) -> None:
        """Count the event, a bool [scalar]."""
        self.count.add_(1).mul_(event)


# ---------------------------------------------------------------------------------------- measures


def angle_error(made: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Return the mean angle in degrees between the directions of two volumes [N,3,...] where the second has hair. A
    voxel of the first without a direction counts as 90 degrees."""
    occupied = (real.sum(dim=1) > OCCUPIED).float()
    cosine = cosines(vectors_of(made), 2 * real.float() - 1)
    cosine = cosine * (made.float().sum(dim=1) > OCCUPIED)
    angles = torch.rad2deg(torch.acos(cosine.clamp(-1, 1)))
    return (angles * occupied).sum() / occupied.sum().clamp(min=1)


def front(volumes: torch.Tensor) -> torch.Tensor:
    """Return the encoded directions of the first voxels with hair from the front, [N,3,H,W] in [0,1] of [N,3,D,H,W]; 0
    where there is none."""
    occupied = volumes.sum(dim=1, keepdim=True) > OCCUPIED
    first = occupied.int().argmax(dim=2, keepdim=True)
    seen = volumes.gather(2, first.expand(-1, 3, -1, -1, -1)).squeeze(2)
    return (seen * occupied.any(dim=2)).clamp(0, 1)


def mosaic(tiles: list[torch.Tensor], size: int) -> torch.Tensor:
    """Return four pictures [N,3,*,*] as one [N,3,size,size], in reading order."""
    half = size // 2
    sides = ((half, half), (half, size - half), (size - half, half), (size - half, size - half))
    fitted = [F.interpolate(tile, side, mode="area") for tile, side in zip(tiles, sides, strict=True)]
    return torch.cat([torch.cat(fitted[:2], dim=3), torch.cat(fitted[2:], dim=3)], dim=2)
