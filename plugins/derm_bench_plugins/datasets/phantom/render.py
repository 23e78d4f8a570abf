"""Renders one view of a phantom lesion: melanin and blood absorb, structures are painted over them, then the camera is
simulated.

Lengths are millimetres in the lesion's own frame, so that views of one lesion share every structure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from derm_bench_plugins.datasets.phantom.camera import CAMERAS, photograph
from derm_bench_plugins.datasets.phantom.canvas import ANGLES, Canvas, Frame
from derm_bench_plugins.datasets.phantom.structures import paint_structures
from derm_bench_plugins.datasets.phantom.textures import cells, look, noise

if TYPE_CHECKING:
    from derm_bench_plugins.datasets.phantom.camera import Camera
    from derm_bench_plugins.datasets.phantom.lesions import Lesion

# Melanin of bare skin by Fitzpatrick type.
TONE_MELANIN = (0.06, 0.12, 0.22, 0.42, 0.75, 1.15)


def render(lesion: Lesion, view: int, domain: str, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the image, uint8 [side,side,3], and its mask, uint8 [side,side] of 0 and 255."""
    own = np.random.default_rng([2, *lesion.key])
    shot = np.random.default_rng([3, *lesion.key, view])
    camera = CAMERAS[domain]
    frame = _frame(lesion, own, shot, camera, side)
    canvas = _tissue(lesion, frame, own)
    paint_structures(canvas, lesion.values, frame, own)
    rgb = photograph(canvas.rgb.reshape(3, side, side), lesion.hairs, camera, shot)
    mask = np.where(frame.depth < 1, 255, 0).astype(np.uint8).reshape(side, side)
    return np.ascontiguousarray((rgb * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)), mask


# ---------------------------------------------------------------------------------------- shape


def _frame(
    lesion: Lesion, own: np.random.Generator, shot: np.random.Generator, camera: Camera, side: int
) -> Frame:
    values = lesion.values
    u, v = _pose(shot, camera, side)
    offset = own.random(4)
    warp = 0.10 + 0.55 * values["border"]
    bend = noise(0, 1.7)
    warped_u = u + warp * 0.5 * look(bend, u / 14 + offset[0], v / 14 + offset[1])
    warped_v = v + warp * 0.5 * look(bend, u / 14 + offset[2], v / 14 + offset[3])
    turn = ((np.arctan2(warped_v, warped_u) / (2 * np.pi) + 0.5) * (ANGLES - 1)).astype(np.int32)
    depth = np.hypot(warped_u, warped_v) / _outline(values, own)[turn]
    softness = values["softness"] * _ring(own, (1, 2, 3), 0.35 + 0.4 * values["asymmetry"], 1.0)
    inside = 1 / (1 + np.exp(np.clip((depth - 1) / (0.4 * np.maximum(softness, 0.03)[turn]), -30, 30)))
    ripple = noise(7, 1.6)
    bent_u = u + 0.13 * look(ripple, u / 8 + offset[0], v / 8 + offset[1])
    bent_v = v + 0.13 * look(ripple, u / 8 + offset[2], v / 8 + offset[3])
    return Frame(u, v, bent_u, bent_v, depth, inside.astype(np.float32), turn)


def _pose(shot: np.random.Generator, camera: Camera, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates with a random angle, distance, aim and slant per view."""
    pitch = camera.field * shot.uniform(0.8, 1.25) / side
    line = (np.arange(side, dtype=np.float32) - (side - 1) / 2) * pitch
    x, y = (field.ravel() for field in np.meshgrid(line, line))
    aim, slant, angle = shot.normal(0, 0.45, 2), shot.normal(0, 0.05, 2), shot.uniform(0, 2 * np.pi)
    x, y = x * (1 + slant[0]) + y * slant[1] + aim[0], y + aim[1]
    cosine, sine = np.cos(angle), np.sin(angle)
    return (cosine * x - sine * y).astype(np.float32), (sine * x + cosine * y).astype(np.float32)


def _ring(rng: np.random.Generator, orders: tuple[int, ...], size: float, mean: float) -> np.ndarray:
    """Return a random smooth function of the angle, float32 [512], as a sum of harmonics of equal size."""
    angle = np.linspace(0, 2 * np.pi, ANGLES, dtype=np.float32)
    phases, sizes = (
        rng.uniform(0, 2 * np.pi, len(orders)),
        rng.normal(0, size / len(orders) ** 0.5, len(orders)),
    )
    waves = zip(orders, phases, sizes, strict=True)
    return np.asarray(mean + sum(a * np.cos(k * angle + p) for k, p, a in waves), np.float32)


def _outline(values: dict[str, float], own: np.random.Generator) -> np.ndarray:
    shape = _ring(own, (2,), 0.10, 1.0)
    shape += _ring(own, (1, 3), 0.22 * values["asymmetry"], 0.0)
    shape += _ring(own, (4, 5, 6, 7, 9), 0.16 * values["border"], 0.0)
    return np.asarray(values["radius"] * np.clip(shape, 0.45, 1.7))


# --------------------------------------------------------------------------------------- tissue


def _tissue(lesion: Lesion, frame: Frame, own: np.random.Generator) -> Canvas:
    """Skin with its furrows and flush, and the lesion's body of melanin and blood."""
    values, offset = lesion.values, own.random(10)
    patches = look(noise(1, 1.8), frame.u / 12 + offset[0], frame.v / 12 + offset[1])
    grain = look(noise(2, 0.9), frame.u / 9 + offset[2], frame.v / 9 + offset[3])
    furrows = look(cells(0.9).edge, frame.u / 13 + offset[4], frame.v / 9 + offset[5])
    skin_melanin = TONE_MELANIN[lesion.tone - 1] * (1 + 0.10 * patches + 0.05 * grain)
    skin_melanin += 0.05 * np.exp(-((furrows / 0.09) ** 2))
    skin_blood = 0.26 * (1 + 0.22 * look(noise(3, 1.5), frame.u / 11 + offset[6], frame.v / 11 + offset[7]))
    tint = own.normal(0, 0.05, 2)

    varied = values["variegation"]
    lean = 0.5 * values["asymmetry"] * (frame.u * np.cos(6.3 * offset[8]) + frame.v * np.sin(6.3 * offset[8]))
    tone = patches * (0.12 + 0.38 * varied) + lean * 0.45 + 0.22 * (0.6 - frame.depth) + 0.06 * grain
    islands = varied * np.clip(patches * 2.2 - 1.6, 0, 1)  # abrupt darker areas
    body = frame.inside * np.clip(0.95 + tone + 0.8 * islands, 0.15, 2.2)
    melanin = skin_melanin + tint[0] * 0.5 + values["melanin"] * body
    flush = 1 + 0.35 * varied * look(noise(3, 1.5), frame.u / 9 + offset[1], frame.v / 9 + offset[9])
    blood = (skin_blood + tint[1]) * (1 - 0.6 * frame.inside * min(values["melanin"], 1.0))
    blood += values["blood"] * frame.inside * flush
    return Canvas(np.maximum(melanin, 0).astype(np.float32), np.maximum(blood, 0).astype(np.float32))
