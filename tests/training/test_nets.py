"""Blocks that papers share, against direct computations."""

import math

import pytest
import torch
from torch.nn import functional as F

from derm_bench.training.nets import EqualConv2d, EqualLinear, MinibatchStd, PixelNorm, SelfAttention


def attention(channels=16, gamma=0.5):
    torch.manual_seed(0)
    block = SelfAttention(channels)
    torch.nn.init.constant_(block.gamma, gamma)
    return block, torch.randn(2, channels, 4, 6)


def test_attention_starts_as_the_identity():
    block, x = attention(gamma=0.0)
    assert torch.equal(block(x), x)
    block(x).square().sum().backward()
    assert block.gamma.grad.abs() > 0  # from where it learns


def test_attention_is_a_softmax_over_pooled_positions():
    block, x = attention()
    out = block(x)

    def features(conv, image):  # a 1x1 convolution at every pixel
        return torch.einsum("oc,chw->ohw", conv.weight[:, :, 0, 0], image)

    for image, got in zip(x, out, strict=True):
        query, key, value = (features(conv, image) for conv in (block.query, block.key, block.value))
        pooled = [
            [side[:, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].amax((1, 2)) for i in range(2) for j in range(3)]
            for side in (key, value)
        ]
        want = torch.empty_like(image)
        for row in range(4):
            for column in range(6):
                scores = torch.stack([query[:, row, column] @ k for k in pooled[0]]).exp()
                mixed = sum(w * v for w, v in zip(scores / scores.sum(), pooled[1], strict=True))
                want[:, row, column] = image[:, row, column] + 0.5 * block.out.weight[:, :, 0, 0] @ mixed
        assert torch.allclose(got, want, atol=1e-5)
    sizes = [conv.weight.shape[0] for conv in (block.query, block.key, block.value, block.out)]
    assert sizes == [2, 2, 8, 16]


def test_minibatch_deviation_is_one_number_a_group():
    x = torch.randn(8, 3, 2, 2, generator=torch.Generator().manual_seed(0)) * 2
    out = MinibatchStd(group=4)(x)
    assert out.shape == (8, 4, 2, 2) and torch.equal(out[:, :3], x)
    for first in range(2):  # images of a group lie two apart
        rows = x[first::2]
        want = (((rows - rows.mean(0)) ** 2).mean(0) + 1e-8).sqrt().mean()
        assert torch.allclose(out[first::2, 3], want.expand(4, 2, 2))
    assert MinibatchStd(4)(torch.ones(6, 1, 1, 1))[:, 1].max().item() == pytest.approx(1e-4)  # a group of 6


def test_pixel_norm_leaves_a_mean_square_of_one_at_every_pixel():
    x = torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1).expand(1, 2, 2, 2)
    out = PixelNorm()(x)
    assert torch.allclose(out[0, :, 1, 1], torch.tensor([3.0, 4.0]) / math.sqrt(12.5))
    assert PixelNorm()(x.bfloat16()).dtype == torch.bfloat16


def test_equalised_layers_scale_unit_weights_by_gain_over_the_root_of_fan_in():
    torch.manual_seed(0)
    conv, linear = EqualConv2d(32, 64, 3, padding=1), EqualLinear(50, 400, gain=1.0)
    x, z = torch.randn(2, 32, 5, 5), torch.randn(2, 50)
    for layer in (conv, linear):
        assert layer.weight.std().item() == pytest.approx(1, rel=0.02) and not layer.bias.any()
    want = F.conv2d(x, conv.weight * math.sqrt(2 / (32 * 9)), conv.bias, padding=1)
    assert torch.allclose(conv(x), want, atol=1e-6)
    assert torch.allclose(linear(z), z @ linear.weight.T / math.sqrt(50), atol=1e-6)
