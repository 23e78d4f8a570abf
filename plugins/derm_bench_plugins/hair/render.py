"""Pictures of strands: lines of one pixel, drawn from back to front at twice the size, shaded after Kajiya and Kay.

Kajiya and Kay (SIGGRAPH 1989): for a tangent T, the direction L to the light and V of the view, hair returns
kd sin(T,L) diffusely and ks ((T.L)(T.V) + sin(T,L) sin(T,V))^p as gloss. Hair that lies deeper than what surrounds it,
or near its root, is darker.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter

from derm_bench_plugins.hair.head import norms

FINE = 2  # lines are drawn at this multiple of the size
VIEW = np.array([0.0, 0.0, 1.0], np.float32)  # from the camera to the hair


@dataclass(frozen=True)
class Light:
    """toward: unit vector to the light; ambient, diffuse, gloss: shares of light; power: sharpness of the gloss;
    occlusion: how quickly deeper hair gets dark, per side of the box."""

    toward: tuple[float, float, float] = (0.3, -0.6, -0.74)
    ambient: float = 0.35
    diffuse: float = 0.75
    gloss: float = 0.28
    power: float = 40.0
    occlusion: float = 14.0


LEAST = 1e-4  # pixels that a segment crosses, if it is drawn


@dataclass(frozen=True)
class Traced:
    """What is seen of strands at FINE times the size F = FINE * S.

    strand: int64 [F,F], the strand in front, -1 where there is none; tangent: float32 [F,F,3], its unit direction from
    root to tip; part: [F,F], where on it, 0 at the root to 1 at the tip; z: [F,F], its depth, infinite where there is
    none.
    """

    strand: np.ndarray
    tangent: np.ndarray
    part: np.ndarray
    z: np.ndarray


def trace(points: np.ndarray, side: int, behind: np.ndarray | None = None) -> Traced:
    """Draw strands `points` [n,P,3] before the camera (see `head` for units) for a picture of `side`. Hair farther away
    than `behind`, float [F,F] in sides of the box, is hidden."""
    fine = FINE * side
    points = points.astype(np.float32)
    segments = points.shape[1] - 1
    reach = _reach(points, fine)
    middle = (points[:, 1:, 2] + points[:, :-1, 2]).ravel()
    order = np.flatnonzero(reach > LEAST)
    order = order[np.argsort(-middle[order])]  # the last line drawn at a pixel stays
    which, part = _steps(order, reach)
    strand, segment = np.divmod(which, segments)
    first = strand * (segments + 1) + segment
    flat = points.reshape(-1, 3)
    a, b = flat[first], flat[first + 1]
    at = a + part[:, None] * (b - a)
    seen, index = _pixels(at, fine)
    if behind is not None:
        seen &= at[:, 2] < behind.ravel()[index]
    sample = np.full(fine * fine, -1)
    chosen = np.flatnonzero(seen)
    sample[index[chosen]] = chosen
    hair = sample >= 0
    sample = np.maximum(sample, 0)
    if not len(which):
        empty = np.zeros((fine, fine), np.float32)
        none = np.full((fine, fine), -1)
        return Traced(none, np.zeros((fine, fine, 3), np.float32), empty, empty + np.inf)
    step = b[sample] - a[sample]
    tangent = np.where(hair[:, None], step / np.maximum(norms(step), 1e-9), 0)
    return Traced(
        strand=np.where(hair, strand[sample], -1).reshape(fine, fine),
        tangent=tangent.reshape(fine, fine, 3),
        part=((segment[sample] + part[sample]) / segments * hair).reshape(fine, fine),
        z=np.where(hair, at[sample, 2], np.float32(np.inf)).reshape(fine, fine),
    )


def covered(points: np.ndarray, side: int) -> np.ndarray:
    """Return where strands `points` [n,P,3] are seen in a picture of `side`, bool [F,F]: what `trace` finds of them, at
    a fraction of its cost."""
    fine = FINE * side
    points = points.astype(np.float32)
    reach = _reach(points, fine)
    which, part = _steps(np.flatnonzero(reach > LEAST), reach)
    first = which + which // (points.shape[1] - 1)
    flat = np.ascontiguousarray(points[..., :2]).reshape(-1, 2)
    a = flat[first]
    seen, index = _pixels(a + part[:, None] * (flat[first + 1] - a), fine)
    hair = np.zeros(fine * fine, bool)
    hair[index[seen]] = True
    return hair.reshape(fine, fine)


def _reach(points: np.ndarray, fine: int) -> np.ndarray:
    """Return how many pixels the segments of strands [n,P,3] cross along x or y, the larger one: float32 [n(P-1)]."""
    pixels = (points[..., :2] + 0.5) * fine
    return np.asarray(np.abs(np.diff(pixels, axis=1)).max(2).ravel())


def _steps(order: np.ndarray, reach: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Walk along segments in this order, about a pixel at a time. Return for each step its segment, int64, and where on
    it, float32 in 0..1."""
    count = np.maximum(np.ceil(reach[order]), 1).astype(np.int64)
    which = np.repeat(order, count)
    ends = np.cumsum(count)
    part = (np.arange(len(which)) - np.repeat(ends - count, count) + 0.5) / np.repeat(count, count)
    return which, part.astype(np.float32)


