"""How a person stands before the camera: the coordinates of each pixel, and of each place on the face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from derm_bench_plugins.datasets.phantom_face.anatomy import Shape, depth, dome

FIELD = 1.19  # half the width of the picture, in half heights of a head


@dataclass(frozen=True)
class Pose:
    """turn: of the head to the side, as the shift of the nose; nod: the same, down; tilt in radians; scale: half
    heights per pixel; x, y: the pixel of the middle of the head."""

    turn: float
    nod: float
    tilt: float
    scale: float
    x: float
    y: float


def draw_pose(shot: np.random.Generator, side: int) -> Pose:
    turn, nod, tilt = shot.normal(0, (0.09, 0.035, 0.06))
    scale = 2 * FIELD * shot.uniform(0.9, 1.08) / side
    middle = (side - 1) / 2 + shot.normal(0, 0.025, 2) * side
    return Pose(
        float(np.clip(turn, -0.2, 0.2)),
        float(np.clip(nod, -0.08, 0.08)),
        float(np.clip(tilt, -0.15, 0.15)),
        scale,
        middle[0],
        middle[1] - 0.015 * side,
    )


@dataclass(frozen=True)
class Plane:
    """Float32 [S,S]. u, v: coordinates in the plane of the head's outline; p, q: those on the face, which the pose
    shifts against it; far: `depth`; out: `dome`; pixel: half heights per pixel."""

    u: np.ndarray
    v: np.ndarray
    p: np.ndarray
    q: np.ndarray
    far: np.ndarray
    out: np.ndarray
    pixel: float

    def within(self, distance: np.ndarray, rim: float = 1.0) -> np.ndarray:
        """Return 1 where `distance` (half heights) is positive, 0 where it is negative, with a rim of `rim` pixels."""
        return np.clip(distance / (rim * self.pixel) + 0.5, 0, 1)

    def line(self, distance: np.ndarray, width: float) -> np.ndarray:
        """Return a soft line along `distance` 0, `width` half heights wide and at least as wide as a pixel."""
        away = distance * (1 / max(width, 0.42 * self.pixel))
        return np.exp(-away * away)


def plane(shape: Shape, pose: Pose, side: int) -> Plane:
    """Return the coordinates of all pixels."""
    line = np.arange(side, dtype=np.float32) * np.float32(pose.scale)
    x = line[None, :] - np.float32(pose.x * pose.scale)
    y = line[:, None] - np.float32(pose.y * pose.scale)
    cosine, sine = np.float32(np.cos(pose.tilt)), np.float32(np.sin(pose.tilt))
    u, v = cosine * x + sine * y, cosine * y - sine * x
    far = depth(shape, u, v)
    out = dome(far)
    return Plane(u, v, u - np.float32(pose.turn) * out, v - np.float32(pose.nod) * out, far, out, pose.scale)


def pixels_of(shape: Shape, pose: Pose, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the pixels (x, y), float64 [n] each, of places [n,2] on the face."""
    p, q = places[:, 0], places[:, 1]
    u, v = p, q
    for _ in range(3):
        out = dome(depth(shape, u, v))
        u, v = p + pose.turn * out, q + pose.nod * out
    cosine, sine = np.cos(pose.tilt), np.sin(pose.tilt)
    return (cosine * u - sine * v) / pose.scale + pose.x, (sine * u + cosine * v) / pose.scale + pose.y
