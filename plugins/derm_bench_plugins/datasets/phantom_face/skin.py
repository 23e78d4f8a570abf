"""The skin of a face: relief, pigment, blood and lesions, and how they return light."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from derm_bench_plugins.datasets.phantom.canvas import BLOOD, Canvas
from derm_bench_plugins.datasets.phantom.render import TONE_MELANIN
from derm_bench_plugins.datasets.phantom.textures import look, noise
from derm_bench_plugins.datasets.phantom_face.anatomy import BROW, EYE, EYE_HEIGHT, MOUTH, NOSE_TIP

if TYPE_CHECKING:
    from derm_bench_plugins.datasets.phantom_face.lesion_fields import LesionFields
    from derm_bench_plugins.datasets.phantom_face.people import Person
    from derm_bench_plugins.datasets.phantom_face.pose import Plane

# Inflamed skin: red where there is little pigment, violet to brown where there is much.
VIOLET = np.array([0.62, 0.95, 0.62], np.float32)
PIGMENT = np.array([0.55, 0.72, 0.70], np.float32)
PUS, PALE_PLUG = (0.96, 0.90, 0.66), (0.97, 0.90, 0.84)


@dataclass(frozen=True)
class Light:
    """The direction that light comes from, and how much of it comes from everywhere."""

    x: float
    y: float
    z: float
    ambient: float


def draw_light(shot: np.random.Generator) -> Light:
    x, y = shot.uniform(-0.75, 0.75), shot.uniform(-0.7, 0.1)
    length = float(np.sqrt(x * x + y * y + 0.7))
    return Light(x / length, y / length, float(np.sqrt(0.7)) / length, float(shot.uniform(0.42, 0.62)))


def _mound(x: np.ndarray, y: np.ndarray, wide: float, high: float) -> np.ndarray:
    return np.exp(-((x / wide) ** 2) - (y / high) ** 2)


def relief(person: Person, at: Plane) -> np.ndarray:
    """Return the height of the face in half heights."""
    shape, side = person.shape, np.abs(at.p)
    ridge = np.clip((at.q - BROW) / (NOSE_TIP - BROW), 0, 1)
    base = np.clip((NOSE_TIP + 0.10 - at.q) / 0.09, 0, 1)
    wide = shape.nose * (0.06 + 0.065 * ridge)
    nose = (
        np.exp(-((at.p / wide) ** 2))
        * (0.045 + 0.195 * ridge**1.5)
        * base
        * np.clip((at.q - BROW + 0.02) / 0.12, 0, 1)
    )
    wings = 0.06 * _mound(side - 0.115 * shape.nose, at.q - NOSE_TIP - 0.03, 0.05, 0.05)
    height = 0.80 * at.out + nose + wings
    height -= 0.075 * _mound(side - EYE, at.q - EYE_HEIGHT + 0.02, 0.16, 0.10)
    height += 0.03 * _mound(side - EYE, at.q - BROW, 0.2, 0.06)
    height += 0.05 * _mound(side - 0.42, at.q - 0.28, 0.18, 0.16)
    height += 0.05 * _mound(at.p, at.q - 0.86, 0.17, 0.10)
    height += 0.035 * _mound(at.p, at.q - MOUTH + 0.05, 0.20, 0.04)
    height += 0.04 * _mound(at.p, at.q - MOUTH - 0.06, 0.17, 0.045)
    height -= 0.035 * _mound(at.p, at.q - 0.755, 0.18, 0.035)
    return np.asarray(height, np.float32)


def shading(height: np.ndarray, pixel: float, light: Light) -> tuple[np.ndarray, np.ndarray]:
    """Return the light that matt skin returns, about 1 in the middle of a face, and the gloss, 0 to 1."""
    down, right = np.gradient(height, np.float32(pixel))
    down, right = np.clip(down, -2.5, 2.5), np.clip(right, -2.5, 2.5)
    length = np.sqrt(1 + right * right + down * down)
    facing = (light.z - light.x * right - light.y * down) / length
    matt = light.ambient + (1 - light.ambient) * np.clip(facing, 0, None) / 0.85
    # Half-way between light and camera.
    norm = float(np.sqrt(light.x**2 + light.y**2 + (light.z + 1) ** 2))
    gloss = np.clip((light.z + 1 - light.x * right - light.y * down) / (norm * length), 0, 1)
    gloss = (gloss * gloss * gloss) ** 2
    gloss = gloss * gloss * gloss * gloss
    return matt.astype(np.float32), gloss.astype(np.float32)


def paint_skin(person: Person, at: Plane, lesions: LesionFields, own: np.random.Generator) -> Canvas:
    """Return skin for the whole plane, float32 [3,S*S], without light."""
    offset, side = own.random(6).tolist(), np.abs(at.p)
    u, v = at.p / 3, at.q / 3
    patches = look(noise(1, 1.8), u + offset[0], v + offset[1])
    grain = look(noise(2, 0.9), 2 * u + offset[2], 2 * v + offset[3])
    flush = look(noise(3, 1.5), u + offset[4], v + offset[5])
    melanin = TONE_MELANIN[person.tone - 1] * (1.05 + 0.05 * patches + 0.045 * grain) + own.normal(0, 0.02)
    melanin += 0.08 * _mound(side - EYE, at.q - EYE_HEIGHT - 0.06, 0.17, 0.09) + 0.01 * grain
    blood = 0.20 + own.normal(0, 0.025) + 0.035 * flush
    blood = blood + 0.13 * _mound(side - 0.42, at.q - 0.32, 0.18, 0.16) * own.uniform(0.3, 1.2)
    blood += 0.08 * _mound(at.p, at.q - NOSE_TIP, 0.13, 0.12)
    canvas = Canvas(np.maximum(melanin, 0).ravel(), np.maximum(blood, 0).ravel())
    _moles(canvas, person, at, own)
    _lesions(canvas, person, lesions)
    return canvas


def _moles(canvas: Canvas, person: Person, at: Plane, own: np.random.Generator) -> None:
    for k in range(person.spots):
        p, q = own.uniform(-0.6, 0.6), own.uniform(-0.5, 0.9)
        size = max(own.uniform(0.012, 0.03) if k < 4 else 0.014, 0.6 * at.pixel)
        away = np.hypot(at.p - p, at.q - q)
        canvas.absorb((own.uniform(0.4, 1.0) * at.within(size - away, 1.2)).ravel(), PIGMENT)


def _lesions(canvas: Canvas, person: Person, lesions: LesionFields) -> None:
    """Lesions, redder on light skin and more violet and darker on dark skin."""
    dark = (person.tone - 1) / 5
    red = (1 - dark) * BLOOD * 1.25 + dark * VIOLET
    canvas.absorb(person.contrast * lesions.red.ravel(), red)
    canvas.absorb(person.contrast * (0.5 + 0.9 * dark) * lesions.pigment.ravel(), PIGMENT)
    fade = min(person.contrast, 1.0)
    canvas.cover((0.10, 0.07, 0.06), fade * lesions.plug.ravel())
    canvas.cover(PALE_PLUG, fade * (0.6 - 0.2 * dark) * lesions.pale.ravel())
    canvas.cover(PUS, fade * (0.9 - 0.15 * dark) * lesions.pus.ravel())
