"""Volumes without a network, and strands in a volume: the lift of maps, mixing, and growing (methods of AA-GAN, whose
paper states neither how a volume becomes hair nor how hair becomes a picture).

Positions are those of `derm_bench_plugins.hair.head`: x to the right and y down from -0.5 to 0.5, z away from the
camera from -0.375 to 0.375. Strands are grown by the rule of HairStep and DeepSketchHair: steps along the direction of
the volume, interpolated between voxels; a turn of 60 to 150 degrees is averaged with the direction before, at a sharper
one or outside of the hair the strand ends; strands shorter than 30% of the mean are left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from derm_bench_plugins.hair.head import DEPTH
from derm_bench_plugins.hair.volume import OCCUPIED

STEP, LONGEST = 0.006, 0.6  # length of a step and of a strand, in sides of the box
VOXELS = 0.77  # a step at most, in voxels; the same as STEP in a box of 128
COARSEST = 0.02  # longest step, so that strands stay smooth in coarse volumes
SHORTEST = 0.3  # of the mean length
THICK = 0.06  # of the hair of a lifted map, in sides of the box
LEAST = 0.15  # probability of hair that is told from none; less would be below OCCUPIED
SHARP = (
    0.01  # from a unit vector, within which a voxel states its direction as it is; rounding to bytes is less
)
SHORTEST_SQUARED = 1e-24  # of the length of a vector, below which it has none
STEEP = 2.0  # largest slope of the bust


def lift(maps: torch.Tensor) -> torch.Tensor:
    """Return volumes float32 [N,3,3S/32,S/8,S/8] of maps [N,4,S,S] by lifting them to the depth of the bust, where the
    directions follow its surface. This is the control without a network. Hair beside the bust lies in the middle."""
    hair = (maps[:, :2].sum(dim=1, keepdim=True) > 0).float()
    weight = hair * (maps[:, 2:3] + 1e-3)
    flat = F.avg_pool2d((2 * maps[:, :2] - 1) * weight, 8) / F.avg_pool2d(weight, 8).clamp(min=1e-6)
    covered = F.avg_pool2d(hair, 8) >= 0.5
    bust = (maps[:, 3:] > 0).float()
    found = F.avg_pool2d(bust, 8)
    depth = torch.where(found > 0, F.avg_pool2d(maps[:, 3:], 8) / found.clamp(min=1e-6), 0.5)
    slope = slopes(depth * DEPTH).clamp(-STEEP, STEEP)
    tangent = unit(torch.cat([flat, (flat * slope).sum(dim=1, keepdim=True)], dim=1))
    layers = 3 * maps.shape[-1] // 32
    surface = (depth * layers).long().clamp(0, layers - 1)
    place = torch.arange(layers, device=maps.device).view(1, -1, 1, 1)
    thick = max(1, round(THICK * maps.shape[-1] / 8))
    inside = ((place <= surface) & (place >= surface - thick) & covered).unsqueeze(1)
    return ((tangent.unsqueeze(2) + 1) / 2 * inside).float()


def slopes(heights: torch.Tensor) -> torch.Tensor:
    """Return the derivatives along x and y, [N,2,H,W], of heights [N,1,H,W] in sides of the box."""
    side = heights.shape[-1]
    padded = F.pad(heights, (1, 1, 1, 1), mode="replicate")
    along = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) * side / 2
    down = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) * side / 2
    return torch.cat([along, down], dim=1)


def directions(volumes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the unit directions [N,3,...] of encoded volumes, 0 where there is no hair, and where there is hair, bool
    [N,1,...]. A voxel has hair if its channels sum to at least half of what they do at the least (see `volume`)."""
    occupied = volumes.float().sum(dim=1, keepdim=True) > OCCUPIED
    return unit(vectors_of(volumes)) * occupied, occupied


def lengths(vectors: torch.Tensor) -> torch.Tensor:
    """Return the lengths [N,1,...] of vectors [N,3,...], with a gradient, 0 at 0. On the CPU `torch.linalg.vector_norm`
    takes 60 times as long along this axis, and 3 times on busy cores."""
    return vectors.square().sum(dim=1, keepdim=True).clamp(min=SHORTEST_SQUARED).sqrt()


def unit(vectors: torch.Tensor) -> torch.Tensor:
    """Return vectors [N,3,...] with length 1; 0 stays 0."""
    return vectors / lengths(vectors)


