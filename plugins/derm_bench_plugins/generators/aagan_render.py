"""From a volume to a picture: strands through the hair of a photograph, turned, and drawn with its colours.

Seeds lie on the hair that the photograph shows, on the surface of the volume. Strands never cover what it shows as
bald, since a patch may be smaller than a voxel. They are drawn over the photograph without its hair; between them lies
the dark hair underneath. Colours of strands are drawn from the hair of the photograph, and at the end mean and
deviation of the new hair are made those of the old one (Reinhard et al. 2001).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from derm_bench_plugins.generators.aagan_photo import GAP, Photograph, closed, disc, to_lab, to_rgb
from derm_bench_plugins.generators.aagan_volume import Field, directions, grow, surface_depth
from derm_bench_plugins.hair.head import DEPTH
from derm_bench_plugins.hair.render import Light, paint

PER_PIXEL = 0.9  # strands per pixel of hair
BEYOND = 0.02  # by which strands may reach beyond the hair of the photograph, as a fraction of the side
UNEVEN = 0.6  # of the deviation of the colour of hair, that of single strands
UNDER = 0.55  # lightness of the hair underneath, relative to the hair
GAIN = (0.6, 1.7)  # limits of the change of a deviation


@dataclass(frozen=True)
class Turn:
    """A rotation float64 [3,3] about a point [3] of the box."""

    matrix: np.ndarray
    middle: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Return points [...,3], turned."""
        return np.asarray((points - self.middle) @ self.matrix.T + self.middle)


def seeds(
    photograph: Photograph, volume: torch.Tensor, depth: torch.Tensor, most: int, draws: np.random.Generator
) -> np.ndarray:
    """Return points float32 [n,3] on the surface of the hair, evenly over what the photograph shows of it.

    volume: [3,D,H,W]; depth: [S,S], that of the bust, used where the volume shows no hair; most: the largest n.
    """
    side = len(photograph.hair)
    places = np.argwhere(photograph.hair)
    count = min(most, max(1, round(PER_PIXEL * len(places))))
    chosen = places[draws.permutation(len(places))[:count] if count <= len(places) else slice(None)]
    at = (chosen + draws.random(chosen.shape)) / side
    _, occupied = directions(volume.unsqueeze(0))
    surface = surface_depth(occupied)[0].cpu().numpy()
    bust = depth.cpu().numpy()
    row, column = (at * len(surface)).astype(int).T
    z = surface[row, column]
    below, right = (at * len(bust)).astype(int).T
    on_bust = (np.where(bust[below, right] > 0, bust[below, right], 0.5) - 0.5) * DEPTH
    z = np.where(np.isfinite(z), z, on_bust) + draws.random(len(z)) / len(surface)
    return np.stack([at[:, 1] - 0.5, at[:, 0] - 0.5, z], axis=1).astype(np.float32)


def strands(photograph: Photograph, volume: torch.Tensor, points: np.ndarray) -> np.ndarray:
    """Return strands float32 [n,P,3] of a volume [3,D,H,W] through points [m,3] on the hair of a photograph. The middle
    point of a strand is its seed. A strand ends where the photograph has no hair, since voxels are coarser than it."""
    grown = grow(Field.of(volume), torch.from_numpy(points).to(volume.device))
    marked = np.where(photograph.hair, 255, 0).astype(np.uint8)
    around = cv2.dilate(marked, disc(max(1, round(BEYOND * len(marked)))))
    return kept_off(grown.cpu().numpy(), around == 0)


