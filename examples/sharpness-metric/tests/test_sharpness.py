"""sharpness_gap keeps the rules for metrics, and tells blurred and noisy images from sharp ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from derm_bench_sharpness import SharpnessOptions
from derm_bench_sharpness.score import Sharpness, SharpnessGap
from torch.nn import functional as F

from derm_bench.api import MetricConformance, Task
from derm_bench.testing.phantoms import phantoms


class TestSharpnessGap(MetricConformance):
    plugin = "sharpness_gap"


def features(images: torch.Tensor, scales: int = 3) -> np.ndarray:
    return Sharpness(SharpnessOptions(scales=scales), "cpu")(images)


def gap(real: torch.Tensor, synthetic: torch.Tensor) -> float:
    made = SharpnessGap(SharpnessOptions(), Task(("a",), 32))
    return made.compute(features(real), features(synthetic))["sharpness_gap"]


def blurred(images: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(images.float(), 3, stride=1, padding=1, count_include_pad=False).to(torch.uint8)


def noisy(images: torch.Tensor) -> torch.Tensor:
    noise = 40 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images + noise).clamp(0, 255).to(torch.uint8)


@pytest.mark.parametrize("spoilt", [blurred, noisy])
def test_blurred_and_noisy_images_are_further_off_than_other_sharp_ones(spoilt):
    real, others = phantoms(seed=0).images, phantoms(seed=1).images
    assert gap(real, others) < 0.3 < 2 * gap(real, others) + 0.3 < gap(real, spoilt(others))


def test_a_checkerboard_has_the_variance_that_a_person_can_work_out():
    """Pixels of 0 and 100 in turn: the Laplacian is 400 or -400 everywhere, its variance 160000."""
    board = (torch.arange(16)[:, None] + torch.arange(16)) % 2 * 100
    (found,) = features(board.expand(1, 3, 16, 16).to(torch.uint8), scales=1)
    assert found == pytest.approx([math.log2(160_001)], abs=1e-3)


def test_half_the_contrast_at_every_scale_is_a_gap_of_two_octaves():
    """Energy goes with the square of contrast."""
    images = torch.randint(0, 2, (16, 3, 64, 64), generator=torch.Generator().manual_seed(0)) * 200
    assert gap(images.to(torch.uint8), (images // 2).to(torch.uint8)) == pytest.approx(2, abs=0.02)


def test_flat_and_tiny_images_have_finite_features():
    assert features(torch.full((2, 3, 4, 4), 7, dtype=torch.uint8)) == pytest.approx(
        np.zeros((2, 3)), abs=1e-6
    )


def test_a_feature_depends_on_its_image_alone():
    images = phantoms(seed=0).images
    np.testing.assert_array_equal(features(images)[:5], features(images[:5]))