def cosines(ones: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Return the cosine [N,...] of the angle between vectors [N,3,...]; 0 where one is 0."""
    return (unit(ones) * unit(others)).sum(dim=1)


def vectors_of(volumes: torch.Tensor) -> torch.Tensor:
    """Return the vectors [N,3,...] that encoded volumes stand for, whether there is hair or not, with a gradient.

    A direction t is encoded as w = (t + 1)/2, and a voxel without hair as 0. A network that is not sure gives what it
    expects, w = p (m + 1)/2: hair with probability p, in directions whose mean is m, which 2w - 1 would turn toward
    (-1, -1, -1). The vectors 2qw - 1 with q = 1/p lie on a ray from there, which goes through the unit ball. Where
    2w - 1 is a unit vector, q is 1. Elsewhere q is that of the far end of the ray in the ball, but at least 1 and at
    most 1/LEAST. At its near end the vector would point toward the camera, to the left and up at once.
    """
    values = volumes.float()
    total = values.sum(dim=1, keepdim=True)
    squares = values.square().sum(dim=1, keepdim=True).clamp(min=1e-12)
    # |2qw - 1| = 1, or 2 squares q^2 - 2 total q + 1 = 0; the closest point to the ball if the ray misses it
    root = (total.square() - 2 * squares).clamp(min=1e-12).sqrt()
    scale = ((total + root) / (2 * squares)).clamp(1, 1 / LEAST)
    length = lengths(2 * values - 1)
    scale = torch.where((length - 1).abs() < SHARP, 1.0, scale)
    return 2 * scale * values - 1


def surface_depth(occupied: torch.Tensor) -> torch.Tensor:
    """Return z of the middle of the first voxel with hair from the front, float32 [N,H,W]; infinite without one."""
    layers = occupied.shape[2]
    first = occupied[:, 0].int().argmax(dim=1)
    z = ((first + 0.5) / layers - 0.5) * DEPTH
    return torch.where(occupied[:, 0].any(dim=1), z, math.inf)


@dataclass(frozen=True)
class Field:
    """The directions of one volume, for interpolation. vectors: float32 [1,4,D,H,W], the directions and 1 where there
    is hair."""

    vectors: torch.Tensor

    @classmethod
    def of(cls, volume: torch.Tensor) -> Field:
        """Return the field of an encoded volume [3,D,H,W]."""
        vectors, occupied = directions(volume.unsqueeze(0))
        return cls(torch.cat([vectors, occupied.float()], dim=1))

    @property
    def step(self) -> float:
        """The length of a step in this volume, in sides of the box."""
        return min(max(STEP, VOXELS / self.vectors.shape[-1]), COARSEST)

    def at(self, points: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the unit direction [n,3] at points [n,3], and the share of hair there, [n]."""
        grid = points * torch.tensor([2.0, 2.0, 2.0 / DEPTH], device=points.device)
        found = F.grid_sample(self.vectors, grid.view(1, 1, 1, -1, 3), align_corners=False)
        found = found.view(4, -1).T
        return unit(found[:, :3]), found[:, 3]


def grow(field: Field, seeds: torch.Tensor) -> torch.Tensor:
    """Return strands float32 [n,P,3] through the points `seeds` [m,3], from root to tip, n <= m.

    A strand is followed from its seed to the tip and back to the root, so that it covers what a seed was placed on. Its
    last points are equal if it ends early.
    """
    steps = math.ceil(LONGEST / field.step / 2)
    forth, back = (walk(field, seeds, steps, sign) for sign in (1.0, -1.0))
    points = torch.cat([back.flip(1), seeds.unsqueeze(1), forth], dim=1)
    length = points.diff(dim=1).norm(dim=2).sum(dim=1)
    long = length >= SHORTEST * length.mean()
    return points[long & (length > 0)]


def walk(field: Field, seeds: torch.Tensor, steps: int, sign: float) -> torch.Tensor:
    """Return the points [m,steps,3] after each step along the directions, times `sign`."""
    at = seeds
    heading, share = field.at(at)
    heading = sign * heading
    alive = share > 0
    points = []
    for _ in range(steps):
        at = torch.where(alive.unsqueeze(1), at + field.step * heading, at)
        points.append(at)
        turned, share = field.at(at)
        turned = sign * turned
        cosine = (turned * heading).sum(dim=1)
        averaged = unit(turned + heading)
        heading = torch.where((cosine < math.cos(math.radians(60))).unsqueeze(1), averaged, turned)
        alive = alive & (share >= 0.5) & (cosine >= math.cos(math.radians(150)))
    return torch.stack(points, dim=1)
