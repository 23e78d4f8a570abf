"""Heads, bald patches, strands and volumes: areas are exact, hair grows where it should, rotations carry over."""

from dataclasses import replace

import numpy as np
import pytest

from derm_bench_plugins.hair.head import DEPTH, Head, bearing, bust_depth, cast, rotation, sphere
from derm_bench_plugins.hair.patches import LIMITS, SEVERITIES, SHARES, draw_patches
from derm_bench_plugins.hair.strands import Effort, grow
from derm_bench_plugins.hair.styles import COMBED, KINDS, Comb, draw_hairstyle, draw_style
from derm_bench_plugins.hair.volume import OCCUPIED, decode, volume_shape, voxelise

SMALL = Effort(bundles=80, strands=3, points=20)


def scalp(head):
    points = sphere(3000)
    return points[bearing(points, head.hairline)]


def hair(kind="wavy", seed=0, severity="healthy", head=None):
    head, rng = head or Head(), np.random.default_rng(seed)
    patches, _ = draw_patches(rng, severity, scalp(head))
    return grow(head, draw_style(rng, kind), rng, patches, SMALL), patches


@pytest.mark.parametrize("severity", SEVERITIES)
def test_patches_cover_the_share_of_the_scalp_that_their_severity_says(severity):
    whole = scalp(Head())
    for seed in range(12):
        patches, share = draw_patches(np.random.default_rng(seed), severity, whole)
        assert patches.bald(whole).mean() == pytest.approx(share)
        assert SHARES[severity][0] - 1e-3 <= share <= SHARES[severity][1] + 1e-3
    shares = [draw_patches(np.random.default_rng(s), severity, whole, spread=1.0)[1] for s in range(40)]
    assert LIMITS[severity][0] - 1e-3 <= min(shares) and max(shares) <= LIMITS[severity][1] + 1e-3


def test_severities_do_not_overlap_and_follow_salt():
    edges = [limit for severity in SEVERITIES for limit in LIMITS[severity]]
    assert edges == sorted(edges)
    assert (
        LIMITS["mild"][1] < 0.25 < LIMITS["moderate"][0] and LIMITS["moderate"][1] < 0.5 < LIMITS["severe"][0]
    )


def test_no_strand_grows_from_a_bald_patch_or_from_the_face():
    head = Head()
    strands, patches = hair(severity="moderate", head=head)
    roots = (strands.points[:, 0] - np.array(head.centre)) / np.array(head.axes)
    assert np.allclose(np.linalg.norm(roots, axis=1), 1, atol=1e-3)
    roots = roots / np.linalg.norm(roots, axis=1, keepdims=True)
    assert patches.distance(roots).min() > -1e-4
    assert bearing(roots, head.hairline + 0.02).all()
    rng = np.random.default_rng(0)
    style = draw_style(rng)
    counts = [
        len(grow(head, style, np.random.default_rng(1), draw_patches(rng, severity, scalp(head))[0], SMALL))
        for severity in SEVERITIES
    ]
    assert counts == sorted(counts, reverse=True) and counts[2] < 0.75 * counts[0]


@pytest.mark.parametrize("kind", KINDS)
def test_strands_stay_out_of_the_head_and_hang_down(kind):
    head = Head()
    strands, _ = hair(kind)
    local = (strands.points - np.array(head.centre)) / np.array(head.axes)
    assert (np.linalg.norm(local, axis=2) > 0.95).mean() > 0.97
    down = strands.points[:, -1, 1] - strands.points[:, 0, 1]
    assert (down > 0).mean() > 0.85


def combed(way, tie=0.5, **more):
    rng = np.random.default_rng(3)
    style = replace(draw_style(rng, "straight"), comb=Comb(way, tie), length=0.3, sweep=0.0, **more)
    return grow(Head(), style, rng, effort=SMALL).points


def test_hair_is_combed_as_its_style_says():
    way = {comb: combed(comb, gravity=2.0) for comb in ("back", "forward", "parting", "aside")}
    early = {comb: (points[:, 8] - points[:, 0]).mean(axis=0) for comb, points in way.items()}
    assert early["back"][2] > 0.02 > -0.02 > early["forward"][2]
    root, move = way["parting"][:, 0, 0], way["parting"][:, 8, 0] - way["parting"][:, 0, 0]
    assert (np.sign(move) == np.sign(root))[np.abs(root) > 0.08].mean() > 0.9
    assert abs(early["aside"][0]) > 0.02


def test_tied_hair_meets_at_the_tie_and_hangs_from_there():
    points = combed("tied", tie=0.4, gravity=15.0)
    tie = Head().outward(np.array([[0.0, -0.4, np.sqrt(1 - 0.16)]]))[0]
    near = np.linalg.norm(points - tie, axis=2).min(axis=1)
    loose = np.linalg.norm(combed("whorl", gravity=15.0) - tie, axis=2).min(axis=1)
    assert np.median(near) < 0.5 * np.median(loose)


