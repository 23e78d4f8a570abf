"""The people of the phantom: head, skin, hairstyle and bald patches, which all photographs of a person share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from derm_bench_plugins.datasets.phantom_face.people import TONES
from derm_bench_plugins.datasets.phantom_scalp.severities import SCALP_CLASSES
from derm_bench_plugins.hair.head import AXES, Head, bearing, rotation, sphere
from derm_bench_plugins.hair.patches import draw_patches
from derm_bench_plugins.hair.scene import Look
from derm_bench_plugins.hair.styles import draw_style

if TYPE_CHECKING:
    from derm_bench_plugins.datasets.specs.phantom import ScalpOptions
    from derm_bench_plugins.hair.patches import Patches
    from derm_bench_plugins.hair.styles import Style

SCALP = 1500  # points of the sphere that the area of patches is measured with
# Rotations about X and Y from which a person is photographed: the back of the head, the crown, and either side.
VIEWS = ((18, 180), (48, 180), (62, 180), (30, 135), (30, 225))
LENGTHS = {"male": (0.05, 0.12), "female": (0.10, 0.36)}


@dataclass(frozen=True)
class Person:
    """A person. key: seeds what is not listed here; look: colours, with a light that each photograph replaces; turn:
    the view, rotations about X and Y in degrees; area: the share of the scalp in view that patches cover."""

    severity: str
    key: tuple[int, ...]
    tone: int
    age: float
    sex: str
    head: Head
    style: Style
    look: Look
    turn: tuple[int, int]
    patches: Patches
    area: float

    @property
    def hair(self) -> str:
        """straight, wavy or curly."""
        return self.style.kind


def draw_person(options: ScalpOptions, severity: str, number: int) -> Person:
    """Return the `number`-th person of a severity, independently of the number of others. Nothing but the patches
    depends on the severity. Difficulty thins out all hair, brings areas closer to the limits of a severity, and lets
    hair grow again in patches."""
    clinic = 0 if options.domain == "clinic-a" else 1
    key = (options.seed, clinic, SCALP_CLASSES.index(severity), number)
    rng, hard = np.random.default_rng([21, *key]), options.difficulty
    tone = 1 + int(rng.choice(6, p=TONES[options.domain]))
    sex = "male" if rng.random() < 0.5 else "female"
    age = float(np.clip(round(rng.gamma(5.0, 7.0)), 6, 80))
    axes = np.array(AXES) * np.exp(rng.normal(0, (0.03, 0.04, 0.03)))
    turn = VIEWS[int(rng.integers(len(VIEWS)))]
    head = Head(
        axes=(float(axes[0]), float(axes[1]), float(axes[2])),
        pose=view_of(turn),
        hairline=float(rng.uniform(0.35, 0.6)),
    )
    style = draw_style(rng, length=LENGTHS[sex])
    style = replace(style, density=style.density * (1 - 0.3 * hard * rng.random()))
    look = Look.draw(rng, tone)
    look = replace(
        look,
        hair=_greyed(look.hair, age, rng),
        coat=look.coat * (1 - 0.25 * hard * rng.random()),
        regrowth=float(0.5 * hard * rng.random() ** 2),
    )
    patches, area = draw_patches(np.random.default_rng([22, *key]), severity, seen_scalp(head), hard)
    return Person(severity, key, tone, age, sex, head, style, look, turn, patches, area)


def view_of(turn: tuple[float, float], roll: float = 0.0) -> np.ndarray:
    """Return the pose of a head that is turned about Y, then nods about X, then rolls, float64 [3,3]."""
    pose: np.ndarray = rotation(0, 0, roll) @ rotation(turn[0], 0, 0) @ rotation(0, turn[1], 0)
    return pose


def seen_scalp(head: Head) -> np.ndarray:
    """Return evenly spread points of the scalp that face the camera, float64 [n,3] on the unit sphere."""
    points = sphere(SCALP)
    points = points[bearing(points, head.hairline)]
    facing = head.outward(points)[1] @ head.pose[2]
    seen: np.ndarray = points[facing < -0.25]  # the rim is seen too slantwise
    return seen


def _greyed(
    hair: tuple[float, float, float], age: float, rng: np.random.Generator
) -> tuple[float, float, float]:
    grey = float(np.clip((age - 38) / 45 + rng.normal(0, 0.2), 0, 0.9)) if age > 38 else 0.0
    silver = (0.62, 0.61, 0.60)
    mixed = [c + grey * (s - c) for c, s in zip(hair, silver, strict=True)]
    return (mixed[0], mixed[1], mixed[2])
