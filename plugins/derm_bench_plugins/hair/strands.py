"""Grows strands: guides from the scalp that bend under gravity and slide over the head, and bundles around them.

A guide leaves its root between the normal and the flow of hair, which is away from the whorl unless it is combed
otherwise, and turns down, or toward the tie first. Each guide carries a helix, which the strands of its bundle share up
to `frizz`: a photograph shows bundles, not single strands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from derm_bench_plugins.hair.head import bearing, norms, sphere
from derm_bench_plugins.hair.patches import NO_PATCHES
from derm_bench_plugins.hair.styles import ROUNDNESS

if TYPE_CHECKING:
    from derm_bench_plugins.hair.head import Head
    from derm_bench_plugins.hair.patches import Patches
    from derm_bench_plugins.hair.styles import Style

DOWN = np.array([0.0, 1.0, 0.0])
TIED = 0.07  # distance from the tie, in sides of the box, at which a strand has reached it


@dataclass(frozen=True)
class Strands:
    """Polylines from root to tip. points: float32 [n,P,3]; bundle: int64 [n], the guide of each."""

    points: np.ndarray
    bundle: np.ndarray

    def __len__(self) -> int:
        return len(self.points)


@dataclass(frozen=True)
class Effort:
    """How finely a head is made: number of bundles and of strands per bundle on a full head, points per strand."""

    bundles: int = 420
    strands: int = 8
    points: int = 40


def grow(
    head: Head,
    style: Style,
    rng: np.random.Generator,
    patches: Patches = NO_PATCHES,
    effort: Effort = Effort(),
) -> Strands:
    """Grow the hair of a head where it bears hair and `patches` leave some, in the head's own frame."""
    roots = _roots(head, style, rng, effort)
    guides, across = _guides(head, style, roots, rng, effort.points)
    points, bundle, start = _bundles(head, style, roots, guides, across, rng, effort.strands)
    keep = bearing(start, head.hairline) & ~patches.bald(start)
    points, bundle = points[keep], bundle[keep]
    if len(patches.radii):
        points = _trimmed(head, points, patches)
    return Strands(points.astype(np.float32), bundle)


def whorl(style: Style) -> np.ndarray:
    """Return the point of the unit sphere that hair grows away from, float64 [3]: behind the crown."""
    point = np.array([np.sin(style.parting), -1.0, 0.35])
    return np.asarray(point / np.linalg.norm(point))


def _roots(head: Head, style: Style, rng: np.random.Generator, effort: Effort) -> np.ndarray:
    """Return the roots of guides as points on the unit sphere, a little beyond where hair grows."""
    count = max(8, round(effort.bundles * style.density))
    points = sphere(2 * count, rng.uniform(0, 2 * np.pi))  # hair grows on about half of the sphere
    points = points + rng.normal(0, 0.6 / np.sqrt(count), points.shape)
    points /= norms(points)
    roots: np.ndarray = points[bearing(points, head.hairline + 0.03)]
    return roots


