"""From a volume to a picture: strands through the hair of a photograph, turned, and drawn with its colours.

Seeds lie on the hair that the photograph shows, on the surface of the volume. Strands never cover what it shows as
bald, since a patch may be smaller than a voxel. They are drawn over the photograph without its hair; between them lies
the darker hair underneath, so that a gap is no patch. A strand has the colour that the photograph has at its seed. At
the end mean and deviation of the new hair are made those of the old one (Reinhard et al. 2001), and lights and shadows
of whole regions those of the photograph. Small photographs are drawn larger and then reduced: at 64 pixels a line of
half a pixel is as wide as a lock of hair.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from derm_bench_plugins.generators.aagan_photo import GAP, Photograph, closed, disc, to_lab, to_rgb
from derm_bench_plugins.generators.aagan_volume import Field, directions, grow, surface_depth
from derm_bench_plugins.hair.head import DEPTH
from derm_bench_plugins.hair.render import Light, covered, halve, shade, trace

FINEST = 256  # side below which photographs are drawn larger
PER_PIXEL = 0.9  # strands per pixel of hair, or per strip of such a pixel if it is drawn larger
BEYOND = 0.02  # by which strands may reach beyond the hair of the photograph, as a fraction of the side
EDGE = 0.02  # width of the edge of hair, as a fraction of the side
LOCAL = 1 / 32  # deviation of the blur of the colours of hair, as a fraction of the side
UNEVEN = 0.6  # share of what the colour at a seed differs from that around it, which a strand has
UNDER = 0.75  # lightness of the hair underneath, relative to the hair
SHADED = 1 / 32  # deviation of the blur of lights and shadows, as a fraction of the side
KEPT = 0.3  # share of the lights and shadows of the strands that a picture keeps
GAIN = (0.6, 1.7)  # limits of the change of a deviation


@dataclass(frozen=True)
class Turn:
    """A rotation float64 [3,3] about a point [3] of the box."""

    matrix: np.ndarray
    middle: np.ndarray

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Return points [...,3], turned."""
        return np.asarray((points - self.middle) @ self.matrix.T + self.middle)

    @property
    def back(self) -> Turn:
        """The opposite turn."""
        return Turn(self.matrix.T, self.middle)


