"""Whether samples lie nearer to the training images of their generator than to real images that it was not fitted on.

This is a screen: it finds copies and near-copies of training images. It says nothing about privacy.

Samples are compared with the training images and with a control: real images of the same split that the generator was
not fitted on. Distances are in any space: Euclidean in features, or those of `copies` in pixels. Each quantity is made
so that the numbers of images of the two sides make no difference:

    nn_ratio      median over samples of (distance to the nearest training image / distance to the nearest control
                  image), over the same median of the control images, each compared with those of other groups.
                  1: as near to training images as unseen real images are; 0: copies.
    nn_closer     share of samples whose nearest real image is a training image, as it would be for sides of equal
                  chance: with s the share and e the share that is expected of equal sides,
                  s(1-e) / (s(1-e) + (1-s)e). 0.5: neither side is nearer; 1: all are nearer to training images.
    authenticity  share of samples whose nearest training image is farther away than that image's own nearest other
                  training image (Alaa et al. 2022, sect. 3.3, with the distance of the nearest training image).

Taking as many training images as there are control images, which would also remove the effect of size, would remove
most of the images that may have been copied: with seven times as many training images, a generator that does nothing
but copy would have a share of 0.57.

The test of `screen` permutes which groups (lesions, patients) of real images are training images, among groups of
similar size. Under the hypothesis that the generator knows of its training images nothing but their distribution, every
such exchange is equally likely, so that the p value is exact for any number of images, whatever the distances are.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from derm_bench.fidelity.distances import GROUPS, Floats, Indices, Interval, deal, jackknife

PERMUTATIONS = 9_999
RESAMPLES = 999
BOUND = 0.05
"""1 - the coverage of intervals."""
SAME = 1e-12
"""Squared distances below this share of the largest squared length are due to rounding."""
BLOCK = 512
"""Training images whose distances to all others are computed at once."""
LARGEST = 1e6
"""Ratios of distances end here, where the second distance is 0 or nearly so."""


class Screen(NamedTuple):
    """The test of one set of samples in one space.

    closer: the share of samples whose nearest real image is a training image (ties count half). expected: the share
    that is expected if the sides are exchanged. p_value: the probability of at least as large a share under exchange.
    """

    closer: float
    expected: float
    p_value: float


def apart(x: Floats, y: Floats) -> torch.Tensor:
    """Return the Euclidean distances float64 [N,M] between features [N,D] and [M,D]; those of equal rows are 0."""
    one, other = (torch.from_numpy(np.ascontiguousarray(side)) for side in (x, y))
    centre = other.mean(0)
    one, other = one - centre, other - centre
    long, wide = one.square().sum(1), other.square().sum(1)
    squares = torch.addmm(long[:, None] + wide, one, other.T, alpha=-2)
    scale = float(torch.maximum(long.max(), wide.max()))
    # What one matrix product leaves of equal rows is rounding.
    return torch.where(squares < SAME * scale, 0.0, squares).sqrt()


# ------------------------------------------------------------------------------------- values


def nn_ratio(
    to_train: torch.Tensor,
    to_control: torch.Tensor,
    control_to_train: torch.Tensor,
    within_control: torch.Tensor,
    control_groups: Sequence[str],
    rows: Sequence[int] | None = None,
    resamples: int = RESAMPLES,
) -> Interval:
    """Return the ratio with its bootstrap interval, at least 0.

    Distances: of samples to training images [Q,N] and to control images [Q,M], and of control images to training images
    [P,N] and to each other [P,M]. `rows` are the positions of these P control images, by default all. The interval is
    that of other samples and of other groups of control images, both looked up among the same real images (percentiles
    of `resamples`; 0 omits it).
    """
    _, codes = np.unique(np.asarray(control_groups), return_inverse=True)
    own = codes if rows is None else codes[np.asarray(rows)]
    among = within_control.masked_fill(torch.from_numpy(own[:, None] == codes[None, :]), math.inf)
    ratios = _ratios(to_train.amin(1), to_control.amin(1)).numpy()
    usual = _ratios(control_to_train.amin(1), among.amin(1)).numpy()
    value = _divided(_medians(ratios, np.ones((1, len(ratios)))), _medians(usual, np.ones((1, len(usual)))))[
        0
    ]
    if not resamples:
        return Interval(float(value), math.nan, math.nan)
    rng = np.random.default_rng(0)
    names, where = np.unique(own, return_inverse=True)
    drawn = rng.multinomial(len(ratios), np.full(len(ratios), 1 / len(ratios)), resamples)
    groups = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), resamples)
    values = _divided(_medians(ratios, drawn), _medians(usual, groups[:, where]))
    low, high = np.quantile(values, [BOUND / 2, 1 - BOUND / 2])
    return Interval(float(value), float(low), float(high))


def _medians(values: Floats, weights: NDArray[Any]) -> Floats:
    """Return the (lower) median of values [N] under each row of the weights [B,N]."""
    order = np.argsort(values)
    sums = weights[:, order].cumsum(1)
    return values[order][(sums >= sums[:, -1:] / 2).argmax(1)]


def _divided(ratios: Floats, usual: Floats) -> Floats:
    return ratios / np.maximum(usual, 1 / LARGEST)


def nn_closer(to_train: torch.Tensor, to_control: torch.Tensor, jackknifed: int = GROUPS) -> Interval:
    """Return the share with its jackknife interval, within [0,1]. Distances as for `nn_ratio`."""
    n = to_train.shape[1]

    def value(samples: torch.Tensor, control: torch.Tensor) -> float:
        share = float(_hits(to_train[samples], to_control[samples][:, control]).mean())
        expected = n / (n + float(control.sum()))
        nearer, farther = share * (1 - expected), (1 - share) * expected
        return nearer / (nearer + farther)

    return _with_interval(value, len(to_train), to_control.shape[1], jackknifed, 1.0)


def authenticity(to_train: torch.Tensor, train: Floats, jackknifed: int = GROUPS) -> Interval:
    """Return the share with its jackknife interval, within [0,1], from the distances of samples to training images
    [Q,N] and the features [N,D] of these.

    Of the distances between training images only those of the images that are nearest to a sample are computed, at most
    Q rows of N, in blocks of `BLOCK` rows: 10,000 training images take 40 MB, where all pairs would take 800.
    """
    near, where = to_train.min(1)
    rows, place = where.unique(return_inverse=True)
    own = torch.cat([_to_others(train, block) for block in rows.split(BLOCK)])
    authentic = (near > own[place]).double()
    return _with_interval(
        lambda samples, _: float(authentic[samples].mean()), len(to_train), len(to_train), jackknifed, 1.0
    )


def _to_others(features: Floats, rows: torch.Tensor) -> torch.Tensor:
    """The distances float64 [B] of these rows of features [N,D] to their nearest other row."""
    table = apart(features[rows.numpy()], features)
    table[torch.arange(len(rows)), rows] = math.inf
    return table.amin(1)


def _with_interval(
    value: Callable[[torch.Tensor, torch.Tensor], float],
    samples: int,
    control: int,
    jackknifed: int,
    high: float,
) -> Interval:
    """The value of all images, with the interval that other samples and other control images would give; the training
    images of a generator are what they are. `value` is called with bool masks of the images that are kept."""
    whole = value(_kept(samples), _kept(control))
    deleted = [value(_kept(samples, a), _kept(control, b)) for a, b in deal(samples, control, jackknifed)]
    low, top = jackknife(whole, deleted)
    low, top = float(np.maximum(low, 0.0)), float(np.minimum(top, high))
    if deleted and high == 1.0 and whole in (0.0, 1.0):  # equal values of all samples are not certainty
        exact = (BOUND / 2) ** (1 / samples)
        low, top = (exact, 1.0) if whole else (0.0, 1.0 - exact)
    return Interval(whole, low, top)


def _kept(n: int, gone: Indices | None = None) -> torch.Tensor:
    keep = torch.ones(n, dtype=torch.bool)
    if gone is not None:
        keep[torch.from_numpy(gone)] = False
    return keep


def _ratios(near: torch.Tensor, far: torch.Tensor) -> torch.Tensor:
    """Ratios of distances; 1 where both are 0."""
    ratio = torch.where((near == 0) & (far == 0), 1.0, near / far)
    return ratio.clamp(max=LARGEST)


def _hits(to_train: torch.Tensor, to_control: torch.Tensor) -> torch.Tensor:
    """1 for each sample that is nearer to a training image than to any control image, 0.5 if equally near."""
    near, far = to_train.amin(1), to_control.amin(1)
    return (near < far).double() + (near == far).double() / 2


# --------------------------------------------------------------------------------------- test


def screen(
    to_train: torch.Tensor,
    to_control: torch.Tensor,
    train_groups: Sequence[str],
    control_groups: Sequence[str],
    seed: int = 0,
) -> Screen:
    """Return the permutation test of samples, from their distances to training images [Q,N] and to control images [Q,M]
    and the group of each of these images.

    A sample counts for the group of its nearest real image, and for equal parts where several are equally near. A group
    with images on both sides would belong to neither: raises ValueError.
    """
    if set(train_groups) & set(control_groups):
        raise ValueError("a group has training images and control images")
    table = torch.cat([to_train, to_control], 1)
    nearest = (table == table.amin(1, keepdim=True)).double()
    weight = (nearest / nearest.sum(1, keepdim=True)).sum(0).numpy()
    names, where = np.unique(np.asarray([*train_groups, *control_groups]), return_inverse=True)
    counts = np.bincount(where, weights=weight, minlength=len(names))
    sizes = np.bincount(where, minlength=len(names))
    train = np.isin(names, np.asarray(list(set(train_groups))))
    rng = np.random.default_rng(seed)
    drawn = np.zeros(PERMUTATIONS)
    # Groups are exchanged with groups of similar size: a split may treat large ones otherwise than small ones.
    strata = np.floor(np.log2(sizes)).astype(int)
    for stratum in np.unique(strata):
        own = strata == stratum
        drawn += _exchanged(counts[own], int(train[own].sum()), rng)
    observed = float(counts[train].sum())
    p_value = (1 + int((drawn >= observed - 1e-9).sum())) / (PERMUTATIONS + 1)
    total = len(to_train)
    return Screen(observed / total, float(drawn.mean()) / total, p_value)


def _exchanged(counts: Floats, chosen: int, rng: np.random.Generator) -> Floats:
    """The sum of `chosen` of the counts, drawn without replacement, `PERMUTATIONS` times."""
    if chosen in (0, len(counts)):
        return np.full(PERMUTATIONS, counts.sum() if chosen else 0.0)
    hit = counts > 0
    # How many of the groups without a sample are drawn does not matter: only how many of the others are, and which.
    number = rng.hypergeometric(int(hit.sum()), int((~hit).sum()), chosen, size=PERMUTATIONS)
    held = counts[hit]
    out = np.zeros(PERMUTATIONS)
    for start in range(0, PERMUTATIONS, 1_000):
        part = number[start : start + 1_000]
        sums = rng.permuted(np.tile(held, (len(part), 1)), axis=1).cumsum(1)
        sums = np.concatenate([np.zeros((len(part), 1)), sums], 1)
        out[start : start + len(part)] = sums[np.arange(len(part)), part]
    return out
