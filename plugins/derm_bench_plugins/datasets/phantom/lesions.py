"""The appearance of each diagnosis of the phantom: the distribution of a lesion's parameters.

The criteria are those of pattern analysis (Argenziano et al., J Am Acad Dermatol 48, 679, 2003) and, for
keratoses, vessels and dermatofibroma, the usual teaching. The numbers were chosen by eye.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from derm_bench_plugins.datasets.phantom.diagnoses import PHANTOM_CLASSES

if TYPE_CHECKING:
    from derm_bench_plugins.datasets.specs.phantom import PhantomOptions

# Probability that a structure is present; columns as in PHANTOM_CLASSES: mel, nv, bkl, bcc, akiec, vasc, df.
PRESENCE: dict[str, tuple[float, ...]] = {
    "network": (0.55, 0.75, 0.10, 0.02, 0.03, 0.00, 0.12),
    "globules": (0.25, 0.35, 0.10, 0.00, 0.00, 0.00, 0.05),
    "dots": (0.65, 0.20, 0.10, 0.05, 0.03, 0.00, 0.00),
    "streaks": (0.55, 0.06, 0.04, 0.02, 0.00, 0.00, 0.00),
    "veil": (0.65, 0.02, 0.06, 0.12, 0.00, 0.05, 0.00),
    "regression": (0.40, 0.02, 0.10, 0.05, 0.05, 0.00, 0.04),
    "milia": (0.04, 0.02, 0.75, 0.05, 0.03, 0.00, 0.00),
    "comedo": (0.05, 0.03, 0.70, 0.03, 0.05, 0.00, 0.00),
    "ridges": (0.03, 0.02, 0.55, 0.00, 0.00, 0.00, 0.02),
    "vessels": (0.08, 0.02, 0.05, 0.90, 0.12, 0.03, 0.03),
    "nests": (0.06, 0.02, 0.03, 0.75, 0.00, 0.00, 0.00),
    "ulcer": (0.08, 0.00, 0.02, 0.30, 0.08, 0.05, 0.00),
    "strawberry": (0.02, 0.01, 0.02, 0.03, 0.85, 0.00, 0.00),
    "scale": (0.04, 0.02, 0.20, 0.10, 0.75, 0.03, 0.03),
    "lacunae": (0.01, 0.01, 0.01, 0.02, 0.00, 0.92, 0.00),
    "patch": (0.04, 0.03, 0.02, 0.03, 0.02, 0.00, 0.90),
    "delicate": (0.05, 0.12, 0.03, 0.00, 0.02, 0.00, 0.80),
}

# Means of graded properties, then their standard deviation. radius in mm; melanin and blood in optical density;
# softness is the width of the border relative to the radius; the others are in 0 to 1.
GRADED: dict[str, tuple[tuple[float, ...], float]] = {
    "radius": ((3.7, 3.0, 3.3, 3.1, 3.4, 2.4, 2.6), 0.55),
    "asymmetry": ((0.65, 0.20, 0.35, 0.40, 0.40, 0.25, 0.15), 0.15),
    "border": ((0.65, 0.20, 0.40, 0.35, 0.45, 0.20, 0.15), 0.15),
    "softness": ((0.14, 0.22, 0.08, 0.30, 0.40, 0.12, 0.38), 0.05),
    "melanin": ((1.45, 1.00, 0.75, 0.12, 0.12, 0.05, 0.45), 0.25),
    "blood": ((0.15, 0.08, 0.08, 0.50, 0.75, 1.70, 0.25), 0.12),
    "variegation": ((0.85, 0.25, 0.45, 0.35, 0.35, 0.35, 0.20), 0.15),
    "keratin": ((0.04, 0.03, 0.50, 0.10, 0.18, 0.00, 0.05), 0.10),
}

AGE = {"mel": 62, "nv": 44, "bkl": 65, "bcc": 67, "akiec": 69, "vasc": 50, "df": 51}
SITES = ("back", "trunk", "lower extremity", "upper extremity", "face", "scalp")
SITE_SHARES = {
    "mel": (0.32, 0.22, 0.18, 0.16, 0.08, 0.04),
    "nv": (0.26, 0.32, 0.22, 0.13, 0.05, 0.02),
    "bkl": (0.24, 0.17, 0.14, 0.12, 0.27, 0.06),
    "bcc": (0.26, 0.16, 0.10, 0.10, 0.32, 0.06),
    "akiec": (0.10, 0.08, 0.18, 0.18, 0.36, 0.10),
    "vasc": (0.18, 0.36, 0.18, 0.14, 0.10, 0.04),
    "df": (0.08, 0.10, 0.56, 0.24, 0.01, 0.01),
}
# Shares of Fitzpatrick types 1 to 6 among a clinic's patients.
TONES = {
    "clinic-a": (0.22, 0.38, 0.24, 0.09, 0.05, 0.02),
    "clinic-b": (0.06, 0.18, 0.28, 0.24, 0.15, 0.09),
}
HAIRINESS = {"clinic-a": 0.7, "clinic-b": 1.5}


@dataclass(frozen=True)
class Lesion:
    """One lesion and its patient. `values`: the graded properties, and the strength (0 absent, 1 full) of each
    structure; `key` seeds all other random properties; `hairs`: mean number of visible hairs."""

    values: dict[str, float]
    key: tuple[int, ...]
    tone: int
    site: str
    age: float
    sex: str
    hairs: float


def draw_lesion(options: PhantomOptions, diagnosis: str, number: int) -> Lesion:
    """Return the `number`-th lesion of a diagnosis, independently of the number of other lesions."""
    column = PHANTOM_CLASSES.index(diagnosis)
    clinic = 0 if options.domain == "clinic-a" else 1
    key = (options.seed, clinic, column, number)
    rng = np.random.default_rng([1, *key])
    tone = 1 + int(rng.choice(6, p=TONES[options.domain]))
    site = str(rng.choice(SITES, p=SITE_SHARES[diagnosis]))
    age = 5.0 * round(float(np.clip(rng.normal(AGE[diagnosis], 14), 5, 90)) / 5)
    sex = "male" if rng.random() < 0.53 else "female"
    hairs = HAIRINESS[options.domain] * rng.gamma(1.2, 3.0 if sex == "male" else 1.6)
    return Lesion(_draw_values(rng, column, options.difficulty), key, tone, site, age, sex, hairs)


def _draw_values(rng: np.random.Generator, column: int, difficulty: float) -> dict[str, float]:
    """Draw the values. Difficulty moves every class toward the common mean and widens it, and makes structures rarer
    and fainter."""
    blend = 0.05 + 0.6 * difficulty
    mimicry = 0.2 * difficulty
    values = {}
    for name, (means, deviation) in GRADED.items():
        centre = (1 - blend) * means[column] + blend * sum(means) / len(means)
        value = rng.normal(centre, deviation * (0.7 + 0.9 * difficulty))
        values[name] = float(max(value, {"radius": 1.5, "softness": 0.04}.get(name, 0.0)))
    for name, shares in PRESENCE.items():
        share = (1 - mimicry) * shares[column] + mimicry * sum(shares) / len(shares)
        share *= 1 - 0.3 * difficulty
        strength = rng.uniform(0.4, 1.0) * (1.15 - 0.6 * difficulty)
        values[name] = float(strength) if rng.random() < share else 0.0
    return values
