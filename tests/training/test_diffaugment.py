"""DiffAugment: what each policy does to an image, and that gradients pass through all of them."""

import itertools

import pytest
import torch

from derm_bench.training.diffaugment import POLICIES, DiffAugment, color, cutout, translation

SUBSETS = [names for n in range(1, 4) for names in itertools.combinations(POLICIES, n)]


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def photographs(n=6, size=16, seed=1):
    return torch.rand(n, 3, size, size, generator=draws(seed)) * 2 - 1


def test_without_policies_images_are_as_they_were_and_nothing_is_drawn():
    images, generator = photographs(), draws()
    before = generator.get_state()
    assert DiffAugment((), generator)(images) is images
    assert torch.equal(generator.get_state(), before)


@pytest.mark.parametrize("names", SUBSETS, ids="+".join)
@pytest.mark.parametrize("shape", [(5, 3, 16, 16), (2, 1, 9, 9), (3, 3, 2, 2)])
def test_shapes_stay_and_pixels_are_finite_float32(names, shape):
    images = torch.rand(shape, generator=draws(1)) * 2 - 1
    for given in (images, images.bfloat16()):
        out = DiffAugment(names, draws())(given)
        assert out.shape == shape and out.dtype == torch.float32 and out.isfinite().all()


@pytest.mark.parametrize("names", SUBSETS, ids="+".join)
def test_the_input_is_not_changed_and_equal_generators_give_equal_images(names):
    images = photographs()
    kept = images.clone()
    one, other = (DiffAugment(names, draws(3))(images) for _ in range(2))
    assert torch.equal(images, kept) and torch.equal(one, other)
    assert not torch.equal(one, DiffAugment(names, draws(4))(images))


@pytest.mark.parametrize("name", POLICIES)
def test_reals_and_fakes_are_augmented_independently_and_so_is_every_image(name):
    augment, same = DiffAugment([name], draws()), photographs(1).expand(16, -1, -1, -1)
    real, fake = augment(same), augment(same)
    assert not torch.equal(real, fake)
    assert len({image.numpy().tobytes() for image in real}) > 4


def test_policies_are_applied_in_one_order_however_they_are_listed():
    images = photographs()
    listed = [DiffAugment(names, draws())(images) for names in (("cutout", "color"), ("color", "cutout"))]
    assert torch.equal(*listed)


@pytest.mark.parametrize("names", [("colour",), ("color", "color"), ("cutout", "flip")])
def test_other_names_are_refused(names):
    with pytest.raises(ValueError, match=r"no policy|listed twice"):
        DiffAugment(names, draws())


# ------------------------------------------------------------------------------------ the policies


def test_brightness_alone_moves_the_mean_by_half_at_most():
    images = photographs(200, 8)
    moved = (color(images, draws()) - images).mean(dim=(1, 2, 3))
    assert moved.abs().max() <= 0.5 + 1e-6
    assert moved.min() < -0.4 and moved.max() > 0.4


def test_saturation_and_contrast_scale_distances_by_at_most_two_and_between_half_and_one_and_a_half():
    images = photographs(200, 8)
    out = color(images, draws())
    tint, tinted = (x - x.mean(dim=1, keepdim=True) for x in (images, out))
    tinting = (tinted / tint).median(dim=3).values[:, 0, 0]
    torch.testing.assert_close(tinted, tint * tinting.view(-1, 1, 1, 1), atol=1e-4, rtol=1e-3)
    grey, greyed = (x.mean(dim=1) - x.mean(dim=(1, 2, 3))[:, None, None] for x in (images, out))
    contrast = (greyed / grey).flatten(1).median(dim=1).values
    torch.testing.assert_close(greyed, grey * contrast.view(-1, 1, 1), atol=1e-4, rtol=1e-3)
    assert 0.5 <= contrast.min() < 0.6 and 1.4 < contrast.max() <= 1.5
    saturation = tinting / contrast
    assert -1e-3 <= saturation.min() < 0.2 and 1.8 < saturation.max() <= 2.001


def test_translation_moves_by_an_eighth_at_most_and_fills_with_grey():
    size = 16
    images = torch.arange(1.0, 1 + size * size).view(1, 1, size, size).expand(300, 3, -1, -1)
    seen = set()
    for out in translation(images, draws()):
        found = [
            (dy, dx)
            for dy in range(-2, 3)
            for dx in range(-2, 3)
            if torch.equal(out, torch.roll(framed(images[0], -dy, -dx), (dy, dx), (1, 2)))
        ]
        assert len(found) == 1
        seen |= set(found)
    assert seen == {(dy, dx) for dy in range(-2, 3) for dx in range(-2, 3)}


def framed(image, dy, dx):
    """An image [C,S,S] without the rows and columns that a shift by (-dy, -dx) moves out of it."""
    kept = image.clone()
    for axis, by in ((1, dy), (2, dx)):
        if by:
            kept.narrow(axis, 0 if by > 0 else image.shape[axis] + by, abs(by)).zero_()
    return kept


def test_cutout_masks_one_square_of_half_the_side_and_leaves_the_rest():
    size = 16
    images = torch.full((300, 3, size, size), 0.7)
    hidden = (cutout(images, draws()) == 0).all(dim=1)
    rows, columns = hidden.any(dim=2), hidden.any(dim=1)
    assert torch.equal(hidden, rows[:, :, None] & columns[:, None, :]), "a rectangle"
    for side in (rows.sum(dim=1), columns.sum(dim=1)):
        assert side.min() >= size // 4 and side.max() == size // 2, "half the side, or less at the edge"
    assert hidden.any(dim=0).all(), "every pixel is hidden sometimes"
    assert ((cutout(images, draws()) == 0.7) | hidden[:, None]).all()


# --------------------------------------------------------------------------------------- gradients


@pytest.mark.parametrize("name", POLICIES)
def test_gradients_are_those_of_finite_differences_twice(name):
    images = photographs(2, 4).double().requires_grad_(True)

    def augmented(x):
        return POLICIES[name](x, draws())

    assert torch.autograd.gradcheck(augmented, (images,))
    assert torch.autograd.gradgradcheck(lambda x: augmented(x).square(), (images,))


def test_the_generator_learns_through_the_augmentation():
    fake = photographs().requires_grad_(True)
    DiffAugment(tuple(POLICIES), draws())(fake).square().sum().backward()
    assert (fake.grad.abs().amax(dim=(1, 2, 3)) > 0).all()


def test_a_gradient_penalty_passes_through_the_augmentation():
    reals, weight = photographs().requires_grad_(True), torch.randn(3 * 256, requires_grad=True)
    scores = (DiffAugment(tuple(POLICIES), draws())(reals).flatten(1).tanh() @ weight).sum()
    (slope,) = torch.autograd.grad(scores, reals, create_graph=True)
    slope.square().sum().backward()
    assert weight.grad.isfinite().all() and weight.grad.abs().sum() > 0


def test_the_memory_layout_stays():
    images = photographs().contiguous(memory_format=torch.channels_last)
    out = DiffAugment(tuple(POLICIES), draws())(images)
    assert out.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(out, DiffAugment(tuple(POLICIES), draws())(images.contiguous()))
