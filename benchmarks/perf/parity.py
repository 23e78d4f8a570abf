"""Checks that both sides of a row compute the same. Bounds are defined here; README.md has the observed values."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from bench import Bench
    from rows import Row

STEPS = 50
# Largest relative difference of a loss over the first steps, by the precision of our side.
LOSS_BOUND = {"fp32": 3e-3, "tf32": 1e-2, "bf16": 3e-2}
# At the usual learning rate, a GAN is chaotic: the losses of an fp32 loop and of the same loop in channels_last differ
# by a tenth within 20 steps, because Adam divides small gradients by their size. At this rate they stay comparable.
CALM = 5e-6
VALUE_BOUND = 1e-3
BF16_FID_BOUND = 2e-2
# With fewer cells than this, their spread says little, and mean scores may differ by LOOSE.
FEW_CELLS, LOOSE = 6, 0.1
# Mean absolute difference in grey levels of 255. Our side decodes a JPEG near its final size, the other in full size.
PIXEL_BOUND = 4.0


class Parity(NamedTuple):
    """The result of a check. `passed` is None if there is nothing to compare."""

    passed: bool | None
    text: str

    def __str__(self) -> str:
        return self.text if self.passed is None else f"{'ok' if self.passed else 'FAILED'}: {self.text}"


NOTHING = Parity(None, "-")
NOT_YET = Parity(None, "not checked yet")


def losses(bench: Bench, row: Row) -> Parity:
    """Record 50 steps of our side, replay them in the fp32 loop of the baseline, and compare each loss. Rows have
    fewer steps where their sizes say so (`parity_steps`)."""
    record = bench.folder / f"row{row.number}.safetensors"
    sizes = bench.sizes(row)
    steps = sizes.get("parity_steps", STEPS)
    flags = ["--updates", str(steps), "--batch", str(sizes["parity_batch"]), "--lr", str(CALM)]
    arguments = [*bench.arguments(row), *flags]
    ours = bench.ours(row, [*arguments, "--record", str(record)]).values["losses"]
    plain = bench.baseline(row, [*arguments, "--replay", str(record)]).values["losses"]
    record.unlink()
    return judge_losses(ours, plain, LOSS_BOUND[bench.precision_of(row)], bench.precision_of(row))


def judge_losses(
    ours: Mapping[str, Sequence[float]], plain: Mapping[str, Sequence[float]], bound: float, precision: str
) -> Parity:
    """Pass if both sides have equally many losses and each pair differs by at most `bound`, relative to the loss or to
    the median size of the curve if that is larger, as the loss of a critic crosses zero."""
    if {name: len(values) for name, values in ours.items()} != {n: len(v) for n, v in plain.items()}:
        return Parity(False, "the sides logged different losses")
    largest = max(_apart(ours[name], plain[name]) for name in ours)
    steps = max(map(len, plain.values()))
    return Parity(
        largest <= bound, f"losses of {steps} steps {largest:.1e} apart, {precision} (bound {bound:g})"
    )


def _apart(ours: Sequence[float], plain: Sequence[float]) -> float:
    usual = statistics.median(map(abs, plain))
    return max(abs(a - b) / max(abs(b), usual, 1e-12) for a, b in zip(ours, plain, strict=True))


def features(bench: Bench, row: Row, ours: Mapping[str, Any], plain: Mapping[str, Any]) -> Parity:
    """Compare FID and KID of the images and FID of the stored features, to 1e-3, and FID of bf16 features, to 2e-2."""
    pairs = [
        (ours[where][name], plain[where][name])
        for where in ("of_images", "of_stored")
        for name in ours[where]
    ]
    largest = max(difference(a, b) for a, b in pairs)
    in_bf16 = difference(ours["of_images_bf16"]["fid"], plain["of_images"]["fid"])
    return Parity(
        largest <= VALUE_BOUND and in_bf16 <= BF16_FID_BOUND,
        f"FID and KID {largest:.1e} apart (bound {VALUE_BOUND:g}); "
        f"FID of bf16 features {in_bf16:.1e} (bound {BF16_FID_BOUND:g})",
    )


def pixels(bench: Bench, row: Row) -> Parity:
    """Compare the first decoded images with the Resize of PIL."""
    files = [bench.folder / f"pixels-{side}.npy" for side in ("ours", "baseline")]
    arguments = bench.arguments(row)
    bench.ours(row, [*arguments, "--epoch", "1", "--pixels", str(files[0])])
    bench.baseline(row, [*arguments, "--epoch", "1", "--pixels", str(files[1])])
    ours, plain = (np.load(file, allow_pickle=False).astype(np.float64) for file in files)
    mean = float(np.abs(ours - plain).mean())
    return Parity(mean <= PIXEL_BOUND, f"pixels {mean:.2f} of 255 apart (bound {PIXEL_BOUND:g})")


def cells(bench: Bench, row: Row, ours: Mapping[str, Any], plain: Mapping[str, Any]) -> Parity:
    """Compare the number and the counts of cells, and the mean of the primary metric within the spread over cells. For
    fewer than six cells, 0.1 is allowed too."""
    names = ("n_train_real", "n_train_synthetic", "n_test")
    counted = [
        sorted(tuple(cell[name] for name in names) for cell in side["cells"]) for side in (ours, plain)
    ]
    if counted[0] != counted[1]:
        return Parity(False, f"cells differ in their counts: {counted[0][:1]} and {counted[1][:1]}")
    scores = [[cell["balanced_accuracy"] for cell in side["cells"]] for side in (ours, plain)]
    means, spread = [statistics.mean(side) for side in scores], max(map(statistics.pstdev, scores))
    if len(counted[0]) < FEW_CELLS:
        spread = max(spread, LOOSE)
    text = (
        f"{len(counted[0])} cells; balanced accuracy {means[0]:.3f} and {means[1]:.3f}, spread {spread:.3f}"
    )
    return Parity(abs(means[0] - means[1]) <= spread, text)


def difference(a: float, b: float) -> float:
    """Return |a - b| / |b|."""
    return abs(a - b) / max(abs(b), 1e-12)


__all__ = ["NOTHING", "NOT_YET", "Parity", "cells", "features", "judge_losses", "losses", "pixels"]
