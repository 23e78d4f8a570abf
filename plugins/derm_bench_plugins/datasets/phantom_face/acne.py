"""The acne of a phantom: which lesions a grade has, and where on the face they lie.

Papules, pustules and nodules are counted after Hayashi et al. (J Dermatol 35, 255, 2008), whose grades ACNE04 uses: 1
to 5 are mild, 6 to 20 moderate, 21 to 50 severe. Comedones and scars come on top. Severe acne is also larger and
clustered. Lesions are about twice as large as in life, so that they are seen at 64 pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from derm_bench_plugins.datasets.phantom_face.anatomy import bare

if TYPE_CHECKING:
    from derm_bench_plugins.datasets.phantom_face.anatomy import Shape
    from derm_bench_plugins.datasets.phantom_face.people import Person

KINDS = ("papule", "pustule", "nodule", "blackhead", "whitehead", "pit", "mark")
INFLAMED = KINDS[:3]
# Numbers (least, most) of inflamed lesions, of comedones and of scars by grade.
COUNTS = {
    "healthy": ((0, 0), (0, 1), (0, 0)),
    "mild": ((1, 5), (0, 4), (0, 1)),
    "moderate": ((6, 20), (2, 8), (0, 4)),
    "severe": ((21, 50), (4, 12), (3, 12)),
}
# Shares of papules, pustules and nodules.
SHARES = {
    "mild": (0.75, 0.25, 0.0),
    "moderate": (0.66, 0.32, 0.02),
    "severe": (0.57, 0.30, 0.13),
}
RADIUS = {
    "papule": (0.026, 0.044), "pustule": (0.036, 0.050), "nodule": (0.058, 0.080), "blackhead": (0.016, 0.022),
    "whitehead": (0.020, 0.026), "pit": (0.022, 0.036), "mark": (0.035, 0.055),
}  # fmt: skip
# Middle, spread and share of the places that acne prefers, on the right half of the face.
ZONES = (
    (0.40, 0.34, 0.13, 0.15, 0.50),
    (0.22, -0.40, 0.20, 0.09, 0.24),
    (0.10, 0.84, 0.12, 0.05, 0.14),
    (0.44, 0.62, 0.07, 0.09, 0.12),
)
CANDIDATES = 420


@dataclass(frozen=True)
class Acne:
    """Lesions, one row each: `kind`, an index into KINDS; `place` float64 [n,2] on the face; `radius`; `strength` in
    0..1; `stretch`, width over height."""

    kind: np.ndarray
    place: np.ndarray
    radius: np.ndarray
    strength: np.ndarray
    stretch: np.ndarray

    @property
    def inflamed(self) -> int:
        """How many papules, pustules and nodules there are."""
        return int((self.kind < len(INFLAMED)).sum())


def draw_acne(person: Person) -> Acne:
    """Return the lesions of a person, the same every time."""
    grade, shape, rng = person.grade, person.shape, np.random.default_rng([6, *person.key])
    inflamed, comedones, scars = (_between(rng, *limits) for limits in COUNTS[grade])
    kind = np.concatenate(
        [
            rng.choice(3, inflamed, p=SHARES[grade]) if inflamed else np.zeros(0, int),
            3 + (rng.random(comedones) < 0.4),
            5 + (rng.random(scars) < 0.5),
        ]
    ).astype(int)
    limits = np.array([RADIUS[name] for name in KINDS])[kind].reshape(-1, 2)
    radius = rng.uniform(limits[:, 0], limits[:, 1])
    if grade == "severe":
        radius[:inflamed] *= 1.12
    # Large lesions choose their places first.
    order = np.argsort(-radius, kind="stable")
    place = _places(shape, radius[order], grade == "severe", rng)
    n = len(kind)
    return Acne(kind[order], place, radius[order], rng.uniform(0.45, 1.0, n), rng.uniform(0.85, 1.2, n))


def _between(rng: np.random.Generator, least: int, most: int) -> int:
    """Draw a number, more often a small one: the logarithm of the next number is uniform."""
    return int(np.exp(rng.uniform(np.log(least + 1), np.log(most + 2)))) - 1


def _places(shape: Shape, radius: np.ndarray, clustered: bool, rng: np.random.Generator) -> np.ndarray:
    """Return a place for each lesion, apart from the others where there is room."""
    zones = np.array(ZONES)
    zone = zones[rng.choice(len(zones), CANDIDATES, p=zones[:, 4])]
    spots = zone[:, :2] + rng.normal(0, 1, (CANDIDATES, 2)) * zone[:, 2:4]
    spots[:, 0] *= rng.choice((-1, 1), CANDIDATES)
    if clustered:
        centres = spots[rng.integers(0, CANDIDATES, 3)]
        near = rng.random(CANDIDATES) < 0.4
        pulled = centres[rng.integers(0, 3, CANDIDATES)] + rng.normal(0, 0.09, (CANDIDATES, 2))
        spots = np.where(near[:, None], pulled, spots)
    spots = spots[bare(shape, spots[:, 0], spots[:, 1])]
    chosen = np.empty((len(radius), 2))
    room = np.full(len(spots), np.inf)  # from each spot to the nearest lesion
    for i, size in enumerate(radius):
        k = int(np.argmax(np.minimum(room, size)))  # the first with room for it, or that with the most
        chosen[i] = spots[k]
        gaps = spots - spots[k]
        room = np.minimum(room, np.sqrt((gaps * gaps).sum(1)) - size)
    return chosen
