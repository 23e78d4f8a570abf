"""Sharpness is 1 for images as fine as the real ones, less for blur, more for noise and checkerboards."""

import math

import numpy as np
import pytest
import torch

from derm_bench.fidelity.spectrum import Spectrum, sharpness

from .conftest import blobs


def energy(images):
    return Spectrum()(images)


def test_blur_is_below_other_images_and_noise_and_a_faint_checkerboard_are_above():
    real, other = blobs(60, 1), blobs(60, 2)
    draw = torch.Generator().manual_seed(0)
    squares = ((torch.arange(64)[:, None] + torch.arange(64)) % 2 * 2 - 1) * 12
    damaged = {
        "blurred": torch.nn.functional.avg_pool2d(other.float(), 3, 1, 1),
        "as they are": other.float(),
        "noisy": other.float() + 20 * torch.randn(other.shape, generator=draw),
        "checkerboard": other.float() + squares,
    }
    found = {
        name: sharpness(energy(real), energy(images.clamp(0, 255).byte())) for name, images in damaged.items()
    }
    assert found["blurred"].value < 0.5
    assert found["as they are"].low < 1 < found["as they are"].high
    assert found["noisy"].value > 1.5 and found["checkerboard"].value > 1.5


def test_energy_of_a_wave_is_that_of_its_amplitude():
    wave = 127.5 + 51 * torch.cos(math.pi * torch.arange(64))  # 1/2 cycle per pixel, amplitude 0.2
    images = wave.round().byte().expand(2, 3, 64, 64).contiguous()
    window = torch.hann_window(64, periodic=False, dtype=torch.float64)
    expected = 0.2**2 * float(window.square().mean()) ** 2
    assert energy(images)[:, 0] == pytest.approx([expected] * 2, rel=0.02)
    slow = 127.5 + 51 * torch.cos(math.pi / 4 * torch.arange(64))
    assert energy(slow.round().byte().expand(2, 3, 64, 64).contiguous()).max() < expected / 1000


def test_images_without_structure_have_no_sharpness():
    flat = torch.full((4, 3, 16, 16), 90, dtype=torch.uint8)
    assert math.isnan(sharpness(energy(flat), energy(blobs(4, 0, size=16))).value)
    assert sharpness(energy(blobs(4, 0, size=16)), energy(flat)).value == pytest.approx(0, abs=1e-12)
    assert energy(flat[:0]).shape == (0, 1)
    assert np.isfinite(energy(torch.zeros((1, 3, 1, 1), dtype=torch.uint8))).all()