def test_all_ways_to_comb_are_drawn():
    rng = np.random.default_rng(0)
    assert {draw_hairstyle(rng).comb.way for _ in range(60)} == set(COMBED)


def test_curly_hair_turns_more_than_wavy_hair_and_wavy_more_than_straight():
    def turning(kind):
        points = hair(kind)[0].points
        step = np.diff(points, axis=1)
        step = step / np.maximum(np.linalg.norm(step, axis=2, keepdims=True), 1e-9)
        return np.degrees(np.arccos(np.clip((step[:, 1:] * step[:, :-1]).sum(2), -1, 1))).mean()

    straight, wavy, curly = (turning(kind) for kind in KINDS)
    assert straight < wavy < curly


def test_equal_seeds_give_equal_hair():
    one, other, different = hair(seed=4)[0], hair(seed=4)[0], hair(seed=5)[0]
    assert np.array_equal(one.points, other.points)
    assert one.points.shape != different.points.shape or not np.array_equal(one.points, different.points)


def test_rays_meet_the_head_where_its_surface_is():
    head = Head(pose=rotation(20, 30, 10), zoom=1.1, shift=(0.05, -0.02, 0.0))
    side = 64
    z, hits = cast(head, side)
    row, column = np.nonzero(np.isfinite(z))
    on = head.before_camera(head.outward(hits[:, row, column].T.astype(float))[0])
    assert np.allclose(on[:, 0], (column + 0.5) / side - 0.5, atol=1e-4)
    assert np.allclose(on[:, 1], (row + 0.5) / side - 0.5, atol=1e-4)
    assert np.allclose(on[:, 2], z[row, column], atol=1e-4)


def test_the_bust_is_nearest_in_the_middle_and_zero_beside_it():
    depth = bust_depth(Head(), 64)
    assert depth[0, 0] == 0 and depth.max() <= 1
    row, column = np.nonzero(depth)
    nearest = depth[row, column].argmin()
    assert abs(column[nearest] - 31.5) < 2 and abs((row[nearest] + 0.5) / 64 - 0.5 + 0.075) < 0.03
    assert depth[row, column].min() == pytest.approx(0.5 - 0.285 / DEPTH, abs=0.01)


def test_a_rotation_maps_axes_as_a_right_handed_frame():
    assert np.allclose(rotation(0, 0, 90) @ [1, 0, 0], [0, 1, 0])
    assert np.allclose(rotation(90, 0, 0) @ [0, 1, 0], [0, 0, 1])
    assert np.linalg.det(rotation(13, 27, -18)) == pytest.approx(1)


def test_a_volume_has_the_directions_of_its_strands():
    line = np.linspace([-0.4, 0.1, 0.0], [0.4, 0.1, 0.0], 5)[None]
    volume = voxelise(line, 128)
    assert volume.shape == (3, *volume_shape(128)) == (3, 12, 16, 16)
    vectors, occupied = decode(volume)
    where = np.argwhere(occupied)
    assert set(where[:, 0]) == {6} and set(where[:, 1]) == {9} and len(where) >= 12
    assert np.allclose(vectors[:, occupied].T, [1, 0, 0], atol=1e-5)
    assert (volume[:, ~occupied] == 0).all()
    back, _ = decode(voxelise(line[:, ::-1], 128))
    assert np.allclose(back[:, occupied].T, [-1, 0, 0], atol=1e-5)


def test_occupied_voxels_are_told_from_empty_ones_whatever_their_direction():
    strands, _ = hair("curly")
    volume = voxelise(strands.points, 128)
    sums = volume.sum(0)
    assert ((sums == 0) | (sums > (3 - np.sqrt(3)) / 2 - 1e-5)).all() and OCCUPIED < 0.634
    vectors, occupied = decode(volume[None])
    assert occupied.shape == (1, 12, 16, 16) and occupied.any()
    assert np.allclose(np.linalg.norm(vectors[0][:, occupied[0]], axis=0), 1, atol=1e-4)


def test_mirrored_strands_give_the_mirrored_volume():
    strands, _ = hair()
    vectors, occupied = decode(voxelise(strands.points, 128))
    mirrored, there = decode(voxelise(strands.points * np.array([-1, 1, 1]), 128))
    assert np.array_equal(there, occupied[..., ::-1])
    flipped = mirrored[..., ::-1] * np.array([-1, 1, 1])[:, None, None, None]
    assert np.allclose(flipped, vectors, atol=1e-4)


@pytest.mark.parametrize("side", [0, 100, 130])
def test_a_side_that_no_volume_fits_is_refused(side):
    with pytest.raises(ValueError, match="multiple of 32"):
        volume_shape(side)
