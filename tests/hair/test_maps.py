"""Maps of photographs: the directions of rendered strands are found, and confidence tells where."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from derm_bench_plugins.hair.maps import as_mask, fitted_depth, gabor_bank, growth, photo_maps
from derm_bench_plugins.hair.pairs import HairPairs, exact_maps

SIDE = 256


@pytest.fixture(scope="module")
def compared():
    """Error in degrees, confidence and whether the sign is right, of all pixels with strands of eight heads."""
    pairs, found = HairPairs(40, SIDE, seed=7), []
    for index in range(0, 16, 2):
        shown, true = pairs.picture(index), exact_maps(pairs.subject(index), SIDE)
        maps = pairs.batch([index]).maps[0].numpy()
        known = (true[2] > 0.5) & shown.hair
        vector, target = (2 * each[:2, known] - 1 for each in (maps, true))
        cosine = (vector * target).sum(0) / np.maximum(np.linalg.norm(vector, axis=0), 1e-6)
        error = np.degrees(np.arccos(np.clip(np.abs(cosine), 0, 1)))
        found.append((error, maps[2, known], cosine > 0))
    return [np.concatenate(column) for column in zip(*found, strict=True)]


def test_orientation_of_rendered_strands_is_found_within_12_degrees(compared):
    error, _, _ = compared
    assert len(error) > 50_000 and np.median(error) < 12


def test_confidence_tells_right_orientations_from_wrong_ones(compared):
    error, confidence, _ = compared
    assert spearmanr(error, confidence)[0] < -0.25
    sure = confidence > np.median(confidence)
    assert np.median(error[sure]) < 0.75 * np.median(error[~sure])


def test_hair_is_taken_to_grow_from_root_to_tip(compared):
    assert compared[2].mean() > 0.85


def stripes(angle, side=96, wave=5.0):
    """A picture of lines that run at `angle` degrees from x toward y."""
    y, x = np.mgrid[:side, :side]
    t = np.radians(angle)
    across = x * np.sin(t) - y * np.cos(t)
    gray = 0.5 + 0.4 * np.cos(2 * np.pi * across / wave)
    return torch.from_numpy((255 * gray).astype(np.uint8))[None, None].repeat(1, 3, 1, 1)


@pytest.mark.parametrize("wave", [5.0, 8.0])
@pytest.mark.parametrize("angle", [0, 20, 45, 77, 90, 120, 165])
def test_lines_are_found_at_any_angle(angle, wave):
    maps = photo_maps(stripes(angle, wave=wave), torch.full((1, 1, 96, 96), 255, dtype=torch.uint8))
    vector = 2 * maps[0, :2, 20:76, 20:76] - 1
    along = torch.tensor([np.cos(np.radians(angle)), np.sin(np.radians(angle))])[:, None, None]
    error = torch.rad2deg(torch.arccos((vector * along).sum(0).abs().clamp(max=1)))
    assert error.median() < 3.5 and maps[0, 2, 20:76, 20:76].median() > 0.9


def test_maps_are_in_range_and_zero_outside_of_the_hair():
    image = torch.randint(
        0, 256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    mask = torch.zeros(2, 1, 64, 64)
    mask[:, :, 10:40, 12:50] = 1
    maps = photo_maps(image, mask)
    assert maps.shape == (2, 4, 64, 64) and maps.dtype == torch.float32
    assert maps.min() >= 0 and maps.max() <= 1
    assert (maps[:, :3] * (1 - mask)).abs().max() == 0
    length = (2 * maps[:, :2] - 1).norm(dim=1)[mask[:, 0] > 0]
    assert torch.allclose(length, torch.ones_like(length), atol=1e-4)


def test_pictures_of_a_batch_do_not_change_each_other():
    noise = torch.Generator().manual_seed(1)
    images = torch.rand(3, 3, 96, 96, generator=noise)
    masks = torch.ones(3, 1, 96, 96)
    masks[2, :, 40:] = 0
    with_one, with_other = (photo_maps(images[[0, k]], masks[[0, k]]) for k in (1, 2))
    assert torch.equal(with_one[0], with_other[0]) and not torch.equal(with_one[1], with_other[1])


def test_flat_pictures_and_empty_masks_give_finite_maps():
    flat = torch.full((1, 3, 64, 64), 128, dtype=torch.uint8)
    for mask in (torch.zeros(1, 1, 64, 64), torch.ones(1, 1, 64, 64)):
        maps = photo_maps(flat, mask)
        assert maps.isfinite().all() and maps[:, 2].max() <= 1


def test_masks_of_any_kind_are_cut_at_half():
    assert as_mask(torch.tensor([0, 127, 128, 255], dtype=torch.uint8)).tolist() == [0, 0, 1, 1]
    assert as_mask(torch.tensor([0.0, 0.4, 0.6, 1.0])).tolist() == [0, 0, 1, 1]


def test_hair_grows_away_from_the_crown_and_down():
    mask = torch.zeros(1, 1, 64, 64)
    mask[:, :, 8:56, 12:52] = 1
    flow = growth(mask)
    assert flow[0, 0, 40, 14] < 0 < flow[0, 0, 40, 50] and flow[0, 1, 40, 32] > 0.9


def test_the_fitted_head_is_as_wide_as_the_hair_and_lies_behind_its_middle():
    mask = torch.zeros(1, 1, 64, 64)
    mask[:, :, 8:50, 16:48] = 1
    depth = fitted_depth(mask)[0, 0]
    columns = torch.nonzero(depth.sum(0))[:, 0]
    assert abs(int(columns[0]) - 16) <= 1 and abs(int(columns[-1]) - 47) <= 1
    inside = torch.where(depth > 0, depth, torch.ones(()))
    assert divmod(int(inside.argmin()), 64)[1] in (31, 32) and depth[0, 0] == 0 and depth.max() <= 1


def test_filters_have_no_mean_and_see_lines_of_their_orientation():
    bank = gabor_bank(1.6, 3.0, 4.0, torch.device("cpu"))
    assert bank.shape[:2] == (32, 1)
    assert bank.sum((1, 2, 3)).abs().max() < 1e-4
    assert torch.allclose(bank.flatten(1).norm(dim=1), torch.ones(32), atol=1e-5)
    middle = bank.shape[-1] // 2
    assert bank[0, 0, :, middle].sum() > bank[0, 0, middle, :].sum()  # filter 0 finds vertical lines
