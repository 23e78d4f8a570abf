"""The picture of a phantom while it is painted, and the coordinates of its pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Optical density of one unit of melanin and of blood in R, G, B, and the light that bare skin returns.
MELANIN = np.array([0.50, 0.74, 0.88], np.float32)
BLOOD = np.array([0.10, 0.62, 0.50], np.float32)
BARE_SKIN = np.array([0.97, 0.86, 0.80], np.float32)


ANGLES = 512


class Canvas:
    """A picture while it is painted: `rgb` float32 [3,S*S] in 0..1, coloured layer by layer."""

    def __init__(self, melanin: np.ndarray, blood: np.ndarray) -> None:
        density = MELANIN[:, None] * melanin + BLOOD[:, None] * blood
        self.rgb = BARE_SKIN[:, None] * np.exp(-density)

    def cover(self, colour: tuple[float, float, float], opacity: np.ndarray) -> None:
        """Mix in a colour; opacity float32 [S*S] in 0..1."""
        self.rgb += opacity.astype(np.float32) * (np.array(colour, np.float32)[:, None] - self.rgb)

    def shade(self, factor: np.ndarray) -> None:
        self.rgb *= factor.astype(np.float32)

    def absorb(self, density: np.ndarray, colour: np.ndarray) -> None:
        """Absorb light: density float32 [S*S] in units of the colour's optical density."""
        self.rgb *= np.exp(-colour[:, None] * density.astype(np.float32))


@dataclass(frozen=True)
class Frame:
    """The coordinates of each pixel, float32 [S*S].

    u, v: mm in the lesion; bent_u, bent_v: the same, rippled, for structures; depth: 0 in the middle, 1 on
    the border; inside: 0..1 across the border; turn: index into tables by angle.
    """

    u: np.ndarray
    v: np.ndarray
    bent_u: np.ndarray
    bent_v: np.ndarray
    depth: np.ndarray
    inside: np.ndarray
    turn: np.ndarray
