"""Periodic textures that all phantoms share: fractal noise, jittered cells, and trees of vessels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw

NOISE_SIDE = 256
CELL_SIDE = 512
CELLS = 16  # cells along one side of a cell texture
TREES = 12
TREE_SIDE = 192


@dataclass(frozen=True)
class Cells:
    """A periodic Voronoi texture, float32 [512,512] each, lengths in cells.

    nearest: distance to the nearest seed; edge: distance to the second nearest seed minus that distance; chance: a
    random number in [0,1) per cell.
    """

    nearest: np.ndarray
    edge: np.ndarray
    chance: np.ndarray


def look(texture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the values of a periodic texture at (x, y), with period 1, from the nearest texel."""
    side = texture.shape[0]
    column = (x * side).astype(np.int32) & (side - 1)
    row = (y * side).astype(np.int32) & (side - 1)
    values: np.ndarray = texture.ravel().take(row * side + column)
    return values


@cache
def noise(number: int, slope: float) -> np.ndarray:
    """Return periodic noise, float32 [256,256], mean 0, standard deviation 1; amplitude falls as frequency **
    -slope."""
    white = np.random.default_rng([77, number]).standard_normal((NOISE_SIDE, NOISE_SIDE))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(NOISE_SIDE), np.fft.fftfreq(NOISE_SIDE))) * NOISE_SIDE
    weight = np.where(frequency > 0, np.maximum(frequency, 1.0) ** -slope, 0.0)
    field = np.fft.ifft2(np.fft.fft2(white) * weight).real
    return np.asarray((field - field.mean()) / field.std(), np.float32)


@cache
def cells(jitter: float) -> Cells:
    """Return the cells of a honeycomb with displaced seeds: `jitter` 0 by nothing, 1 by up to half a cell."""
    rng = np.random.default_rng([78, int(jitter * 1000)])
    offset = 0.5 + jitter * (rng.random((2, CELLS, CELLS)) - 0.5)
    offset[0, 1::2] += 0.5  # a honeycomb rather than a grid
    chance = rng.random((CELLS, CELLS))
    grid = (np.arange(CELL_SIDE) + 0.5) * CELLS / CELL_SIDE
    x, y = np.meshgrid(grid, grid)
    column, row = x.astype(int), y.astype(int)
    first = np.full(x.shape, np.inf)
    second, owner = first.copy(), np.zeros(x.shape)
    for down in (-1, 0, 1):
        for right in (-2, -1, 0, 1):
            i, j = (row + down) % CELLS, (column + right) % CELLS
            distance = np.hypot(column + right + offset[0, i, j] - x, row + down + offset[1, i, j] - y)
            closer = distance < first
            second = np.where(closer, first, np.minimum(second, distance))
            owner = np.where(closer, chance[i, j], owner)
            first = np.minimum(first, distance)
    return Cells(*(field.astype(np.float32) for field in (first, second - first, owner)))


@cache
def tree(number: int) -> np.ndarray:
    """Return arborising vessels that enter from one side, float32 [192,192] in 0..1; drawn at twice that side."""
    rng = np.random.default_rng([79, number])
    canvas = Image.new("L", (2 * TREE_SIDE, 2 * TREE_SIDE))
    draw = ImageDraw.Draw(canvas)
    for _ in range(2 + number % 2):
        angle = rng.uniform(0, 2 * np.pi)
        start = TREE_SIDE * (1 + 0.9 * np.array([np.cos(angle), np.sin(angle)]))
        _branch(draw, rng, start, angle + np.pi + rng.normal(0, 0.3), width=9.0)
    return np.asarray(canvas.resize((TREE_SIDE, TREE_SIDE), Image.Resampling.BOX), np.float32) / 255


def _branch(
    draw: ImageDraw.ImageDraw, rng: np.random.Generator, point: np.ndarray, heading: float, width: float
) -> None:
    """Draw a winding vessel that gets thinner, and from which thinner vessels branch."""
    for _ in range(int(6 + width * 2)):
        heading += rng.normal(0, 0.28)
        following = point + 11.0 * np.array([np.cos(heading), np.sin(heading)])
        draw.line([*point, *following], fill=255, width=max(2, round(width)))
        point, width = following, width * 0.965
        if width > 2.2 and rng.random() < 0.24:
            _branch(draw, rng, point, heading + rng.choice([-1, 1]) * rng.uniform(0.5, 1.1), width * 0.62)
