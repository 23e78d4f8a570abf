"""Simulated comparisons whose truth is known: two arms, paired seeds, one test set of grouped images.

An image is classified correctly if a latent normal variable is positive. Its variance is the sum of: what all
classifiers find hard about the image (half of it common to the images of a lesion), what one arm finds hard about it
whatever the seed (likewise), what a single run finds hard about it, and the quality of the run. So the expected
recalls, and their difference, follow from the normal distribution function.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from derm_bench.stats.estimate import FEWEST, Estimate, estimate
from derm_bench.stats.seeds import Component, over_one_axis, satterthwaite
from derm_bench.stats.test_images import Clusters, of_means

CLASSES = 2
RECALL = 0.7


@dataclass(frozen=True)
class World:
    """seeds: paired seeds. clusters: lesions per class. images: images per lesion. quality: standard deviation of the
    latent quality of a run. arm: that of what an arm finds hard about an image under every seed. noise: that of what a
    single run finds hard about it. hard: that of what all runs find hard about it."""

    seeds: int
    clusters: int = 100
    images: int = 1
    quality: float = 0.1
    arm: float = 0.3
    noise: float = 0.6
    hard: float = 1.0

    @property
    def spread(self) -> float:
        """The standard deviation of the latent variable."""
        return float(np.sqrt(self.hard**2 + self.arm**2 + self.noise**2 + self.quality**2))


def clusters_of(world: World) -> Clusters:
    """The test set of a world, the same in every repetition."""
    lesions = CLASSES * world.clusters
    groups = np.repeat(np.arange(lesions), world.images)
    labels = groups // world.clusters
    return Clusters.of(labels, [str(g) for g in groups])


def draw(rng: np.random.Generator, world: World, difference: float) -> np.ndarray:
    """Whether each image is classified correctly, bool [arm, seed, image]; arm 0 is better by `difference` in every
    recall."""
    lesions, n = CLASSES * world.clusters, CLASSES * world.clusters * world.images
    lesion = np.repeat(np.arange(lesions), world.images)

    def of_images(scale: float, *shape: int) -> np.ndarray:
        common = rng.normal(size=(*shape, lesions))[..., lesion] if world.images > 1 else 0.0
        share = 0.5 if world.images > 1 else 0.0
        return scale * (np.sqrt(share) * common + np.sqrt(1 - share) * rng.normal(size=(*shape, n)))

    recalls = np.array([RECALL + difference / 2, RECALL - difference / 2])
    latent = (ndtri(recalls) * world.spread)[:, None, None] + of_images(world.hard)
    latent = latent + of_images(world.arm, 2, 1) + of_images(world.noise, 2, world.seeds)
    latent += world.quality * rng.normal(size=(2, world.seeds, 1))
    return latent > 0


def compared(hits: np.ndarray, clusters: Clusters) -> tuple[np.ndarray, Estimate | None, Component]:
    """The paired differences in balanced accuracy, float64 [seeds]; their estimate (None with fewer than three seeds);
    and the variance of their mean if the bootstrap variance of the seed-averaged difference is added whole."""
    weights = np.full(CLASSES, 1 / CLASSES)
    counts = np.bincount(clusters.labels)
    values, deviations = [], []
    for seed in range(hits.shape[1]):
        each = [np.bincount(clusters.labels, weights=hits[arm, seed]) / counts for arm in (0, 1)]
        values.append(float((each[0] - each[1]).mean()))
        first, second = (of_means(clusters, hits[arm, seed], weights) for arm in (0, 1))
        deviations.append(first.minus(second))
    mean = np.mean([each.vector for each in deviations], axis=0)
    images = Component(float(mean @ mean), len(clusters.labels) - CLASSES)
    whole = satterthwaite([over_one_axis(values), images])
    if len(values) < FEWEST:
        return np.array(values), None, whole
    return np.array(values), estimate(values, {"seed": range(len(values))}, deviations), whole