def kept_off(points: np.ndarray, bald: np.ndarray) -> np.ndarray:
    """Return strands [n,P,3], cut on both sides of their middle point where they would cover `bald`, bool [s,s].
    Strands whose middle point lies there are left out."""
    side, middle = len(bald), points.shape[1] // 2
    place = np.clip(((points[..., :2] + 0.5) * side).astype(int), 0, side - 1)
    over = bald[place[..., 1], place[..., 0]]
    points, over = points[~over[:, middle]], over[~over[:, middle]]
    after = np.where(over[:, middle:].any(1), over[:, middle:].argmax(1) - 1, over.shape[1] - 1 - middle)
    before = np.where(over[:, middle::-1].any(1), over[:, middle::-1].argmax(1) - 1, middle)
    index = np.clip(np.arange(points.shape[1]), (middle - before)[:, None], (middle + after)[:, None])
    return np.asarray(np.take_along_axis(points, index[..., None], axis=1))


def drawn(
    photograph: Photograph, points: np.ndarray, light: Light, draws: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return the picture float32 [s,s,3] of strands over the photograph without hair, and where it has hair, bool
    [s,s]."""
    if not len(points):
        return photograph.bare, np.zeros_like(photograph.hair)
    _, cover = paint(points, np.ones((len(points), 3)), photograph.bare, light)
    hair = closed(cover >= 0.25)
    middle, deviation = photograph.lab.mean(axis=0), photograph.lab.std(axis=0)
    under = to_rgb(middle * np.array([UNDER, 1, 1], np.float32))
    soft = cv2.GaussianBlur(hair.astype(np.float32), (0, 0), max(0.5, GAP * len(hair)))[..., None]
    background = soft * under + (1 - soft) * photograph.bare
    picks = photograph.lab[draws.integers(len(photograph.lab), size=len(points))]
    picture, cover = paint(points, to_rgb(middle + UNEVEN * (picks - middle)), background, light)
    matched = with_statistics(picture, hair, middle, deviation)
    weight = np.maximum(soft, cover[..., None])
    return np.asarray(weight * matched + (1 - weight) * picture, np.float32), hair


def with_statistics(
    picture: np.ndarray, where: np.ndarray, mean: np.ndarray, deviation: np.ndarray
) -> np.ndarray:
    """Return a picture [s,s,3] whose pixels `where` have this mean and, within limits, this deviation in L*a*b*."""
    if not where.any():
        return picture
    lab = to_lab(picture)
    own = lab[where]
    gain = np.clip(deviation / np.maximum(own.std(axis=0), 1e-3), *GAIN)
    return to_rgb((lab - own.mean(axis=0)) * gain + mean)


def warped(photograph: Photograph, volume: torch.Tensor, turn: Turn) -> tuple[np.ndarray, np.ndarray]:
    """Return the photograph with its hair moved as the surface of the volume moves under a turn, float32 [s,s,3], and
    where it then has hair, bool [s,s]. The texture is that of the photograph."""
    side = len(photograph.hair)
    _, occupied = directions(volume.unsqueeze(0))
    surface = surface_depth(occupied)[0].cpu().numpy()
    known = np.isfinite(surface)
    z = np.where(known, surface, surface[known].mean() if known.any() else 0).astype(np.float32)
    fine = cv2.resize(z, (side, side), interpolation=cv2.INTER_LINEAR)
    smooth = cv2.GaussianBlur(fine, (0, 0), side / 16)
    y, x = np.indices((side, side), dtype=np.float32)
    points = np.stack([(x + 0.5) / side - 0.5, (y + 0.5) / side - 0.5, smooth], axis=2)
    # The turn back, at the depth of the surface, says where a pixel comes from.
    back = Turn(turn.matrix.T, turn.middle)(points)
    across, down = (((back[..., k] + 0.5) * side - 0.5).astype(np.float32) for k in (0, 1))
    hair = photograph.hair.astype(np.float32)
    moved = cv2.remap(photograph.pixels, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    alpha = cv2.remap(hair, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    alpha = np.where(photograph.bald, 0, alpha)
    soft = cv2.GaussianBlur(alpha, (0, 0), max(0.5, 0.005 * side))[..., None]
    return np.asarray(soft * moved + (1 - soft) * photograph.bare, np.float32), alpha >= 0.5
