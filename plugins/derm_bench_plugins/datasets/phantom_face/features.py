"""Eyes, brows, nostrils, mouth, ears and hair of a face."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from derm_bench_plugins.datasets.phantom.canvas import BLOOD
from derm_bench_plugins.datasets.phantom.textures import look, noise
from derm_bench_plugins.datasets.phantom_face.anatomy import (
    BROW,
    EYE,
    EYE_HEIGHT,
    MOUTH,
    NOSE_TIP,
    hairline,
)

if TYPE_CHECKING:
    from derm_bench_plugins.datasets.phantom.canvas import Canvas
    from derm_bench_plugins.datasets.phantom_face.people import Person
    from derm_bench_plugins.datasets.phantom_face.pose import Plane

LASHES = (0.08, 0.055, 0.05)


def paint_eyes(canvas: Canvas, person: Person, at: Plane, shot: np.random.Generator) -> None:
    """Almonds with an iris that looks somewhere, a lid's line above, a crease, and a glint."""
    shape = person.shape
    gaze, opened = shot.normal(0, (0.018, 0.008)).tolist(), shot.uniform(0.85, 1.1)
    wide, high = 0.135 * shape.eyes, 0.062 * shape.eyes * opened
    x = np.sign(at.p) * (np.abs(at.p) - EYE)
    y = at.q - EYE_HEIGHT + 0.02 * (np.abs(at.p) - EYE)
    bow = np.clip(1 - (x / wide) ** 2, 0, 1)
    upper, lower = -high * bow**0.8, 0.75 * high * bow
    along = at.within(wide - np.abs(x))
    opening = at.within(np.minimum(y - upper, lower - y)) * (np.abs(x) < wide)
    away = np.hypot(x - gaze[0], y - gaze[1] + 0.1 * high)
    canvas.cover((0.93, 0.90, 0.87), opening.ravel())
    canvas.cover(person.iris, (opening * at.within(0.062 - away)).ravel())
    canvas.cover((0.03, 0.03, 0.03), (opening * at.within(0.03 - away)).ravel())
    canvas.cover(LASHES, (0.85 * at.line(y - upper, 0.016) * at.within(1.06 * wide - np.abs(x))).ravel())
    creased = 0.35 * at.line(y - lower, 0.012) + 0.22 * at.line(y - upper + 0.05, 0.014)
    canvas.shade(1 - (creased * along).ravel())
    glint = at.line(np.hypot(x - gaze[0] - 0.02, y - gaze[1] + 0.02), 0.015)
    canvas.cover((1.0, 1.0, 1.0), (0.8 * glint * opening).ravel())


def paint_brows(canvas: Canvas, person: Person, at: Plane) -> None:
    shape = person.shape
    x = np.abs(at.p) - EYE
    line = BROW - shape.arch * (1 - ((x - 0.03) / 0.22) ** 2)
    thick = 0.030 * shape.brows * np.clip(1.15 - 2.2 * x, 0.3, 1.2)
    brow = at.within(thick - np.abs(at.q - line), 1.6) * at.within(0.19 - np.abs(x), 2.0)
    colour = tuple(0.62 * c + 0.02 for c in person.hair)
    canvas.cover((colour[0], colour[1], colour[2]), (0.78 * brow).ravel())


def paint_nostrils(canvas: Canvas, person: Person, at: Plane) -> None:
    """The holes, and the shadow below the tip."""
    nose = person.shape.nose
    x = (np.abs(at.p) - 0.062 * nose) / 0.034
    y = (at.q - NOSE_TIP - 0.075) / 0.022
    hole = np.exp(-(x * x) - y * y)
    canvas.shade(1 - (0.75 * hole).ravel())
    below = np.exp(-((at.p / (0.12 * nose)) ** 2) - ((at.q - NOSE_TIP - 0.085) / 0.03) ** 2)
    canvas.shade(1 - (0.28 * below).ravel())


