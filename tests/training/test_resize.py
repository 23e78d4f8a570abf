"""The one way to a square: what is kept of an image, and that shrinking does not alias."""

import numpy as np
import pytest
import torch

from derm_bench.training.resize import fit_square, fit_squares, resize_images


@pytest.fixture
def colours():
    """[40,60,3]: red left, green right, a blue stripe on top."""
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :30] = (200, 20, 20)
    pixels[:, 30:] = (20, 200, 20)
    pixels[:8] = (20, 20, 200)
    return pixels


def test_fit_square_keeps_the_middle_or_everything(colours):
    mask = np.zeros((80, 120), np.uint8)  # twice the resolution of the image
    mask[:, 60:] = 255
    for how in ("center-crop", "squash", "pad"):
        pixels, fitted = fit_square(colours, mask, 20, how)
        assert pixels.shape == (20, 20, 3) and fitted.shape == (20, 20)
        assert set(np.unique(fitted)) == {0, 255}
        assert pixels[12, 4, 0] > 150 and pixels[12, 15, 1] > 150
        assert not fitted[12, 4] and fitted[12, 15]
    padded, _ = fit_square(colours, None, 20, "pad")
    assert (padded[0] == 0).all() and (padded[-1] == 0).all()


def test_shrinking_does_not_alias():
    stripes = np.zeros((256, 256, 3), np.uint8)
    stripes[:, ::2] = 255
    small, _ = fit_square(stripes, None, 32, "center-crop")
    assert small[4:-4, 4:-4].min() > 110 and small[4:-4, 4:-4].max() < 145


def test_real_images_are_resized_as_synthetic_ones_are():
    pixels = np.random.default_rng(0).integers(0, 256, (150, 150, 3), dtype=np.uint8)
    square, _ = fit_square(pixels, None, 64, "squash")
    synthetic = resize_images(torch.from_numpy(pixels).permute(2, 0, 1)[None], 64)
    assert abs(torch.from_numpy(square).permute(2, 0, 1).int() - synthetic[0].int()).max() <= 1


def test_images_of_several_sizes_become_the_same_squares_together_as_alone():
    sizes = [(30, 40), (50, 20), (30, 40), (16, 16), (300, 400)]
    images = [
        np.random.default_rng(k).integers(0, 256, (*size, 3), dtype=np.uint8) for k, size in enumerate(sizes)
    ]
    for how in ("center-crop", "squash", "pad"):
        together = fit_squares(images, 16, how)
        assert all(
            np.array_equal(one, fit_square(image, None, 16, how)[0])
            for one, image in zip(together, images, strict=True)
        )
