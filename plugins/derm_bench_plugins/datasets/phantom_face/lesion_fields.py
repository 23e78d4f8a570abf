"""What the lesions of a face do to its skin, as fields over the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from derm_bench_plugins.datasets.phantom_face.acne import KINDS

if TYPE_CHECKING:
    from derm_bench_plugins.datasets.phantom_face.acne import Acne

# Of each kind: redness, its halo, pigment left behind, height over radius, pus, dark plug, pale plug; then the least
# radius in pixels.
EFFECTS = {
    "papule": (1.0, 0.30, 0.15, 0.55, 0.0, 0.0, 0.0, 1.05),
    "pustule": (1.0, 0.40, 0.10, 0.60, 0.95, 0.0, 0.0, 1.3),
    "nodule": (1.1, 0.35, 0.25, 0.45, 0.0, 0.0, 0.0, 1.5),
    "blackhead": (0.0, 0.0, 0.1, 0.0, 0.0, 0.9, 0.0, 0.6),
    "whitehead": (0.05, 0.0, 0.0, 0.6, 0.0, 0.0, 0.6, 0.6),
    "pit": (0.05, 0.1, 0.15, -0.75, 0.0, 0.35, 0.0, 0.7),
    "mark": (0.25, 0.1, 0.55, 0.0, 0.0, 0.0, 0.0, 0.9),
}
TABLE = np.array([EFFECTS[name] for name in KINDS])


@dataclass(frozen=True)
class LesionFields:
    """Float32 [S,S]: `red` and `pigment` in units of strength; `height` in pixels; `pus`, `plug` and `pale` opacities
    in 0..1. `mask` bool [S,S]."""

    red: np.ndarray
    pigment: np.ndarray
    height: np.ndarray
    pus: np.ndarray
    plug: np.ndarray
    pale: np.ndarray
    mask: np.ndarray


def lesion_fields(acne: Acne, x: np.ndarray, y: np.ndarray, pitch: float, side: int) -> LesionFields:
    """Return the fields of lesions at the pixels (x, y), where one pixel is `pitch` half heights of a head."""
    effect = TABLE[acne.kind]
    radius = np.maximum(acne.radius / pitch, effect[:, 7])
    half = int(np.ceil(2.0 * radius.max(initial=1.0)))
    line = np.arange(-half, half + 1)
    column, row = np.rint(x).astype(int), np.rint(y).astype(int)
    across = (column[:, None] + line)[:, None, :]
    down = (row[:, None] + line)[:, :, None]
    wide = (radius * np.sqrt(acne.stretch))[:, None, None]
    high = (radius / np.sqrt(acne.stretch))[:, None, None]
    near = np.hypot((across - x[:, None, None]) / wide, (down - y[:, None, None]) / high)
    inside = (across >= 0) & (across < side) & (down >= 0) & (down < side)
    flat = (down * side + across)[inside]
    # Rims are as soft as a pixel, or a third of the radius.
    rim = np.maximum(0.6, 1 / radius)[:, None, None]
    disc = np.clip((1 - near) / rim + 0.5, 0, 1)
    halo = np.exp(-((near / 1.5) ** 2))
    centre = np.clip((0.55 - near) / rim + 0.5, 0, 1)
    bump = radius[:, None, None] * np.clip(1 - near * near, 0, 1)

    def total(part: np.ndarray, amount: np.ndarray) -> np.ndarray:
        weights = (part * amount[:, None, None])[inside]
        return np.bincount(flat, weights, side * side).reshape(side, side).astype(np.float32)

    strong = acne.strength
    return LesionFields(
        red=np.minimum(total(disc, effect[:, 0] * strong) + total(halo, effect[:, 1] * strong), 1.6),
        pigment=np.minimum(total(disc, effect[:, 2] * strong), 1.0),
        height=total(bump, effect[:, 3]),
        pus=np.minimum(total(centre, effect[:, 4] * strong), 0.95),
        plug=np.minimum(total(disc, effect[:, 5] * strong), 0.9),
        pale=np.minimum(total(disc, effect[:, 6] * strong), 0.7),
        mask=total((near < np.maximum(1, 0.75 / radius)[:, None, None]).astype(float), np.ones(len(strong)))
        > 0,
    )
