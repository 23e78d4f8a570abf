"""Calibrates the statistics of comparisons by simulation: `python benchmarks/calibration/comparisons.py`.

Writes comparisons.md beside this file: how often equal arms get `helps` or `hurts`, how often intervals contain the
truth and how wide they are, how often a difference of the stated detectable size is found, and whether the stated
probability of a false claim is right. Seeded; about eight minutes on one core. `--quick` takes a tenth of the
repetitions and prints the tables instead.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy.stats import t
from simulate import World, clusters_of, compared, draw

from derm_bench.stats.detectable import Variation, smallest_difference
from derm_bench.stats.false_claim import PRIOR_MARGINS, false_claim
from derm_bench.stats.verdict import decide

ALPHA, MARGIN, POWER = 0.05, 0.02, 0.8
SEEDS = (2, 3, 4, 5, 10)
TEST_SETS = {"100 lesions a class, 1 image each": (100, 1), "40 lesions a class, 4 images each": (40, 4)}
QUALITY = {"small": 0.02, "dominant": 0.3}
"""Standard deviations of the latent quality of a run: 0.6 and 8 points of recall."""


def repeated(index: int, world: World, repetitions: int, difference: float = 0.0) -> Iterator[tuple]:
    """The comparisons of a world, one per repetition."""
    rng, clusters = np.random.default_rng([19, index]), clusters_of(world)
    for _ in range(repetitions):
        yield compared(draw(rng, world, difference), clusters)


def null(repetitions: int) -> list[list[str]]:
    """Equal arms: how often a difference is claimed, and what the intervals are like."""
    rows = []
    worlds = [
        (name, spread, World(seeds, *size, quality=quality))
        for (name, size), (spread, quality), seeds in itertools.product(
            TEST_SETS.items(), QUALITY.items(), SEEDS
        )
    ]
    worlds += [
        ("100 lesions, arms differ much by image", "small", World(s, quality=0.02, arm=0.8))
        for s in (3, 5, 10)
    ]
    for index, (name, spread, world) in enumerate(worlds):
        rows.append([name, spread, str(world.seeds), *_null(index, world, repetitions)])
    return rows


def _null(index: int, world: World, repetitions: int) -> list[str]:
    claims = covered = 0
    means, halves, wholes = [], [], []
    for values, found, whole in repeated(index, world, repetitions):
        means.append(float(values.mean()))
        if found is None:
            continue
        claims += decide(found, found.p_value, alpha=ALPHA, margin=MARGIN).word in ("helps", "hurts")
        low, high = found.interval(ALPHA)
        covered += low <= 0 <= high
        halves.append((high - low) / 2)
        wholes.append(float(t.isf(ALPHA / 2, whole.df)) * whole.variance**0.5)
    limit = ALPHA + 2 * (ALPHA * (1 - ALPHA) / repetitions) ** 0.5
    verdict = f"{100 * claims / repetitions:.1f}%" + ("" if claims / repetitions <= limit else " (!)")
    if not halves:
        return [verdict, "no interval", "", ""]
    oracle = 1.96 * float(np.std(means))
    return [
        verdict,
        f"{100 * covered / len(halves):.1f}%",
        f"{np.median(halves) / oracle:.2f}",
        f"{np.median(wholes) / oracle:.2f}",
    ]


def power(repetitions: int) -> list[list[str]]:
    """Differences of the stated detectable size: how often they are found."""
    rows = []
    for index, ((spread, quality), seeds) in enumerate(itertools.product(QUALITY.items(), (3, 5, 10))):
        world = World(seeds, quality=quality)
        stated = smallest_difference({"a": 100, "b": 100}, seeds, alpha=ALPHA, variation=_variation(world))
        assert stated is not None
        found = [
            one is not None and one.p_value < ALPHA and one.mean > 0
            for _, one, _ in repeated(100 + index, world, repetitions, stated.difference)
        ]
        rows.append(
            [
                spread,
                str(seeds),
                f"{stated.difference:.3f}",
                f"{100 * POWER:.0f}%",
                f"{100 * np.mean(found):.0f}%",
            ]
        )
    return rows


def _variation(world: World) -> Variation:
    """How paired runs differ in a world, from many of its images and runs."""
    many = replace(world, seeds=12, clusters=1000)
    rng = np.random.default_rng(7)
    gaps = [_gaps(draw(rng, many, 0.0)) for _ in range(100)]
    disagreement = float(np.mean([(gap != 0).mean() for gap in gaps]))
    centred = [gap - gap.mean(1, keepdims=True) for gap in gaps]
    shared = np.mean([(c.sum(0) ** 2 - (c**2).sum(0)).mean() / (12 * 11) for c in centred])
    spread = np.mean([gap.mean(1).var(ddof=1) for gap in gaps])
    return Variation(float(spread) ** 0.5, disagreement, float(shared) / disagreement)


def _gaps(hits: np.ndarray) -> np.ndarray:
    return hits[0].astype(float) - hits[1].astype(float)


BINS = (0.0, 0.01, 0.05, 0.1, 0.2, 0.35, 0.5001)


def claims(repetitions: int) -> list[list[str]]:
    """True differences drawn from the prior, or from others: how often the observed direction is wrong."""
    rows = []
    for name, scale in (("as assumed", 1.0), ("half as large", 0.5), ("twice as large", 2.0)):
        stated, wrong = [], []
        rng = np.random.default_rng(23)
        for seeds, size, quality in itertools.product((3, 5, 10), TEST_SETS.values(), (0.02, 0.1, 0.3)):
            world = World(seeds, *size, quality=quality)
            clusters = clusters_of(world)
            for _ in range(repetitions // 18):
                truth = scale * PRIOR_MARGINS * MARGIN * float(rng.normal())
                _, found, _ = compared(draw(rng, world, float(np.clip(truth, -0.4, 0.4))), clusters)
                if found is not None and found.mean != 0:
                    stated.append(false_claim(found, PRIOR_MARGINS * MARGIN))
                    wrong.append(truth * found.mean <= 0)
        for low, high in itertools.pairwise(BINS):
            inside = [k for k, q in enumerate(stated) if low <= q < high]
            if inside:
                said, were = (100 * float(np.mean([x[k] for k in inside])) for x in (stated, wrong))
                rows.append(
                    [
                        name,
                        f"{100 * low:.0f}–{100 * high:.0f}%",
                        str(len(inside)),
                        f"{said:.1f}%",
                        f"{were:.1f}%",
                    ]
                )
    return rows


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


TEXT = """# Calibration of comparisons
Made by `python benchmarks/calibration/comparisons.py`. The simulated world is described in `simulate.py`, the
statistics in `docs/statistics.md`. Balanced accuracy of two classes, recalls near 0.7.

