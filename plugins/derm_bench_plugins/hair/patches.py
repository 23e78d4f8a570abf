"""Bald patches of alopecia areata, whose share of the scalp is exact.

Severity follows SALT (Severity of Alopecia Tool; Olsen et al., J Am Acad Dermatol 51, 440, 2004): S1, less than a
quarter of the scalp without hair, is mild; S2, up to a half, moderate; S3 to S5, more than a half, severe.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SEVERITIES = ("healthy", "mild", "moderate", "severe")
# The share of the scalp without hair: its least and largest value, well inside of the limits of SALT.
SHARES = {"healthy": (0.0, 0.0), "mild": (0.05, 0.18), "moderate": (0.29, 0.44), "severe": (0.58, 0.92)}
LIMITS = {"healthy": (0.0, 0.0), "mild": (0.025, 0.245), "moderate": (0.255, 0.495), "severe": (0.505, 0.97)}
COUNTS = {"healthy": (0, 0), "mild": (1, 3), "moderate": (2, 4), "severe": (2, 5)}


@dataclass(frozen=True)
class Patches:
    """Round patches with an uneven edge. centres: float64 [k,3] on the unit sphere; radii: [k], relative to each other;
    waves: [k,2,3], the directions in which edges bulge; level: where `distance` has its edge."""

    centres: np.ndarray
    radii: np.ndarray
    waves: np.ndarray
    level: float

    def distance(self, directions: np.ndarray) -> np.ndarray:
        """Return how far points [...,3] on the unit sphere are from the patches: below 0 inside, in units of the
        largest patch's radius, and infinite if there is no patch."""
        if not len(self.radii):
            return np.full(directions.shape[:-1], np.inf)
        return _field(directions, self.centres, self.radii, self.waves) - self.level

    def bald(self, directions: np.ndarray) -> np.ndarray:
        """Return which points [...,3] on the unit sphere lie in a patch, bool."""
        return self.distance(directions) < 0


NO_PATCHES = Patches(np.zeros((0, 3)), np.zeros(0), np.zeros((0, 2, 3)), 0.0)


def draw_patches(
    rng: np.random.Generator, severity: str, scalp: np.ndarray, spread: float = 0.0
) -> tuple[Patches, float]:
    """Draw the patches of a severity, and return them with the share of the scalp that they cover.

    scalp: float64 [n,3], evenly spread points of the unit sphere that count as the whole scalp (such as those that a
    photograph shows); a patch has its middle at one of them. spread: 0 keeps the share well inside of the limits of the
    severity, 1 lets it come close to them. Raises KeyError for an unknown severity.
    """
    (low, high), (least, most) = SHARES[severity], LIMITS[severity]
    share = rng.uniform(low + spread * (least - low), high + spread * (most - high))
    count = int(rng.integers(COUNTS[severity][0], COUNTS[severity][1] + 1))
    if count == 0 or share == 0:
        return NO_PATCHES, 0.0
    centres = _apart(rng, scalp, count)
    radii = np.exp(rng.normal(0, 0.3, count))
    radii /= radii.max()
    waves = rng.normal(0, 1, (count, 2, 3))
    field = np.sort(_field(scalp, centres, radii, waves))
    inside = int(np.clip(round(share * len(scalp)), 1, len(scalp) - 1))
    level = float((field[inside - 1] + field[inside]) / 2)
    return Patches(centres, radii, waves, level), inside / len(scalp)


def _apart(rng: np.random.Generator, scalp: np.ndarray, count: int) -> np.ndarray:
    """Choose centres that keep away from each other and, mildly, from the edge of what is seen."""
    middle = scalp.mean(0) / max(float(np.linalg.norm(scalp.mean(0))), 1e-9)
    inner = scalp[scalp @ middle > 0.45]
    candidates = inner if len(inner) else scalp
    chosen = [candidates[rng.integers(len(candidates))]]
    for _ in range(count - 1):
        tried = candidates[rng.integers(len(candidates), size=6)]
        nearest = (tried @ np.array(chosen).T).max(1)
        chosen.append(tried[int(np.argmin(nearest))])
    return np.array(chosen)


def _field(directions: np.ndarray, centres: np.ndarray, radii: np.ndarray, waves: np.ndarray) -> np.ndarray:
    """Return the angle to the nearest patch over its relative radius; edges bulge by up to a third."""
    cosine = np.clip(directions @ centres.T, -1, 1)
    angle = np.sqrt(2 - 2 * cosine)  # the chord, which is nearly the angle and quicker
    bulge = np.sin(3 * directions @ waves[:, 0].T) + 0.6 * np.sin(6 * directions @ waves[:, 1].T)
    return np.asarray((angle / radii * (1 + 0.13 * bulge)).min(-1))
