"""Resampling with a filter keeps constants, and the quick convolutions equal the plain ones."""

import torch
from torch.nn import functional as F

from derm_bench.training.fir import conv_down, conv_up, downsample, upsample


def test_a_constant_stays_that_constant_up_and_down():
    up = upsample(torch.full((1, 2, 8, 8), 3.0))
    assert up.shape == (1, 2, 16, 16) and torch.allclose(up[..., 2:-2, 2:-2], torch.tensor(3.0))
    down = downsample(up)
    assert down.shape == (1, 2, 8, 8) and torch.allclose(down[..., 2:-2, 2:-2], torch.tensor(3.0))


def test_convolving_while_resampling_equals_one_after_the_other():
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 8, 8, generator=draw, dtype=torch.float64)
    weight = torch.randn(5, 3, 3, 3, generator=draw, dtype=torch.float64)
    plain = F.conv2d(upsample(x), weight.flip(2, 3), padding=1)
    assert torch.allclose(conv_up(x, weight)[..., 2:-2, 2:-2], plain[..., 2:-2, 2:-2])
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64) / 8
    blurred = F.conv2d(F.pad(x, (2, 2, 2, 2)), torch.outer(taps, taps).expand(3, 1, 4, 4), groups=3)
    assert torch.allclose(conv_down(x, weight), F.conv2d(blurred, weight, stride=2))
    assert conv_down(x, weight).shape == (2, 5, 4, 4)
