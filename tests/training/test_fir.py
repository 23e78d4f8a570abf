"""The filter of StyleGAN2: it equals a depthwise convolution, and its gradients are filters too."""

import pytest
import torch
from torch.nn import functional as F
from torch.profiler import profile

from derm_bench.training.fir import (
    TAPS,
    blur,
    conv_down,
    conv_up,
    downsample,
    filtered_along_axes,
    upsample,
)

WEIGHT = torch.randn(4, 3, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
RESAMPLINGS = {
    "upsample": upsample,
    "downsample": downsample,
    "conv_up": lambda x: conv_up(x, WEIGHT),
    "conv_down": lambda x: conv_down(x, WEIGHT),
}


def features(channels=3, side=8, dtype=torch.float64):
    draws = torch.Generator().manual_seed(0)
    return torch.randn(2, channels, side, side, dtype=dtype, generator=draws)


@pytest.mark.parametrize(("padding", "stride"), [((2, 1), 1), ((1, 1), 1), ((2, 2), 1), ((1, 1), 2)])
def test_the_filter_is_a_depthwise_convolution(padding, stride):
    x = features()
    taps = torch.tensor(TAPS, dtype=x.dtype) / 8
    before, after = padding
    plain = F.conv2d(
        F.pad(x, (before, after) * 2), torch.outer(taps, taps).expand(3, 1, 4, 4), stride=stride, groups=3
    )
    torch.testing.assert_close(blur(x, padding, stride=stride), plain)
    torch.testing.assert_close(filtered_along_axes(x, padding, 1.0, stride), plain)  # that of a GPU


@pytest.mark.parametrize("name", RESAMPLINGS)
def test_first_and_second_gradients_agree_with_finite_differences(name):
    x = features(side=4).requires_grad_(True)
    assert torch.autograd.gradcheck(RESAMPLINGS[name], (x,))
    assert torch.autograd.gradgradcheck(RESAMPLINGS[name], (x,))


@pytest.mark.parametrize("resample", [upsample, downsample])
def test_the_work_of_a_second_gradient_does_not_grow_with_the_number_of_channels(resample):
    def convolutions(channels):
        x = features(channels).requires_grad_(True)
        with profile() as work:
            (slope,) = torch.autograd.grad(resample(x).square().sum(), x, create_graph=True)
            slope.square().sum().backward()
        return sum(event.count for event in work.key_averages() if event.key == "aten::convolution")

    assert convolutions(32) == convolutions(2)


def test_under_autocast_the_sum_of_rgb_stays_float32():
    with torch.autocast("cpu", torch.bfloat16):
        assert upsample(features(dtype=torch.float32)).dtype == torch.float32