def _guides(
    head: Head, style: Style, roots: np.ndarray, rng: np.random.Generator, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the guides' points, float64 [P,g,3], and the normals of the head beside them, [P,g,3]."""
    at, normal = head.outward(roots)
    away = _combed(style, roots)
    side = np.cross(normal, away)
    flow = (
        np.cos(style.sweep) * away + np.sin(style.sweep) * side + 0.5 * DOWN + rng.normal(0, 0.1, away.shape)
    )
    flow -= _dot(flow, normal) * normal
    heading = flow / (norms(flow) + 1e-9) + style.lift * normal
    lengths = style.length * rng.uniform(0.8, 1.1, (len(roots), 1))
    step = lengths / (count - 1)
    tie = head.outward(_tie(style)[None])[0] if style.comb.way == "tied" else None
    loose = np.full((len(roots), 1), tie is None)
    axes, middle = np.array(head.axes), np.array(head.centre)
    clearance = 1 + 0.07 * rng.random((len(roots), 1)) ** 2 + 0.01
    points, normals = [at], [normal]
    for _ in range(count - 1):
        heading = heading / norms(heading)
        at = at + step * heading
        local = (at - middle) / axes
        radius = norms(local)
        normal = local / axes
        normal = normal / norms(normal)
        inside = np.clip(clearance - radius, 0, None) / radius
        # Hair is pushed out of the head at once, and gently up to its own distance from it.
        push = np.maximum(0.5 * inside, np.clip(1.005 - radius, 0, None) / radius)
        at = at + push * local * axes
        # Hair that touches the head slides along it.
        into = np.minimum(_dot(heading, normal), 0)
        heading = heading - (inside > 0) * into * normal
        if tie is not None:
            loose = loose | (norms(tie - at) < TIED)
        aim = DOWN if tie is None else np.where(loose, DOWN, (tie - at) / (norms(tie - at) + 1e-9))
        heading = heading + style.gravity * step * aim
        points.append(at)
        normals.append(normal)
    return np.stack(points), np.stack(normals)


def _combed(style: Style, roots: np.ndarray) -> np.ndarray:
    """Return the direction of the flow at roots [g,3] on the unit sphere, float64 [g,3], not yet along the head."""
    match style.comb.way:
        case "parting":
            side = np.where(roots[:, :1] > np.sin(style.parting), 1.0, -1.0)
            return np.asarray(side * np.array([1.0, 0.0, 0.0]) + np.array([0.0, 0.0, 0.2]))
        case "back":
            return np.broadcast_to(np.array([0.0, -0.2, 1.0]), roots.shape)
        case "forward":
            return np.broadcast_to(np.array([0.0, 0.0, -1.0]), roots.shape)
        case "aside":
            return np.broadcast_to(np.array([1.0 if style.parting < 0 else -1.0, 0.0, -0.2]), roots.shape)
        case "tied":
            toward = _tie(style) - roots
            return np.asarray(toward / (norms(toward) + 1e-6) - 0.5 * DOWN)
        case _:
            way = whorl(style)
            away = roots - (roots @ way)[:, None] * way
            return np.asarray(away / (norms(away) + 1e-6))


def _tie(style: Style) -> np.ndarray:
    """Return the point of the unit sphere where hair is pulled together, float64 [3]: on the back of the head."""
    return np.array([0.0, -style.comb.tie, np.sqrt(1 - style.comb.tie**2)])


def _bundles(
    head: Head,
    style: Style,
    roots: np.ndarray,
    guides: np.ndarray,
    normals: np.ndarray,
    rng: np.random.Generator,
    each: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return strands around guides, float64 [n,P,3], their bundles, and their roots on the unit sphere."""
    steps, count = guides.shape[:2]
    tangent = np.gradient(guides, axis=0)
    tangent /= norms(tangent) + 1e-12
    out = normals - _dot(normals, tangent) * tangent
    out /= norms(out) + 1e-6
    across = np.cross(tangent, out)
    # Strands start around the root of their guide, in the plane that touches the head, and come closer to it.
    turn, far = rng.uniform(0, 2 * np.pi, (count, each)), np.sqrt(rng.random((count, each)))
    flat, deep = far * np.cos(turn), far * np.sin(turn)
    along = np.linspace(0, 1, steps)
    spacing = 0.9 * np.sqrt(2 * np.pi / max(count, 1)) * float(np.mean(head.axes))
    wide = spacing + (style.wisp - spacing) * np.minimum(3 * along, 1)
    length = np.linalg.norm(np.diff(guides, axis=0), axis=2).sum(0)
    phase = rng.uniform(0, 2 * np.pi, (count, 1)) + rng.normal(0, 2 * style.frizz, (count, each))
    period = style.period * np.exp(rng.normal(0, 0.1, (count, 1)))
    radius = style.radius * np.exp(
        rng.normal(0, 0.15, (count, 1)) + rng.normal(0, style.frizz, (count, each))
    )
    angle = phase + (2 * np.pi * length[:, None] / period) * along[:, None, None]
    rise = np.minimum(along * style.length / (0.35 * style.period), 1)[:, None, None] * radius
    round_ = ROUNDNESS[style.kind]
    sideways = wide[:, None, None] * flat + rise * np.sin(angle)
    outward = 0.4 * wide[:, None, None] * (1 + deep) * np.minimum(4 * along, 1)[:, None, None]
    outward = outward + round_ * rise * (1 + np.cos(angle))
    back = wide[0] * deep * (1 - 0.7 * along[:, None, None])
    guides, across, out = (field.astype(np.float32) for field in (guides, across, out))
    sideways, outward, back = (field.astype(np.float32) for field in (sideways, outward, back))
    points = (
        guides[:, :, None]
        + sideways[..., None] * across[:, :, None]
        + outward[..., None] * out[:, :, None]
        + back[..., None] * np.cross(out, across)[0][None, :, None]
    )
    points = points.transpose(1, 2, 0, 3).reshape(count * each, steps, 3)
    start = (points[:, 0] - np.array(head.centre)) / np.array(head.axes)
    start /= norms(start)
    points[:, 0] = head.outward(start)[0]
    return points, np.repeat(np.arange(count), each), start


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("...i,...i->...", a, b))[..., None]


def _trimmed(head: Head, points: np.ndarray, patches: Patches) -> np.ndarray:
    """Cut strands where they would hang over a patch, as hair is combed aside to show it: the points behind the cut are
    all at the cut."""
    local = (points[:, 1:] - np.array(head.centre)) / np.array(head.axes)
    local /= norms(local)
    over = patches.distance(local) < -0.06 * patches.level
    first = np.where(over.any(1), over.argmax(1), points.shape[1] - 1)
    index = np.minimum(np.arange(points.shape[1])[None], first[:, None])
    return np.asarray(np.take_along_axis(points, index[..., None], 1))