def _pixels(at: np.ndarray, fine: int) -> tuple[np.ndarray, np.ndarray]:
    """Return which points [n,2 or 3] are in the picture, bool [n], and at which pixel of its F x F, int64 [n]; 0 for
    others."""
    column, row = ((np.float32(0.5) + at[:, axis]) * fine for axis in (0, 1))
    seen = (column >= 0) & (column < fine) & (row >= 0) & (row < fine)
    return seen, np.where(seen, row.astype(np.int64) * fine + column.astype(np.int64), 0)


def shade(traced: Traced, albedo: np.ndarray, light: Light = Light()) -> tuple[np.ndarray, np.ndarray]:
    """Return the colour of hair, float32 [F,F,3], and where it is, bool [F,F]. `albedo`: [n,3] in 0..1 by strand."""
    hair = traced.strand >= 0
    if not len(albedo):
        return np.zeros((*hair.shape, 3), np.float32), hair
    toward = np.array(light.toward, np.float32)
    toward /= np.linalg.norm(toward)
    lit = traced.tangent @ toward
    seen = traced.tangent @ VIEW
    lit_sine, seen_sine = np.sqrt(np.maximum(1 - lit * lit, 0)), np.sqrt(np.maximum(1 - seen * seen, 0))
    gloss = np.clip(lit_sine * seen_sine + lit * seen, 0, 1) ** np.float32(light.power)
    matt = light.ambient + light.diffuse * lit_sine
    matt = matt * (0.55 + 0.45 * np.minimum(4 * traced.part, 1)) * _open(traced.z, hair, light.occlusion)
    colour = albedo.astype(np.float32)[np.maximum(traced.strand, 0)]
    # Hair of any colour has a gloss of the light's colour, and a second one of its own.
    shine = light.gloss * gloss[..., None] * (0.35 + 0.9 * colour)
    return (colour * matt[..., None] + shine).astype(np.float32) * hair[..., None], hair


def _open(z: np.ndarray, hair: np.ndarray, occlusion: float) -> np.ndarray:
    """Return 1 where hair lies in front of what surrounds it, and less where it lies deeper."""
    width = max(3, z.shape[0] // 40 | 1)
    known = np.where(hair, z, 0).astype(np.float32)
    share = uniform_filter(hair.astype(np.float32), width, mode="nearest")
    around = uniform_filter(known, width, mode="nearest") / np.maximum(share, 1e-3)
    deeper = np.clip(np.where(hair, z - around, 0), -0.02, 0.1)
    return np.exp(-occlusion * deeper).astype(np.float32)


def halve(fine: np.ndarray) -> np.ndarray:
    """Return the mean of blocks of FINE x FINE pixels, [S,S,...] of [F,F,...]."""
    parts = [fine[row::FINE, column::FINE] for row in range(FINE) for column in range(FINE)]
    total = parts[0].astype(np.float32)
    for part in parts[1:]:
        total += part
    return total / np.float32(FINE * FINE)


def paint(
    points: np.ndarray,
    albedo: np.ndarray,
    background: np.ndarray,
    light: Light = Light(),
    behind: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw strands over a picture.

    points: [n,P,3] before the camera, in sides of the box (see `head`); albedo: [n,3] in 0..1, the colour of each;
    background: float [S,S,3] in 0..1; behind: [2S,2S], the depth of what hides hair. Returns the picture, float32
    [S,S,3] in 0..1, and the opacity of hair, float32 [S,S].
    """
    traced = trace(points, background.shape[0], behind)
    colour, hair = shade(traced, albedo, light)
    cover = halve(hair)
    picture = halve(colour) + (1 - cover)[..., None] * background
    return np.clip(picture, 0, 1).astype(np.float32), cover


def directions(traced: Traced) -> tuple[np.ndarray, np.ndarray]:
    """Return the true projected direction of hair, float32 [2,S,S] (x, y) of length 1, and where it is known, bool
    [S,S]: at least half of the pixel shows hair, and it does not point at the camera."""
    flat = halve(traced.tangent[..., :2])
    norm = np.sqrt((flat * flat).sum(2))
    known = (halve(traced.strand >= 0) >= 0.5) & (norm > 0.1)
    return (flat / np.maximum(norm, 1e-6)[..., None] * known[..., None]).transpose(2, 0, 1), known
