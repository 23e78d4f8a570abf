"""A head as an ellipsoid: where hair grows on it, its pose before the camera, and its depth by ray casting.

Lengths are sides of the box around the head, in which pictures and volumes lie: x to the right and y down, both from
-0.5 to 0.5, and z away from the camera from -0.375 to 0.375 (128 x 128 x 96 voxels in the paper). The projection is
orthographic, so that a picture of side S has its pixel (row, column) at x = (column + 0.5)/S - 0.5 and
y = (row + 0.5)/S - 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

DEPTH = 0.75  # of the box, from the nearest to the farthest plane
AXES = (0.245, 0.305, 0.285)
CENTRE = (0.0, -0.075, 0.0)


@dataclass(frozen=True)
class Head:
    """An ellipsoid that looks toward the camera before it is turned.

    axes: half its width, height and depth; centre: in its own frame; pose: float64 [3,3], rotates about the middle of
    the box; zoom and shift: applied after the rotation; hairline: of the forehead (see
    `margin`).
    """

    axes: tuple[float, float, float] = AXES
    centre: tuple[float, float, float] = CENTRE
    pose: np.ndarray = field(default_factory=lambda: np.eye(3))
    zoom: float = 1.0
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0)
    hairline: float = 0.5

    def outward(self, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return points on the head, and its unit normals there, float64 [n,3] each in the head's own frame, for
        points `directions` [n,3] on the unit sphere."""
        axes = np.array(self.axes)
        normals = directions / axes
        normals /= norms(normals)
        return directions * axes + np.array(self.centre), normals

    def before_camera(self, points: np.ndarray) -> np.ndarray:
        """Return points [...,3] of the head's own frame where the camera sees them."""
        moved = points @ (self.zoom * self.pose.T) + np.array(self.shift)
        return np.asarray(moved)

    def visible(self, normals: np.ndarray) -> np.ndarray:
        """Return which unit normals [n,3] of the head's own frame face the camera, bool [n]."""
        return np.asarray(normals @ self.pose[2] < 0)


def margin(directions: np.ndarray, hairline: float) -> np.ndarray:
    """Return how far points [...,3] on the unit sphere of a head lie within the part that bears hair, below 0 outside:
    above the forehead, above and behind the ears, down to the nape. `hairline` is the height of the forehead's line, 0
    at the eyes and 1 at the crown."""
    x, y, z = np.moveaxis(directions, -1, 0)
    # The limit rises from the nape at the back (z = 1) over the ears to the forehead (z = -1).
    front = np.clip(-z, 0, 1)
    limit = 0.52 - 0.42 * np.clip(1 - z, 0, 1) - (0.1 + hairline) * front**1.2 + 0.12 * np.abs(x) * front
    return np.asarray(limit - y)


def bearing(directions: np.ndarray, hairline: float) -> np.ndarray:
    """Return which points [...,3] on the unit sphere of a head bear hair, bool (see `margin`)."""
    return margin(directions, hairline) > 0


def sphere(count: int, turn: float = 0.0) -> np.ndarray:
    """Return `count` evenly spread points on the unit sphere, float64 [n,3], by the golden angle."""
    k = np.arange(count) + 0.5
    y = 1 - 2 * k / count
    around = np.sqrt(1 - y * y)
    angle = np.pi * (1 + np.sqrt(5)) * k + turn
    return np.stack([around * np.cos(angle), y, around * np.sin(angle)], 1)


def norms(vectors: np.ndarray) -> np.ndarray:
    """Return the lengths of vectors [...,3], [...,1]."""
    return np.asarray(np.sqrt(np.einsum("...i,...i->...", vectors, vectors)))[..., None]


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """Return the rotation by angles in degrees about X, then Y, then Z, float64 [3,3]."""
    turned = np.eye(3)
    for axis, degrees in enumerate((x, y, z)):
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        one = np.eye(3)
        a, b = (axis + 1) % 3, (axis + 2) % 3
        one[a, a], one[a, b], one[b, a], one[b, b] = cosine, -sine, sine, cosine
        turned = one @ turned
    return turned


def cast(head: Head, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Cast one ray per pixel at the head. Returns z of the first hit, float32 [S,S], infinite where the ray misses; and
    the hits as points on the unit sphere of the head's own frame, float32 [3,S,S]."""
    line = ((np.arange(side) + 0.5) / side - 0.5).astype(np.float32)
    axes = head.zoom * np.array(head.axes)
    middle = head.before_camera(np.array(head.centre))
    # In the frame where the head is the unit sphere, rays are origin + z * along.
    into = (head.pose / axes).T
    x = line[None, :] - np.float32(middle[0])
    y = line[:, None] - np.float32(middle[1])
    origin = into[:, :2].astype(np.float32) @ np.stack(np.broadcast_arrays(x, y)).reshape(2, -1)
    origin = origin.reshape(3, side, side)
    along = into[:, 2].astype(np.float32)
    a = float(along @ along)
    b = np.tensordot(along, origin, 1)
    root = b * b - a * ((origin * origin).sum(0) - 1)
    near = (-b - np.sqrt(np.maximum(root, 0))) / a
    hits = origin + along[:, None, None] * near
    return np.where(root > 0, near + np.float32(middle[2]), np.float32(np.inf)), hits


def bust_depth(head: Head, side: int) -> np.ndarray:
    """Return the distance from the box's nearest plane to the head over the depth of the box, float32 [S,S] in 0..1; 0
    where there is no head (methods of Hair-GAN: the fourth input map)."""
    z, _ = cast(head, side)
    return np.where(np.isfinite(z), np.clip(z / DEPTH + 0.5, 1e-3, 1), 0).astype(np.float32)