## Equal arms
{null} repetitions each. `helps` or `hurts` may appear in 5%, with two Monte-Carlo standard errors in {limit:.1f}%; (!)
marks more. Two seeds give no interval and no verdict. Width: the median over repetitions, divided by that of an oracle
that knows the standard error (1.96 standard errors). Where the seeds dominate, Student's t with two degrees of freedom
alone makes this 1.8 for three seeds, whatever the method. Last column: the same if the bootstrap variance of the
seed-averaged difference were added whole, with Satterthwaite's degrees of freedom.

{null_table}
## Differences of the stated detectable size
{power} repetitions each; 100 lesions a class. The variation of the world is given to the formula.

{power_table}
## The probability of a false claim
{claims} comparisons each, with 3, 5 and 10 seeds, both test sets, and three variances of seeds. True differences are
drawn from a normal distribution: that of the model, or one with another standard deviation, where the stated
probability cannot be right.

{claims_table}"""


def report(scale: float) -> str:
    n = {"null": int(2000 * scale), "power": int(2000 * scale), "claims": int(9000 * scale)}
    size = "variance of seeds", "seeds"
    return TEXT.format(
        **n,
        limit=100 * (ALPHA + 2 * (ALPHA * (1 - ALPHA) / n["null"]) ** 0.5),
        null_table=table(
            ["test set", *size, "helps or hurts", "coverage", "width", "width, added whole"], null(n["null"])
        ),
        power_table=table([*size, "difference", "stated power", "found"], power(n["power"])),
        claims_table=table(
            ["true differences", "stated, between", "comparisons", "stated", "wrong direction"],
            claims(n["claims"]),
        ),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the repetitions, printed")
    quick = parser.parse_args().quick
    text = report(0.1 if quick else 1.0)
    if quick:
        print(text)
    else:
        (Path(__file__).parent / "comparisons.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
