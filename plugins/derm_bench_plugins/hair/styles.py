"""Hairstyles, drawn from a random generator: straight, wavy or curly, with length, density, gravity and wisps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

KINDS = ("straight", "wavy", "curly")
# Radius and period of the helix that strands follow, in sides of the box. Their ratio decides how steep it is.
HELIX = {
    "straight": ((0.0, 0.002), (0.3, 0.5)),
    "wavy": ((0.007, 0.012), (0.14, 0.22)),
    "curly": ((0.012, 0.018), (0.15, 0.21)),
}
# Share of the helix's second axis: 0 is a flat wave, 1 a round curl.
ROUNDNESS = {"straight": 0.3, "wavy": 0.3, "curly": 0.8}


@dataclass(frozen=True)
class Style:
    """What the strands of a head have in common.

    kind: one of KINDS; length: in sides of the box; density: strands, as a share of a full head's; gravity: how
    strongly strands turn down, per length; lift: how far they stand off at the root, 0 lies flat; radius, period: of
    the helix; wisp: radius of a bundle of strands with one helix; frizz: how much strands of a bundle differ; parting:
    position of the whorl, radians to the side of the crown; sweep: sideways turn of the flow from the whorl, radians.
    """

    kind: str
    length: float
    density: float
    gravity: float
    lift: float
    radius: float
    period: float
    wisp: float
    frizz: float
    parting: float
    sweep: float


def draw_style(
    rng: np.random.Generator, kind: str | None = None, length: tuple[float, float] = (0.12, 0.6)
) -> Style:
    """Draw a style of `kind` (any, if None), its length between the two values, more often short than long."""
    chosen = kind or KINDS[int(rng.integers(len(KINDS)))]
    radii, periods = HELIX[chosen]
    return Style(
        kind=chosen,
        length=float(np.exp(rng.uniform(*np.log(length)))),
        density=float(rng.uniform(0.75, 1.15)),
        gravity=float(rng.uniform(9.0, 20.0)),
        lift=float(rng.uniform(0.15, 0.5)),
        radius=float(rng.uniform(*radii)),
        period=float(rng.uniform(*periods)),
        wisp=float(rng.uniform(0.014, 0.024)),
        frizz=float(rng.uniform(0.05, 0.2)),
        parting=float(rng.normal(0, 0.25)),
        sweep=float(rng.normal(0, 0.35)),
    )
