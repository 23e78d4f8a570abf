"""Image transforms: each image gets its own draw, a seed repeats it, and pixels go where they should."""

import colorsys

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms.v2 import functional as tv

from derm_bench.specs import Task, create
from derm_bench.training.augment import compose
from derm_bench_plugins.transforms import specs

SPECS = {spec.name: spec for spec in specs() if spec.phase == "image"}
TASK = Task(("a",), 16)


def make(name, **options):
    spec = SPECS[name]
    return create(spec, spec.options(**options), TASK)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def photo(n=1, size=16):
    """A smooth image, the same n times."""
    one = torch.rand(1, 3, 4, 4, generator=generator())
    return torch.nn.functional.interpolate(one, size, mode="bilinear").repeat(n, 1, 1, 1)


@pytest.mark.parametrize("name", SPECS)
def test_equal_images_of_a_batch_come_out_different(name):
    out = make(name)(photo(16), generator())
    assert out.shape == (16, 3, 16, 16) and out.dtype == torch.float32
    assert out.min() >= 0 and out.max() <= 1
    assert any(not torch.allclose(out[0], image, atol=1e-3) for image in out[1:])


@pytest.mark.parametrize("name", SPECS)
def test_a_seed_repeats_it_and_another_does_not(name):
    batch, transform = photo(16), make(name)
    before = batch.clone()
    assert torch.equal(transform(batch, generator(1)), transform(batch, generator(1)))
    assert not torch.equal(transform(batch, generator(1)), transform(batch, generator(2)))
    assert torch.equal(batch, before)


@pytest.mark.parametrize("name", SPECS)
def test_a_call_copies_no_numbers_from_the_host_for_which_it_would_wait_for_the_device(name, monkeypatch):
    transform = make(name)

    def refused(*given, **named):
        raise AssertionError("torch.tensor copies from the host and waits for the device")

    monkeypatch.setattr(torch, "tensor", refused)
    assert transform(photo(2), generator()).shape == (2, 3, 16, 16)


@pytest.mark.parametrize(("name", "axis"), [("hflip", 3), ("vflip", 2)])
def test_flips_are_exact_and_as_frequent_as_asked(name, axis):
    batch = photo(400)
    assert torch.equal(make(name, p=1.0)(batch, generator()), batch.flip(axis))
    assert torch.equal(make(name, p=0.0)(batch, generator()), batch)
    out = make(name, p=0.25)(batch, generator())
    flipped = sum(torch.equal(a, b.flip(axis - 1)) for a, b in zip(out, batch, strict=True))
    assert 70 < flipped < 130


