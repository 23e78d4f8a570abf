"""Where things are in a face.

Lengths are in half heights of the head: the middle of the head is (0, 0), the chin (0, 1), the ears near (±0.75, 0.1).
The eyes lie half-way between crown and chin, as in a drawing lesson.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EYE, EYE_HEIGHT = 0.30, 0.02
BROW = -0.15
NOSE_TIP = 0.37
MOUTH = 0.63


@dataclass(frozen=True)
class Shape:
    """Proportions of a head. width: half its width; jaw: 0 a wide chin, 0.3 a narrow one; eyes, nose, mouth, brows:
    sizes about 1; arch: of the brows; hairline: its height in the middle of the forehead; temples: how far it comes
    down at the sides; locks: half the width of the face that hair at its sides leaves free."""

    width: float
    jaw: float
    eyes: float
    nose: float
    mouth: float
    brows: float
    arch: float
    hairline: float
    temples: float
    locks: float


def depth(shape: Shape, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return 0 in the middle of the head and 1 on its outline."""
    below = np.clip(v, 0, 1.2)
    width = shape.width * (1 - shape.jaw * below * np.sqrt(below))
    across = u / width
    return np.asarray(np.sqrt(across * across + v * v * (0.92 + 0.08 * v * v)))


def dome(far: np.ndarray) -> np.ndarray:
    """Return how far the head stands out toward the camera, 0 to 1, where `depth` is `far`."""
    return np.asarray(np.sqrt(np.clip(1 - far * far, 0.02, 1)))


def hairline(shape: Shape, p: np.ndarray) -> np.ndarray:
    """Return the height of the hairline over the face at p."""
    edge: np.ndarray = shape.hairline + shape.temples * (np.abs(p) / shape.width) ** 4
    return edge


def bare(shape: Shape, p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return where skin can have acne: on the face, away from its outline, eyes, brows, lips, nostrils and hair."""
    side = np.abs(p)
    free = (depth(shape, p, q) < 0.87) & (q > hairline(shape, p) + 0.07) & (side < shape.locks - 0.05)
    for across, down, wide, high in (
        (EYE, EYE_HEIGHT, 0.21 * shape.eyes, 0.15),
        (EYE, BROW - 0.01, 0.22, 0.09),
        (0.0, MOUTH + 0.01, 0.30 * shape.mouth, 0.12),
        (0.0, NOSE_TIP + 0.06, 0.17 * shape.nose, 0.07),
    ):
        free &= ((side - across) / wide) ** 2 + ((q - down) / high) ** 2 > 1
    return np.asarray(free)
