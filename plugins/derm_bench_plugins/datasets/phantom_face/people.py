"""The people of the phantom: face, skin and hair, which all photographs of a person share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from derm_bench_plugins.datasets.phantom_face.anatomy import Shape
from derm_bench_plugins.datasets.phantom_face.grades import FACE_CLASSES

if TYPE_CHECKING:
    from derm_bench_plugins.datasets.specs.phantom import FaceOptions

# Shares of Fitzpatrick types 1 to 6 among a clinic's patients.
TONES = {
    "clinic-a": (0.14, 0.22, 0.22, 0.18, 0.14, 0.10),
    "clinic-b": (0.05, 0.10, 0.18, 0.24, 0.23, 0.20),
}
HAIR_COLOURS = {
    "black": (0.07, 0.06, 0.06),
    "dark brown": (0.16, 0.10, 0.07),
    "brown": (0.30, 0.19, 0.11),
    "blond": (0.66, 0.50, 0.29),
    "red": (0.48, 0.22, 0.09),
}
# Shares of these colours by type of skin.
HAIR_SHARES = (
    (0.02, 0.12, 0.26, 0.38, 0.22),
    (0.06, 0.26, 0.36, 0.27, 0.05),
    (0.22, 0.48, 0.26, 0.04, 0.0),
    (0.50, 0.44, 0.06, 0.0, 0.0),
    (0.74, 0.26, 0.0, 0.0, 0.0),
    (0.92, 0.08, 0.0, 0.0, 0.0),
)
IRIS = ((0.22, 0.12, 0.06), (0.34, 0.22, 0.10), (0.30, 0.38, 0.22), (0.28, 0.42, 0.55))
STYLES = {"male": ("short", "short", "short", "curls", "bald"), "female": ("long", "long", "tied", "curls")}
CLOTHES = (
    (0.16, 0.20, 0.32), (0.80, 0.80, 0.78), (0.35, 0.12, 0.15), (0.18, 0.30, 0.26), (0.12, 0.12, 0.13),
    (0.62, 0.55, 0.45), (0.40, 0.46, 0.62), (0.70, 0.58, 0.20),
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """A person. `grade` is that of the acne; `key` seeds what is not listed here; colours are R, G, B in 0..1."""

    grade: str
    key: tuple[int, ...]
    tone: int
    age: float
    sex: str
    shape: Shape
    style: str
    hair: tuple[float, float, float]
    iris: tuple[float, float, float]
    clothes: tuple[float, float, float]
    contrast: float
    spots: int


def draw_person(options: FaceOptions, grade: str, number: int) -> Person:
    """Return the `number`-th person with a grade, independently of the number of others. Nothing but the acne depends
    on the grade. `spots` are moles and freckles; `contrast` is that of the acne. Difficulty changes these two."""
    clinic = 0 if options.domain == "clinic-a" else 1
    key = (options.seed, clinic, FACE_CLASSES.index(grade), number)
    rng = np.random.default_rng([5, *key])
    tone = 1 + int(rng.choice(6, p=TONES[options.domain]))
    sex = "male" if rng.random() < 0.5 else "female"
    age = float(13 + round(rng.gamma(2.0, 5.0))) if rng.random() < 0.97 else 45.0
    style = str(rng.choice(STYLES[sex]))
    shape = _draw_shape(rng, style, sex)
    colour = list(HAIR_COLOURS.values())[rng.choice(5, p=HAIR_SHARES[tone - 1])]
    level = rng.uniform(0.8, 1.25)
    hair = (colour[0] * level, colour[1] * level, colour[2] * level)
    iris = IRIS[rng.integers(0, 4 if tone < 4 else 2)]
    clothes = CLOTHES[rng.integers(len(CLOTHES))]
    freckled = 14 if tone < 3 and rng.random() < 0.25 else 0
    spots = int(rng.poisson(1 + 2 * options.difficulty)) + round(freckled * 2 * options.difficulty)
    contrast = 1.3 - 0.8 * options.difficulty
    return Person(grade, key, tone, min(age, 45.0), sex, shape, style, hair, iris, clothes, contrast, spots)


def _draw_shape(rng: np.random.Generator, style: str, sex: str) -> Shape:
    fringe = style in ("long", "short") and rng.random() < 0.3
    heights = {"short": -0.58, "long": -0.60, "tied": -0.62, "curls": -0.54, "bald": -1.3}
    width = float(rng.normal(0.75, 0.03))
    return Shape(
        width=width,
        jaw=float(rng.uniform(0.12, 0.2) if sex == "male" else rng.uniform(0.2, 0.29)),
        eyes=float(rng.uniform(0.9, 1.12)),
        nose=float(rng.uniform(0.85, 1.2)),
        mouth=float(rng.uniform(0.85, 1.12)),
        brows=float(rng.uniform(1.0, 1.4) if sex == "male" else rng.uniform(0.7, 1.0)),
        arch=float(rng.uniform(0.02, 0.07)),
        hairline=heights[style] + (0.18 if fringe else 0.0) + float(rng.normal(0, 0.03)),
        temples=0.0 if style == "bald" else float(rng.uniform(0.35, 0.5)),
        locks=width * (float(rng.uniform(0.8, 0.92)) if style == "long" else 1.5),
    )
