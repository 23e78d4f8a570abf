"""The orientation volume of strands (Hair-GAN's output): the mean direction of hair in each voxel.

A volume of a picture of side S is float32 (3, 3S/32, S/8, S/8): the components x, y, z of the unit tangent from root
to tip, encoded as (t + 1)/2, over the axes z, y, x of the box of `head`. Voxels without hair are 0. The three channels
of a voxel with hair sum to at least (3 - sqrt 3)/2 = 0.634, so that half of this tells the two apart.
"""

from __future__ import annotations

import numpy as np

from derm_bench_plugins.hair.head import DEPTH

OCCUPIED = 0.317  # (3 - sqrt 3)/4, of the sum of channels


def volume_shape(side: int) -> tuple[int, int, int]:
    """Return depth, height and width of the volume for pictures of `side`. Raises ValueError unless 32 divides it."""
    if side < 32 or side % 32:
        raise ValueError(f"the side of the maps must be a multiple of 32, not {side}")
    return 3 * side // 32, side // 8, side // 8


def voxelise(points: np.ndarray, side: int) -> np.ndarray:
    """Return the volume of strands `points` [n,P,3] before the camera. Parts outside of the box do not count."""
    depth, height, width = volume_shape(side)
    start, step = points[:, :-1].reshape(-1, 3), np.diff(points, axis=1).reshape(-1, 3)
    length = np.sqrt((step * step).sum(1))
    used = length > 1e-7
    start, step, length = start[used], step[used], length[used]
    # Segments count by their length: as one sample per half voxel, at least one.
    count = np.maximum(np.ceil(2 * width * length), 1).astype(np.int64)
    which = np.repeat(np.arange(len(count)), count)
    part = (np.arange(len(which)) - (np.cumsum(count) - count)[which] + 0.5) / count[which]
    at = start[which] + part[:, None] * step[which]
    cell = np.floor((at + np.array([0.5, 0.5, DEPTH / 2])) * width).astype(np.int64)
    inside = ((cell >= 0) & (cell < np.array([width, height, depth]))).all(1)
    which, cell = which[inside], cell[inside]
    index = (cell[:, 2] * height + cell[:, 1]) * width + cell[:, 0]
    weight = (step / length[:, None])[which] * (length / count)[which, None]
    cells = depth * height * width
    total = np.stack([np.bincount(index, weight[:, axis], cells) for axis in range(3)])
    norm = np.sqrt((total * total).sum(0))
    # Where strands cancel out there is hair without a direction, which the encoding cannot say.
    found = norm > 1e-9
    encoded = np.where(found, (total / np.where(found, norm, 1) + 1) / 2, 0)
    return encoded.reshape(3, depth, height, width).astype(np.float32)


def decode(volume: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the unit directions, float32 of the volume's shape and 0 where there is no hair, and where there is hair,
    bool without the axis of channels. `volume`: [3,D,H,W] or [N,3,D,H,W]; values of a network may lie beyond 0..1."""
    occupied = volume.sum(-4) > OCCUPIED
    vector = 2 * volume - 1
    norm = np.sqrt((vector * vector).sum(-4, keepdims=True))
    vector = vector / np.maximum(norm, 1e-6)
    return (vector * np.expand_dims(occupied, -4)).astype(np.float32), np.asarray(occupied)