def paint_mouth(canvas: Canvas, person: Person, at: Plane, own: np.random.Generator, smile: float) -> None:
    """Lips with a cupid's bow and a dark line between them."""
    wide = 0.235 * person.shape.mouth
    x = np.clip(np.abs(at.p) / wide, 0, 1.2)
    line = MOUTH - smile * x * x
    taper = np.clip(1 - x * x, 0, 1)
    full = own.uniform(0.85, 1.25) * (1.0 + 0.05 * (person.tone - 1))
    upper = line - full * (0.050 * taper**0.7 - 0.016 * np.exp(-((at.p / 0.05) ** 2)))
    lower = line + full * 0.075 * taper**0.6
    lips = at.within(np.minimum(at.q - upper, lower - at.q), 1.4) * (x < 1.02)
    tint = own.uniform(0.35, 0.75) + (0.25 if person.sex == "female" else 0.0)
    dark = (person.tone - 1) / 5
    canvas.absorb(
        (lips * tint).ravel(), BLOOD * np.float32(1.0 - 0.25 * dark) + np.float32(0.08 + 0.12 * dark)
    )
    shine = np.exp(-((at.p / (0.6 * wide)) ** 2) - ((at.q - line - 0.035) / 0.018) ** 2)
    canvas.cover((1.0, 0.93, 0.92), (0.16 * shine).ravel())
    gap = at.line(at.q - line, 0.013) * at.within(1.05 * wide - np.abs(at.p))
    canvas.shade(1 - (0.62 * gap).ravel())


def ears(person: Person, at: Plane) -> np.ndarray:
    """Return the opacity of both ears."""
    x = (np.abs(at.u) - person.shape.width * 0.99) / 0.09
    return at.within(0.09 * (1 - np.sqrt(x * x + ((at.v - 0.10) / 0.19) ** 2)))


def hair_behind(person: Person, at: Plane) -> np.ndarray:
    """Return the opacity of hair behind the head."""
    shape, side = person.shape, np.abs(at.u)
    if person.style == "bald":
        return np.zeros_like(at.u)
    if person.style == "curls":
        ripple = 0.05 * look(noise(4, 2.0), at.u / 1.6 + 0.3, at.v / 1.6 + 0.6)
        return at.within(1.0 + ripple - np.hypot(at.u, at.v + 0.32), 2.0)
    cap = at.within(0.5 * (1.10 - np.hypot(at.u / (shape.width * 1.03), np.minimum(at.v, 0) / 0.98)))
    cap = cap * at.within(0.15 - at.v, 3.0)
    if person.style == "tied":
        bun = at.within(0.27 - np.hypot(at.u, at.v + 1.13))
        return np.asarray(np.maximum(cap, bun))
    if person.style == "short":
        return np.asarray(cap)
    curtain = shape.width * (1.08 + 0.14 * np.clip(at.v + 0.2, 0, 1.4))
    wave = 0.02 * np.sin(7 * at.v + 3 * shape.eyes) * np.clip(at.v + 0.3, 0, 1)
    return np.asarray(np.maximum(cap, at.within(curtain + wave - side) * at.within(at.v + 0.3)))


def hair_before(person: Person, at: Plane) -> np.ndarray:
    """Return the opacity of hair over forehead, temples and, if it is long, cheeks."""
    shape = person.shape
    if person.style == "bald":
        return np.zeros_like(at.u)
    ragged = 0.014 * look(noise(2, 0.9), at.p / 1.3 + 0.1, at.q / 6)
    over = at.within(hairline(shape, at.p) + ragged - at.q, 2.0) * at.within(0.12 - at.q, 3.0)
    over *= at.within(0.7 * (1.06 - at.far), 1.0)
    if person.style != "long":
        return np.asarray(over)
    lock = shape.locks + 0.06 * np.clip(at.q, 0, 1) ** 2 - 0.30 * np.clip(-0.25 - at.q, 0, 1)
    beside = at.within(np.abs(at.p) - lock - ragged, 2.0)
    beside = beside * at.within(1.10 + 0.4 * np.clip(at.v, 0, 0.4) - at.far, 2.0)
    return np.asarray(np.maximum(over, beside))


def hair_colour(person: Person, at: Plane, light: float) -> np.ndarray:
    """Return hair with strands and a shine, float32 [3,S,S], in the light from one side (-1 to 1)."""
    if person.style == "curls":
        strands = look(noise(6, 1.1), at.u / 1.1, at.v / 1.1)
    else:
        angle = np.arctan2(at.u, at.v + 1.15) / 3.0
        strands = look(noise(2, 0.9), angle * 2.2, np.hypot(at.u, at.v) / 14)
    shine = np.exp(-(((np.hypot(at.u + 0.25 * light, at.v + 0.1) - 0.72) / 0.13) ** 2)) * (at.v < 0)
    level = 0.85 + 0.13 * strands + 0.30 * light * at.u
    colour = np.array(person.hair, np.float32)[:, None, None]
    return np.asarray(np.clip(colour * np.clip(level, 0.3, 1.8) + 0.07 * shine, 0, 1), np.float32)
