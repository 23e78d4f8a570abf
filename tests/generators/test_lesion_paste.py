"""lesion-paste: where lesions are, what is painted over, and what lies inside and outside of a pasted contour."""

import cv2
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from derm_bench.images import ImageSet
from derm_bench.specs import SampleRequest, Task
from derm_bench.testing.phantoms import phantoms
from derm_bench.testing.runs import RecordedRun
from derm_bench_plugins.generators import masks
from derm_bench_plugins.generators.lesion_paste import (
    LesionPaste,
    feathered,
    inpainted,
    poisson,
)
from derm_bench_plugins.generators.specs.lesion_paste import LesionPasteOptions

SKIN, DARK = (215, 175, 155), (90, 60, 50)


def disc(side=48, centre=(24, 24), radius=10):
    """A mask uint8 [side,side]."""
    y, x = np.mgrid[:side, :side]
    return np.where((y - centre[0]) ** 2 + (x - centre[1]) ** 2 <= radius**2, 255, 0).astype(np.uint8)


def picture(mask, skin=SKIN, lesion=DARK, seed=0):
    """Skin with a lesion of a texture, uint8 [side,side,3]."""
    grain = np.random.default_rng(seed).normal(0, 6, (*mask.shape, 3))
    return (np.where(mask[:, :, None] > 0, lesion, skin) + grain).round().clip(0, 255).astype(np.uint8)


def generator(**options):
    return LesionPaste(LesionPasteOptions(**options), Task(("red",), 48))


def overlap(one, other):
    return ((one > 0) & (other > 0)).sum() / ((one > 0) | (other > 0)).sum()


# ------------------------------------------------------------------------------------------ masks


def test_otsu_finds_the_lesion_past_the_black_corners_and_fills_it():
    mask = disc(centre=(20, 28), radius=9)
    image = picture(mask)
    image[18:21, 27:30] = SKIN  # a pale spot in it
    image[disc(radius=27) == 0] = 5  # the dermoscope's tube
    assert overlap(masks.otsu_mask(image), mask) > 0.95


def test_where_nothing_stands_out_the_middle_is_taken():
    found = masks.otsu_mask(np.full((48, 48, 3), 128, np.uint8))
    assert np.array_equal(found, disc(49, (24, 24), 12)[:48, :48]) or overlap(found, disc(radius=12)) > 0.9


def test_masks_of_the_data_set_win_and_empty_ones_are_found():
    train = phantoms(per_class=2, size=32)
    holed = train.masks.clone()
    holed[1] = 0
    given = masks.lesion_masks(ImageSet(**{**vars(train), "masks": holed}))
    assert torch.equal(given[0], train.masks[0])
    assert given[1].any() and overlap(given[1, 0].numpy(), train.masks[1, 0].numpy()) > 0.8
    assert torch.equal(holed[1], torch.zeros_like(holed[1]))


def test_boxes_by_hand():
    found = torch.zeros(2, 1, 6, 7)
    found[0, 0, 1, 2] = found[0, 0, 4, 3] = 1
    expected = torch.zeros(2, 1, 6, 7, dtype=torch.bool)
    expected[0, 0, 1:5, 2:4] = True
    assert torch.equal(masks.boxes(found), expected)
    assert torch.equal(masks.boxes((found * 255).byte()), expected)


# ------------------------------------------------------------------------------------------ pasting


def test_inpainted_skin_holds_no_lesion_and_is_else_untouched():
    mask = disc()
    image = picture(mask)
    made = inpainted(image, mask, np.random.default_rng(0))
    far = cv2.dilate(mask, np.ones((9, 9), np.uint8)) == 0
    assert np.array_equal(made[far], image[far])
    assert np.abs(made[mask > 0].mean(axis=0) - SKIN).max() < 8
    assert made[mask > 0].min() > 110  # the lesion is at 90 and below
    assert made[mask > 0].std(axis=0).max() > 3  # grain, as the skin's 6


def test_feathering_is_the_lesion_inside_and_the_background_outside():
    mask = disc()
    lesion, background = picture(mask), picture(mask * 0, seed=1)
    made = feathered(lesion, mask, background)
    inside, outside = disc(radius=6) > 0, disc(radius=14) == 0
    assert np.array_equal(made[inside], lesion[inside]) and np.array_equal(made[outside], background[outside])
    between = made[disc(radius=10) > 0].mean()
    assert lesion[inside].mean() < between < background.mean()


@pytest.mark.parametrize("centre", [(24, 24), (30, 17), (6, 40)])
def test_poisson_keeps_the_lesions_gradients_and_the_backgrounds_tone(centre):
    mask = disc(centre=centre)
    lesion, background = (
        cv2.GaussianBlur(picture(mask), (0, 0), 0.5),
        picture(mask * 0, (160, 140, 120), seed=1),
    )
    background = cv2.GaussianBlur(background, (0, 0), 3)
    made = poisson(lesion, mask, background)
    outside = cv2.dilate(mask, np.ones((3, 3), np.uint8)) == 0
    assert np.array_equal(made[outside], background[outside])
    core = disc(centre=centre, radius=9) > 0
    curvature = [cv2.Laplacian(image.astype(float), cv2.CV_64F) for image in (made, lesion)]
    away = core.copy()
    away[[0, -1]] = away[:, [0, -1]] = False  # at the frame OpenCV's Laplacian reflects
    assert np.abs(curvature[0] - curvature[1])[away].max() <= 4.5  # of five rounded pixels
    change = (made.astype(float) - lesion)[core].mean(axis=0)
    assert np.abs(change - (np.array((160, 140, 120)) - np.array(SKIN))).max() < 8


