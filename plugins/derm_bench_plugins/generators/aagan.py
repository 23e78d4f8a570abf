"""AA-GAN (paper 000): a photograph of hair becomes maps, a GAN makes them a volume of strands, and the strands, varied,
become photographs of the same class.

    1  photograph -> maps                    directions, confidence, depth of the head     `hair.maps`
    2  maps -> latent -> volume              G, which `hair-volume` has fitted
    3  vary                                  latents of two photographs of a class mixed, w ~ U(.3,.7); strands turned
                                             about X, Y and Z by up to 15, 30 and 20 degrees; mirrored
    4  volume -> strands -> photograph       drawn over the photograph without its hair
    5  check                                 the bald share of the scalp may change by a quarter

The paper describes 2 and the angles of 3. It states neither how its photographs became maps, nor how a volume becomes a
labelled photograph; steps 1, 4 and 5 and the mixing, which is the `interHairTest` of Hair-GAN's code, are choices. The
label is that of the photograph (its source id); the attribute `mixed_with` names the other one. If the check fails, the
angles are halved, three times; if it fails for hair that is not turned either, strands of the photograph's own volume
are drawn, and if these fail, the photograph itself is returned, mirrored or not (attribute `made`: turned, mixed, own,
photograph). The share may always change by 0.03 of the scalp, which a healthy head with no bald share needs.

On photographs without hair the method is meaningless: they are returned as they are, or mirrored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from derm_bench.images import Samples
from derm_bench.training.module_plugin import ModulePlugin
from derm_bench.training.resize import resize_images
from derm_bench.training.seeding import child_seed
from derm_bench_plugins.generators.aagan_photo import Photograph, bald_share
from derm_bench_plugins.generators.aagan_render import Turn, drawn, hair_of, kept_off, seeds, strands, warped
from derm_bench_plugins.generators.aagan_volume import lift
from derm_bench_plugins.generators.draw_order import DrawOrder
from derm_bench_plugins.hair.head import rotation
from derm_bench_plugins.hair.maps import photo_maps
from derm_bench_plugins.hair.render import Light

if TYPE_CHECKING:
    from torch import nn

    from derm_bench.images import ImageSet
    from derm_bench.run import Run
    from derm_bench.specs import SampleRequest, Task
    from derm_bench_plugins.generators.specs.aagan import AaganOptions

SIDE = 256  # of maps without a network
HALVINGS = 3  # of the angles, if the label is not kept
SLACK = 0.03  # of the scalp, by which the bald share may always change
MAPPED = 16  # photographs whose maps are computed at once


@dataclass(frozen=True)
class Seen:
    """A photograph with its maps float32 [4,S,S] on the device."""

    photograph: Photograph
    maps: torch.Tensor


class Aagan(ModulePlugin):
    """Draws images of a class from its photographs, in an order that the fit determines."""

    def __init__(self, options: AaganOptions, task: Task) -> None:
        self.options, self.device, self.size = options, task.device, task.size
        self.network = task.inputs.get("volume")
        self.side = options.side or (SIDE if self.network is None else self.network.options.side)
        self.order = DrawOrder()

    def fit(self, train: ImageSet, run: Run) -> None:
        """Determine the order of photographs. The networks are fitted by a stage of their own."""
        self.order.fix(run.seed)

    @torch.inference_mode()
    def sample(self, request: SampleRequest, train: ImageSet | None = None) -> Samples:
        """Return one image for each photograph that is drawn, as many as are needed. The source ids are these
        photographs."""
        if train is None:
            raise ValueError("aagan needs the training photographs to sample from, but got none")
        rows = self.order.of_class(train, request)[: request.needed]
        others = self._others(train, rows, np.random.default_rng(child_seed(request.seed, "others")))
        draws = np.random.default_rng(child_seed(request.seed, "aagan"))
        seen = self._seen(train, torch.cat([rows, others]).unique())
        images, notes = [], []
        for row, other in zip(rows.tolist(), others.tolist(), strict=True):
            image, note = self._image(seen[row], seen[other], draws)
            images.append(torch.from_numpy(image))
            named = {"mixed_with": train.ids[other] if note.pop("mixed") else ""}
            notes.append(named | note)
        pixels = torch.stack(images).permute(0, 3, 1, 2).contiguous()
        columns = {name: [note[name] for note in notes] for name in notes[0]}
        return Samples(pixels, [train.ids[row] for row in rows.tolist()], columns)

    def _others(self, train: ImageSet, rows: torch.Tensor, draws: np.random.Generator) -> torch.Tensor:
        """Return for each row another one of the same class; the same if there is no other."""
        found = []
        for row in rows.tolist():
            alike = torch.nonzero(train.labels == train.labels[row]).flatten()
            alike = alike[alike != row]
            found.append(int(alike[draws.integers(len(alike))]) if len(alike) else row)
        return torch.tensor(found, dtype=torch.int64)

    def _seen(self, train: ImageSet, rows: torch.Tensor) -> dict[int, Seen]:
        """Return photographs and maps by row."""
        found: dict[int, Seen] = {}
        for some in rows.split(MAPPED):
            images = resize_images(train.images[some].contiguous(), self.size)
            masks = [None] * len(some)
            if train.masks is not None:
                masks = list(resize_images(train.masks[some].contiguous(), self.size)[:, 0].numpy())
            pixels = images.permute(0, 2, 3, 1).contiguous().numpy()
            photographs = [Photograph.of(*pair) for pair in zip(pixels, masks, strict=True)]
            hair = torch.from_numpy(np.stack([p.hair for p in photographs])).unsqueeze(1)
            large = resize_images(images, self.side).to(self.device)
            marked = resize_images(hair.mul(255).to(torch.uint8), self.side).to(self.device)
            maps = photo_maps(large, marked)
            found |= dict(zip(some.tolist(), map(Seen, photographs, maps), strict=True))
        return found

    def _image(self, own: Seen, other: Seen, draws: np.random.Generator) -> tuple[np.ndarray, dict[str, Any]]:
        """Return an image uint8 [s,s,3], and what was done to make it."""
        options, photograph = self.options, own.photograph
        mirrored = options.mirror and bool(draws.integers(2))
        angles = [float(draws.uniform(-most, most)) for most in options.turns]
        weight = float(draws.uniform(*options.mix)) if options.mix and not options.maps_only else 0.0
        mixed = weight > 0 and other is not own and photograph.has_hair and other.photograph.has_hair
        before = bald_share(photograph.hair)
        made, picture, after, turned = "photograph", photograph.pixels, before, [0.0, 0.0, 0.0]
        if photograph.has_hair:
            volumes: dict[float, torch.Tensor] = {}  # plans that differ by their angles share one
            for name, share, scale in plans(mixed, weight):
                tried = [scale * angle for angle in angles]
                if share not in volumes:
                    volumes[share] = self.volume(own.maps, other.maps, share)
                candidate, changed = self._drawn(own, volumes[share], tried, draws)
                if candidate is not None:
                    made, picture, after, turned = name, candidate, changed, tried
                    mixed = mixed and share > 0
                    break
            else:
                mixed = False
        image = np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)
        image = np.ascontiguousarray(image[:, ::-1]) if mirrored else image
        note = {
            "made": made,
            "mixed": mixed,
            "weight": round(weight, 4) if mixed else 0.0,
            "mirrored": mirrored,
            "turned": " ".join(f"{angle:.1f}" for angle in turned),
            "bald_before": round(before, 4),
            "bald_after": round(after, 4),
        }
        return image, note

    def _drawn(
        self, own: Seen, volume: torch.Tensor, angles: list[float], draws: np.random.Generator
    ) -> tuple[np.ndarray | None, float]:
        """Return the picture float32 [s,s,3] of the hair of `own` in a volume [3,D,S/8,S/8], turned, or None if it does
        not keep the label; and its bald share."""
        photograph = own.photograph
        turn = Turn(rotation(*angles), middle_of(photograph.hair))
        if self.options.render == "warp":
            picture, hair = warped(photograph, volume, turn)
            changed, kept = self._kept(photograph, hair)
            return picture if kept else None, changed
        points = strands(
            photograph, volume, seeds(photograph, volume, own.maps[3], self.options.strands, draws)
        )
        points = kept_off(turn(points), photograph.bald)
        origins = turn.back(points[:, points.shape[1] // 2])[:, :2]
        light = Light(toward=(float(draws.uniform(-0.5, 0.5)), float(draws.uniform(-0.9, -0.3)), -0.8))
        points = points.astype(np.float32)
        changed, kept = self._kept(photograph, hair_of(photograph, points))
        return drawn(photograph, points, origins, light)[0] if kept else None, changed

    def _kept(self, photograph: Photograph, hair: np.ndarray) -> tuple[float, bool]:
        """Return the bald share of a head with hair there, bool [s,s], and whether it keeps the label."""
        before, changed = bald_share(photograph.hair), bald_share(hair) if hair.any() else 1.0
        return changed, abs(changed - before) <= max(self.options.bald_change * before, SLACK)

    def volume(self, maps: torch.Tensor, others: torch.Tensor, weight: float) -> torch.Tensor:
        """Return the volume [3,D,S/8,S/8] of maps [4,S,S], with latents of `others` mixed in by `weight`."""
        if self.network is None:
            return lift(maps.unsqueeze(0))[0]
        g = self.network.generator.eval()
        latent = g.latent(maps.unsqueeze(0))
        if weight > 0:
            latent = torch.lerp(latent, g.latent(others.unsqueeze(0)), weight)
        made: torch.Tensor = g.volume(latent)[0]
        return made.float()

    def parts(self) -> dict[str, nn.Module]:
        return {"order": self.order}


def plans(mixed: bool, weight: float) -> list[tuple[str, float, float]]:
    """Return what is tried in turn until the label is kept: its name, the weight of the other photograph, and the
    factor of the angles."""
    share = weight if mixed else 0.0
    turned = [("turned", share, 0.5**k) for k in range(HALVINGS + 1)]
    return [*turned, *([("mixed", share, 0.0)] if mixed else []), ("own", 0.0, 0.0)]


def middle_of(hair: np.ndarray) -> np.ndarray:
    """Return the middle of the hair in the box, float64 [3], in the middle of its depth."""
    y, x = np.argwhere(hair).mean(axis=0) if hair.any() else (len(hair) / 2, len(hair) / 2)
    return np.array([(x + 0.5) / len(hair) - 0.5, (y + 0.5) / len(hair) - 0.5, 0.0])