def test_rotation_stays_within_its_degrees_and_uses_them():
    matrices = make("rotate", degrees=30).matrices(2000, generator())
    degrees = torch.rad2deg(torch.atan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    assert -30 <= degrees.min() < -29 and 29 < degrees.max() <= 30


def test_scaling_and_shifting_stay_within_their_amounts():
    zoom = 1 / make("scale", amount=0.25).matrices(2000, generator())[:, 0, 0]
    assert 0.75 <= zoom.min() < 0.76 and 1.24 < zoom.max() <= 1.25
    shift = make("translate", fraction=0.5).matrices(2000, generator())[:, :2, 2]
    assert -1 <= shift.min() < -0.99 and 0.99 < shift.max() <= 1


def test_aspect_keeps_areas_and_reaches_both_ends():
    matrices = make("aspect", amount=0.5).matrices(4000, generator())
    x, y = matrices[:, 0, 0], matrices[:, 1, 1]
    torch.testing.assert_close(x * y, torch.ones(4000))
    ratio = (y / x).log() / np.log(1.5)  # width over height
    assert stats.kstest(ratio.numpy(), "uniform", (-1, 2)).pvalue > 0.01


def test_a_crop_lies_within_the_image_and_fills_it():
    matrices = make("crop", least=0.5).matrices(4000, generator())
    side, corner = matrices[:, 0, 0], matrices[:, :2, 2].abs().amax(dim=1)
    assert torch.equal(side, matrices[:, 1, 1])
    assert stats.kstest(side.numpy(), "uniform", (0.5, 0.5)).pvalue > 0.01
    assert (corner + side).max() <= 1 and (corner + side).max() > 0.99
    # Of an image that counts its columns, those of the crop: half of them, from where it begins.
    columns = (torch.arange(16) / 15).expand(1, 3, 16, 16)

    class Half(type(make("crop"))):
        def matrices(self, n, generator):
            return torch.tensor([[[0.5, 0, 0.25], [0, 0.5, 0], [0, 0, 1]]])

    shown = Half(None, TASK)(columns, generator())[0, 0, 5] * 15
    torch.testing.assert_close(shown, 5.75 + torch.arange(16) / 2)


def test_a_shift_moves_pixels_and_not_their_values():
    class Known(type(make("translate"))):
        def matrices(self, n, generator):
            matrices = torch.eye(3).repeat(n, 1, 1)
            matrices[:, 0, 2] = 2 * 4 / 16  # four pixels
            return matrices

    batch = photo()
    moved = Known(None, TASK)(batch, generator())
    torch.testing.assert_close(moved[..., :12], batch[..., 4:], atol=1e-4, rtol=0)


def test_brightness_scales_contrast_keeps_the_mean_and_saturation_keeps_greys():
    dim = torch.full((8, 3, 4, 4), 0.4)
    assert make("brightness")(dim, generator()).amin(dim=(1, 2, 3)).unique().numel() == 8
    torch.testing.assert_close(make("contrast")(dim, generator()), dim)
    torch.testing.assert_close(make("saturation")(dim, generator()), dim)


@pytest.mark.parametrize("shift", [0.0, 0.05, 1 / 3, -0.2, 0.5])
def test_hue_turns_the_circle_as_colorsys_and_torchvision_do(shift, monkeypatch):
    images = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(3))
    images[0, :, 0, 0] = torch.tensor([0.0, 0.0, 0.0])
    images[0, :, 0, 1] = torch.tensor([0.7, 0.7, 0.7])
    images[0, :, 0, 2] = torch.tensor([1.0, 0.0, 1.0])
    # In place of a draw from [0,1), which is spread over -0.5 to 0.5.
    monkeypatch.setattr(torch, "rand", lambda n, **_: torch.full((n,), shift + 0.5))
    out = make("hue", amount=0.5)(images, generator())
    for before, after in zip(
        images.permute(0, 2, 3, 1).reshape(-1, 3), out.permute(0, 2, 3, 1).reshape(-1, 3), strict=True
    ):
        hue, saturation, value = colorsys.rgb_to_hsv(*before.tolist())
        right = colorsys.hsv_to_rgb((hue + shift) % 1, saturation, value)
        np.testing.assert_allclose(after, right, atol=2e-6)
    torch.testing.assert_close(out, tv.adjust_hue(images, shift), atol=1e-5, rtol=0)


def test_pixel_jitter_is_normal_and_each_image_draws_its_amount():
    grey = torch.full((400, 3, 16, 16), 0.5)
    noise = make("pixel-jitter", amount=0.1)(grey, generator()) - 0.5
    deviations = noise.flatten(1).std(dim=1)
    assert stats.kstest(deviations.numpy(), "uniform", (0, 0.1)).pvalue > 0.01
    one = noise[deviations.argmax()].flatten() / deviations.max()
    assert stats.kstest(one.numpy(), "norm").pvalue > 0.01


def test_geometric_transforms_in_a_row_are_resampled_once_and_differ_by_image():
    chain = [make("hflip"), make("rotate"), make("shear"), make("scale"), make("translate")]
    joined = compose([*chain, make("brightness")])
    assert len(joined) == 2
    out = joined[0](photo(8), generator())
    assert len({image.sum().item() for image in out}) == 8
    step_by_step, shared = photo(8), generator()
    for transform in chain:
        step_by_step = transform(step_by_step, shared)
    assert (out - step_by_step)[..., 5:11, 5:11].abs().mean() < 0.05


def test_a_bare_value_sets_the_named_option():
    assert {name: spec.scalar for name, spec in SPECS.items()}["rotate"] == "degrees"
    assert all(spec.scalar in spec.options.model_fields for spec in SPECS.values())