def test_reshaping_puts_the_lesion_where_it_is_told_with_its_size():
    mask = disc(centre=(20, 22), radius=9)
    image = picture(mask)
    still = generator(rotate=0, scale=0, move=0, jitter=0)
    moved, outline = still.reshaped(image, mask, np.array([26.0, 25.0]), np.random.default_rng(0))
    assert overlap(outline, disc(centre=(26, 25), radius=9)) > 0.95
    assert np.abs(moved[outline > 0].mean(axis=0) - image[mask > 0].mean(axis=0)).max() < 2
    sizes = []
    for seed in range(20):
        _, outline = generator(move=0, jitter=0).reshaped(
            image, mask, np.array([24.0, 24.0]), np.random.default_rng(seed)
        )
        sizes.append((outline > 0).sum() / (mask > 0).sum())
    assert 0.6 < min(sizes) < 0.8 and 1.2 < max(sizes) < 1.5  # squares of 0.8 and 1.2


def test_jitter_bends_the_outline_and_the_lesion_with_it():
    mask = disc(radius=12)
    image = picture(mask)
    bent = generator(rotate=0, scale=0, move=0, jitter=0.03)
    shares = []
    for seed in range(10):
        moved, outline = bent.reshaped(image, mask, np.array([24.0, 24.0]), np.random.default_rng(seed))
        shares.append(overlap(outline, mask))
        solid = cv2.erode(outline, np.ones((5, 5), np.uint8)) > 0
        assert moved[solid].max() < 130  # no skin came into it
    assert 0.6 < np.mean(shares) < 0.95


def test_a_lesion_cut_off_by_the_frame_leaves_no_second_one():
    mask = disc(centre=(24, 7), radius=6)  # its mirror image beyond the left edge comes into view
    image = picture(mask)
    still = generator(rotate=0, scale=0, move=0, jitter=0)
    _, outline = still.reshaped(image, mask, np.array([24.0, 36.0]), np.random.default_rng(1))
    count, _ = cv2.connectedComponents(outline)
    assert count == 2 and (outline > 0).sum() < 1.2 * (mask > 0).sum()


def test_samples_have_the_lesion_of_their_class_on_skin_of_any():
    train = phantoms(size=48)
    paste = LesionPaste(LesionPasteOptions(blend="feather"), Task(train.classes, 48))
    paste.fit(train, RecordedRun(seed=0, budget=1))
    for label, brightest in enumerate((0, 1, 2)):  # red, green and blue discs
        samples = paste.sample(SampleRequest(label, 16, 3), train)
        assert {train.labels[train.ids.index(name)].item() for name in samples.source_ids} == {label}
        assert len(set(samples.source_ids)) == 16
        behind = samples.attributes["background"]
        assert len(set(behind)) > 4 and all(
            one != other for one, other in zip(samples.source_ids, behind, strict=True)
        )
        for image, behind in zip(samples.images, samples.attributes["background"], strict=True):
            place = train.masks[train.ids.index(behind), 0] > 0
            # Most of where a lesion was is covered by one of the class's colour, wherever exactly it was moved.
            share = (image[:, place].float().argmax(dim=0) == brightest).float().mean()
            assert share > (0.15 if label else 0.9)  # a small one covers a fifth of a large one; skin is red
    labels = {train.labels[train.ids.index(name)].item() for name in samples.attributes["background"]}
    assert len(labels) > 1


def test_backgrounds_have_much_the_same_skin():
    train = phantoms(size=32)
    tinted = train.images.clone()
    tinted[::2] = (tinted[::2].float() * torch.tensor([0.5, 0.6, 1.0]).view(1, 3, 1, 1)).byte()
    train = ImageSet(**{**vars(train), "images": tinted})
    rows = torch.arange(len(train))
    found = generator(largest_background=1).backgrounds(train, rows, np.random.default_rng(0))
    assert torch.equal(found % 2, rows % 2) and (found != rows).all()


def test_backgrounds_are_images_whose_lesion_is_small():
    train = phantoms(size=32)
    share = (train.masks > 0).float().mean(dim=(1, 2, 3))
    paste = generator(largest_background=float(share.median()))
    assert torch.equal(paste.clear(train)[0], torch.nonzero(share <= share.median()).flatten())
    clearest, _ = generator(largest_background=0.01).clear(train)
    assert len(clearest) == 5 and share[clearest].max() <= share.sort().values[4]


def test_a_large_set_is_never_made_floats_as_a_whole():
    train = phantoms(classes=2, per_class=75, size=24)
    floats = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            made = func(*args, **(kwargs or {}))
            if isinstance(made, torch.Tensor) and made.is_floating_point():
                floats.append(made.numel())
            return made

    with Watch():
        rows, tones = generator().clear(train)
    assert 0 < max(floats) < train.images.numel() / 2
    lesion = (masks.lesion_masks(train) > 0).float()
    assert torch.equal(tones, masks.skin_tones(train.images, lesion))
    assert torch.equal(rows, torch.nonzero(lesion.mean(dim=(1, 2, 3)) <= 0.4).flatten())