def enlargement(side: int) -> int:
    """Return by what photographs of this side are larger when strands are drawn over them."""
    return max(1, -(-FINEST // side))


def seeds(
    photograph: Photograph, volume: torch.Tensor, depth: torch.Tensor, most: int, draws: np.random.Generator
) -> np.ndarray:
    """Return points float32 [n,3] on the surface of the hair, evenly over what the photograph shows of it.

    volume: [3,D,H,W]; depth: [S,S], that of the bust, used where the volume shows no hair; most: the largest n.
    """
    side = len(photograph.hair)
    places = np.argwhere(photograph.hair)
    count = min(most, max(1, round(PER_PIXEL * enlargement(side) * len(places))))
    rounds = [draws.permutation(len(places)) for _ in range(-(-count // max(1, len(places))))]
    chosen = places[np.concatenate([*rounds, np.zeros(0, int)])[:count]]
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
    reached = cv2.dilate(marked, disc(max(1, round(BEYOND * len(marked)))))
    return kept_off(grown.cpu().numpy(), reached == 0)


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


def hair_of(photograph: Photograph, points: np.ndarray) -> np.ndarray:
    """Return where the picture that `drawn` makes of strands [n,P,3] has hair, bool [s,s], without making it."""
    if not len(points):
        return np.zeros_like(photograph.hair)
    times = enlargement(len(photograph.hair))
    return filled(photograph, reduced(halve(covered(points, times * len(photograph.hair))), times))


def drawn(
    photograph: Photograph,
    points: np.ndarray,
    origins: np.ndarray,
    light: Light,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the picture float32 [s,s,3] of strands over the photograph without hair, and where it has hair, bool
    [s,s]. The strands [n,P,3] have the colours of the photograph at `origins` [n,2], x and y in sides of the box."""
    if not len(points):
        return photograph.bare, np.zeros_like(photograph.hair)
    side = len(photograph.hair)
    times = enlargement(side)
    traced = trace(points, times * side)
    opacity = halve(traced.strand >= 0)
    cover = reduced(opacity, times)
    hair = filled(photograph, cover)
    near, inner = colours(photograph)
    under = to_rgb(near * np.array([UNDER, 1, 1], np.float32))
    soft = cv2.GaussianBlur(shrunk(hair).astype(np.float32), (0, 0), max(0.5, GAP * side))[..., None]
    background = larger(soft * under + (1 - soft) * photograph.bare, times)
    column, row = np.clip(((origins + 0.5) * side).astype(int), 0, side - 1).T
    local = near[row, column]
    own = (to_lab(photograph.pixels)[row, column] - local) * inner[row, column, None]
    strands_colour, _ = shade(traced, to_rgb(local + UNEVEN * own), light)
    large = halve(strands_colour) + (1 - opacity)[..., None] * background
    picture = reduced(np.clip(large, 0, 1), times)
    matched = with_statistics(picture, hair, photograph.lab.mean(axis=0), photograph.lab.std(axis=0))
    matched = with_light(matched, hair, photograph, inner)
    weight = np.maximum(soft, cover[..., None])
    return np.asarray(weight * matched + (1 - weight) * picture, np.float32), hair


def filled(photograph: Photograph, cover: np.ndarray) -> np.ndarray:
    """Return where a picture has hair, bool [s,s], from what share of each pixel strands cover, float32 [s,s].

    Inside of the hair of the photograph there is hair underneath where strands leave a gap. Without it, gaps would be
    bald patches, and a healthy head would not be one.
    """
    return np.asarray(closed(cover >= 0.25) | shrunk(photograph.hair))


def colours(photograph: Photograph) -> tuple[np.ndarray, np.ndarray]:
    """Return the colour of the hair around each pixel in L*a*b*, float32 [s,s,3], and which pixels of hair count, bool
    [s,s]: not those at its edge, through which one sees what is behind. Far from any, the colour is the mean of all."""
    inner = shrunk(photograph.hair)
    return around(to_lab(photograph.pixels), inner, max(1.0, LOCAL * len(inner))), inner


def shrunk(hair: np.ndarray) -> np.ndarray:
    """Return hair, bool [s,s], without its edge; the same if nothing else is left."""
    inner = cv2.erode(np.where(hair, 255, 0).astype(np.uint8), disc(max(1, round(EDGE * len(hair))))) > 0
    return np.asarray(inner if inner.any() else hair)


def larger(picture: np.ndarray, times: int) -> np.ndarray:
    """Return a picture [s,s,3] enlarged to [times s,times s,3]."""
    side = times * len(picture)
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_LINEAR), np.float32)


def reduced(picture: np.ndarray, times: int) -> np.ndarray:
    """Return the means of squares of times x times pixels of a picture [times s,times s,...]."""
    side = len(picture) // times
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA), np.float32)


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


def with_light(
    picture: np.ndarray, hair: np.ndarray, photograph: Photograph, inner: np.ndarray
) -> np.ndarray:
    """Return a picture [s,s,3] whose hair, bool [s,s], is as light as the photograph is there, but for what changes
    from strand to strand, and varies as much within short distances. `inner`: the hair of the photograph that counts.

    Lights and shadows of a whole region come from the direction of strands in depth, of which a volume says least. As
    they were, they had edges like those of a patch.
    """
    if not hair.any():
        return picture
    lab, seen = to_lab(picture), to_lab(photograph.pixels)[..., 0]
    wide = SHADED * len(hair)
    own, light = around(lab[..., 0], hair, wide), around(seen, inner, wide)
    fine, theirs = lab[..., 0] - own, seen - light
    gain = np.clip(theirs[inner].std() / max(float(fine[hair].std()), 1e-3), *GAIN)
    changed = light + KEPT * (own - light) + gain * fine
    lab[..., 0] = np.where(hair, changed, lab[..., 0])
    return to_rgb(lab)


def around(values: np.ndarray, where: np.ndarray, deviation: float) -> np.ndarray:
    """Return the mean of values [s,s] or [s,s,c] at pixels `where`, bool [s,s], around each pixel, weighted by a
    Gaussian of this deviation in pixels. Far from any, it is the mean of all."""
    weight = where.astype(np.float32)
    weight = weight[..., None] if values.ndim == 3 else weight
    mean = values[where].mean(axis=0)
    total, share = (cv2.GaussianBlur(part, (0, 0), deviation) for part in (weight * (values - mean), weight))
    total, share = total.reshape(values.shape), share.reshape(weight.shape)
    return np.asarray(mean + total / np.maximum(share, 1e-2), np.float32)


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
    back = turn.back(points)
    across, down = (((back[..., k] + 0.5) * side - 0.5).astype(np.float32) for k in (0, 1))
    hair = photograph.hair.astype(np.float32)
    moved = cv2.remap(photograph.pixels, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    alpha = cv2.remap(hair, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT)
    alpha = np.where(photograph.bald, 0, alpha)
    soft = cv2.GaussianBlur(alpha, (0, 0), max(0.5, 0.005 * side))[..., None]
    return np.asarray(soft * moved + (1 - soft) * photograph.bare, np.float32), alpha >= 0.5
