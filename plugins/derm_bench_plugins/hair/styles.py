"""Hairstyles, drawn from a random generator: straight, wavy or curly, with length, density, gravity and wisps."""

from __future__ import annotations

from dataclasses import dataclass, replace

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

# How hair is combed: away from the whorl, as it grows; to both sides of a parting; back, forward or to one side; or
# pulled together at a tie.
COMBED = ("whorl", "parting", "back", "forward", "aside", "tied")


@dataclass(frozen=True)
class Comb:
    """How hair is combed. way: one of COMBED; tie: height of the tie on the back of the head, 1 at the crown and 0 at
    the level of the eyes."""

    way: str = "whorl"
    tie: float = 0.5


@dataclass(frozen=True)
class Style:
    """What the strands of a head have in common.

    kind: one of KINDS; length: in sides of the box; density: strands, as a share of a full head's; gravity: how
    strongly strands turn down, per length; lift: how far they stand off at the root, 0 lies flat; radius, period: of
    the helix; wisp: radius of a bundle of strands with one helix; frizz: how much strands of a bundle differ; parting:
    position of the whorl or of the parting, radians to the side of the crown; sweep: sideways turn of the flow from
    there, radians.
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
    comb: Comb = Comb()


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


def draw_hairstyle(rng: np.random.Generator) -> Style:
    """Draw a style that is combed in any way. Hair that is combed against its fall, back or forward, is shorter and
    stiffer, so that it stays; a whorl has any position, and a parting may lie at the side."""
    style = draw_style(rng)
    way = COMBED[int(rng.integers(len(COMBED)))]
    stiff, long = float(rng.uniform(1.5, 8.0)), float(rng.uniform(0.25, 0.6))
    parting, tie = float(rng.normal(0, 0.5)), float(rng.uniform(0.0, 0.9))
    sweep = float(rng.normal(0, 0.6))
    comb = Comb(way, tie)
    match way:
        case "back" | "forward" | "aside":
            return replace(style, comb=comb, gravity=stiff, length=min(style.length, 0.3), sweep=sweep)
        case "tied":
            return replace(style, comb=comb, length=long, lift=0.5 * style.lift, sweep=0.3 * sweep)
        case "parting":
            return replace(style, comb=comb, parting=parting, sweep=0.3 * sweep)
        case _:
            return replace(style, parting=parting, sweep=sweep)
