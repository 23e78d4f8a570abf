"""Pairs of input maps and orientation volumes of procedural heads, which a generator of volumes is trained on.

Two pairs in a row are one hairstyle and its mirror image, each turned by angles of its own: X +-15, Y +-30 and Z +-20
degrees, as in paper 000, on top of a view from the front, the back or above. 1,050 styles are 2,100 pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from derm_bench_plugins.hair.head import Head, bearing, bust_depth, cast, rotation, sphere
from derm_bench_plugins.hair.maps import growth, orientation
from derm_bench_plugins.hair.patches import SEVERITIES, draw_patches
from derm_bench_plugins.hair.render import FINE, directions, trace
from derm_bench_plugins.hair.scene import CLEARANCE, Look, photograph
from derm_bench_plugins.hair.strands import Effort, grow
from derm_bench_plugins.hair.styles import draw_hairstyle, draw_style
from derm_bench_plugins.hair.volume import volume_shape, voxelise

if TYPE_CHECKING:
    from derm_bench_plugins.hair.patches import Patches
    from derm_bench_plugins.hair.scene import Photograph
    from derm_bench_plugins.hair.strands import Strands

TURNS = (15.0, 30.0, 20.0)  # largest rotations about X, Y and Z, degrees
VIEWS = ((0, 0), (0, 180), (45, 180))  # rotations about X and Y: the front, the back, the crown
SCALP = 4000  # points of the sphere that areas are measured with
MIRROR = np.array([-1.0, 1.0, 1.0])


class HairBatch(NamedTuple):
    """maps: float32 [N,4,S,S] in 0..1, direction x and y as (v + 1)/2, confidence, bust depth; volumes: float32
    [N,3,3S/32,S/8,S/8] in 0..1, 0 without hair (see `volume`)."""

    maps: torch.Tensor
    volumes: torch.Tensor


@dataclass(frozen=True)
class Subject:
    """One side of a pair. points: float32 [n,P,3], the strands before the camera, mirrored if `mirrored`; patches and
    strands are in the head's own frame, not mirrored."""

    head: Head
    patches: Patches
    strands: Strands
    points: np.ndarray
    mirrored: bool


class HairPairs:
    """A sequence of `count` pairs for pictures of `side` (a multiple of 32), the same for equal `seed`.

    exact: take the true projected directions as maps, with a confidence of 1, instead of finding them in a picture.
    combed: hair is also parted, combed back, forward or aside, or tied, instead of falling away from the whorl.
    device: where maps are extracted, and where batches are. Raises ValueError for another side, IndexError for an index
    out of range.
    """

    def __init__(
        self,
        count: int,
        side: int,
        seed: int,
        exact: bool = False,
        device: torch.device | str = "cpu",
        combed: bool = False,
    ) -> None:
        volume_shape(side)
        self.count, self.side, self.seed = count, side, seed
        self.exact, self.combed = exact, combed
        self.device = torch.device(device)

    def __len__(self) -> int:
        return self.count

    def batch(self, indices: Sequence[int] | torch.Tensor) -> HairBatch:
        """Return the pairs at `indices`."""
        chosen = [int(i) for i in indices]
        if not all(0 <= i < self.count for i in chosen):
            raise IndexError(f"indices of pairs must be from 0 to {self.count - 1}, not {chosen}")
        made = [self._make(i) for i in chosen]
        maps = torch.cat([m for m, _ in made]) if made else torch.zeros(0, 4, self.side, self.side)
        shape = (len(made), 3, *volume_shape(self.side))
        volumes = torch.from_numpy(np.stack([v for _, v in made]) if made else np.zeros(shape, np.float32))
        return HairBatch(maps.to(self.device), volumes.to(self.device))

    def severity(self, index: int) -> str:
        """Return the severity of alopecia areata of a pair, one of SEVERITIES."""
        return SEVERITIES[int(np.random.default_rng([11, self.seed, index // 2]).integers(len(SEVERITIES)))]

    def subject(self, index: int) -> Subject:
        """Return the head of a pair, its bald patches and its strands."""
        style_of, own = (np.random.default_rng([k, self.seed, index // 2]) for k in (12, 13))
        turn = np.random.default_rng([14, self.seed, index])
        style = draw_hairstyle(style_of) if self.combed else draw_style(style_of)
        x, y = VIEWS[int(own.integers(len(VIEWS)))]
        turns = [turn.uniform(-most, most) for most in TURNS]
        pose = rotation(*turns) @ rotation(x, 0, 0) @ rotation(0, y, 0)
        head = Head(pose=pose, hairline=float(own.uniform(0.4, 0.6)))
        scalp = sphere(SCALP)
        scalp = scalp[bearing(scalp, head.hairline)]
        patches, _ = draw_patches(own, self.severity(index), scalp)
        effort = Effort(strands=max(4, self.side // 32), points=max(24, min(64, self.side // 6)))
        grown = grow(head, style, own, patches, effort)
        mirrored = index % 2 == 1
        points = head.before_camera(grown.points * MIRROR if mirrored else grown.points)
        return Subject(head, patches, grown, points.astype(np.float32), mirrored)

    def picture(self, index: int) -> Photograph:
        """Return the picture that the maps of a pair are extracted from, with its hair mask."""
        return self._picture(index, self.subject(index))

    def _picture(self, index: int, who: Subject) -> Photograph:
        rng = np.random.default_rng([15, self.seed, index])
        look = Look.draw(rng)
        return photograph(who.head, who.strands, who.points, look, self.side, rng, who.patches, who.mirrored)

    def _make(self, index: int) -> tuple[torch.Tensor, np.ndarray]:
        who = self.subject(index)
        if self.exact:
            oriented = torch.from_numpy(exact_maps(who, self.side))[None].to(self.device)
        else:
            shown = self._picture(index, who)
            hair = torch.from_numpy(shown.hair).float()[None, None].to(self.device)
            image = torch.from_numpy(shown.picture.transpose(2, 0, 1).copy())[None].to(self.device)
            oriented = orientation(image, hair, growth(hair))
        depth = torch.from_numpy(bust_depth(who.head, self.side))[None, None].to(self.device)
        return torch.cat([oriented, depth], 1), voxelise(who.points, self.side)


def exact_maps(who: Subject, side: int) -> np.ndarray:
    """Return the true direction (x, y) as (v + 1)/2 and a confidence of 1 where hair is seen, float32 [3,S,S]."""
    z, _ = cast(who.head, FINE * side)
    true, known = directions(trace(who.points, side, z + np.float32(CLEARANCE)))
    return np.asarray(np.concatenate([(true + 1) / 2, np.ones_like(true[:1])]) * known, np.float32)
