"""Pictures of strands: what is in front is seen, light falls as Kajiya and Kay say, and true directions are known."""

import numpy as np
import pytest

from derm_bench_plugins.hair.render import Light, covered, directions, paint, shade, trace

PLAIN = Light(toward=(0, -1, 0), ambient=0.0, diffuse=1.0, gloss=0.0, occlusion=0.0)


def band(y, z, dx=1.0, n=24):
    """Many parallel horizontal lines round height y at depth z."""
    heights = y + np.linspace(-0.1, 0.1, n)
    ends = [[[-0.45 * dx, h, z], [0.0, h, z], [0.45 * dx, h, z]] for h in heights]
    return np.array(ends, np.float32)


def test_the_nearer_strand_hides_the_farther_one_whatever_their_order():
    near, far = band(0, -0.1), band(0, 0.1)
    red, blue = np.tile([1.0, 0, 0], (24, 1)), np.tile([0, 0, 1.0], (24, 1))
    ground = np.zeros((32, 32, 3), np.float32)
    for points, colours in (
        (np.concatenate([near, far]), np.concatenate([red, blue])),
        (np.concatenate([far, near]), np.concatenate([blue, red])),
    ):
        picture, cover = paint(points, colours, ground, PLAIN)
        middle = picture[16, 8:24]
        assert cover[16, 16] == 1 and middle[:, 0].min() > 0.1 and middle[:, 2].max() == 0


def test_where_strands_are_seen_is_what_is_traced_of_them():
    draws = np.random.default_rng(0)
    points = draws.uniform(-0.7, 0.7, (60, 5, 3)).astype(np.float32)  # some leave the picture
    points[::7, 3:] = points[::7, 2:3]  # and some end early
    assert np.array_equal(covered(points, 24), trace(points, 24).strand >= 0)


def test_hair_behind_the_head_is_hidden_and_the_background_stays():
    ground = np.full((32, 32, 3), 0.4, np.float32)
    behind = np.full((64, 64), 0.05, np.float32)
    picture, cover = paint(band(0, 0.1), np.ones((24, 3)), ground, PLAIN, behind)
    assert cover.max() == 0 and np.allclose(picture, 0.4)
    _, cover = paint(band(0, 0.0), np.ones((24, 3)), ground, PLAIN, behind)
    assert cover[16, 16] == 1


def test_light_from_above_is_returned_by_horizontal_hair_and_not_by_vertical_hair():
    lying = band(0, 0)
    standing = lying[..., [1, 0, 2]]
    bright, dark = (
        shade(trace(points, 32), np.ones((24, 3)), PLAIN)[0][32, 40].mean() for points in (lying, standing)
    )
    assert bright == pytest.approx(1, abs=1e-3) and dark < 1e-3


def test_gloss_appears_where_the_reflected_light_meets_the_camera():
    def gloss(toward):
        light = Light(toward=toward, ambient=0, diffuse=0, gloss=1, power=40, occlusion=0)
        return shade(trace(band(0, 0), 32), np.ones((24, 3)), light)[0][32, 32].mean()

    assert gloss((0, -0.6, -0.8)) > 0.9  # hair at right angles to light and camera
    assert gloss((1, 0, 0)) < 1e-3


def test_true_directions_run_from_root_to_tip():
    for sign in (1.0, -1.0):
        vector, known = directions(trace(band(0, 0, sign), 32))
        assert known[16, 16] and not known[2, 2]
        assert np.allclose(vector[:, 16, 16], [sign, 0]) and (vector[:, 2, 2] == 0).all()


def test_hair_that_points_at_the_camera_has_no_direction():
    vector, known = directions(trace(np.array([[[0, 0, 0.2], [0, 0, -0.2]]], np.float32), 16))
    assert not known.any() and (vector == 0).all()


def test_a_head_without_hair_is_its_background():
    ground = np.random.default_rng(0).random((16, 16, 3)).astype(np.float32)
    picture, cover = paint(np.zeros((0, 4, 3), np.float32), np.zeros((0, 3)), ground)
    assert np.array_equal(picture, ground) and cover.max() == 0
