"""Pairs of maps and volumes: shapes, ranges, and that they depend on nothing but seed and index."""

import numpy as np
import pytest
import torch

from derm_bench_plugins.hair.pairs import HairPairs
from derm_bench_plugins.hair.patches import SEVERITIES
from derm_bench_plugins.hair.volume import decode


@pytest.mark.parametrize("exact", [False, True])
def test_a_batch_has_maps_and_volumes_in_range(exact):
    pairs = HairPairs(6, 64, seed=1, exact=exact)
    maps, volumes = pairs.batch(torch.tensor([0, 3]))
    assert len(pairs) == 6 and maps.shape == (2, 4, 64, 64) and volumes.shape == (2, 3, 6, 8, 8)
    for values in (maps, volumes):
        assert values.dtype == torch.float32 and values.min() >= 0 and values.max() <= 1
    assert (volumes.sum(1) == 0).any() and (volumes.sum(1) > 0.6).any()
    hair = maps[:, 2] > 0
    assert hair.any() and (maps[:, :2][~hair[:, None].expand(-1, 2, -1, -1)].abs().max() < 1.01)
    assert pairs.batch([]).maps.shape == (0, 4, 64, 64)


def test_pairs_depend_on_seed_and_index_alone():
    one, again = HairPairs(8, 64, seed=1), HairPairs(30, 64, seed=1)
    first, second = one.batch([5, 2]), again.batch([2, 5])
    for a, b in zip(first, second, strict=True):
        assert torch.equal(a[0], b[1]) and torch.equal(a[1], b[0])
    other = HairPairs(8, 64, seed=2).batch([5]).volumes
    assert not torch.equal(other[0], first.volumes[0])


def test_two_pairs_in_a_row_are_a_style_and_its_mirror_image_in_other_poses():
    pairs = HairPairs(4, 64, seed=3)
    plain, mirror, other = (pairs.subject(k) for k in (0, 1, 2))
    assert np.array_equal(plain.strands.points, mirror.strands.points) and mirror.mirrored
    assert not np.array_equal(plain.head.pose, mirror.head.pose)
    assert plain.strands.points.shape != other.strands.points.shape
    assert pairs.severity(0) == pairs.severity(1)


def test_all_severities_occur():
    pairs = HairPairs(80, 64, seed=0)
    assert {pairs.severity(k) for k in range(0, 80, 2)} == set(SEVERITIES)


def test_exact_directions_are_those_of_the_front_of_the_volume():
    pairs = HairPairs(2, 128, seed=5, exact=True)
    maps, volumes = pairs.batch([0])
    vectors, occupied = decode(volumes[0].numpy())
    front = occupied.argmax(0)
    seen = np.take_along_axis(vectors, front[None, None], 1)[:2, 0]
    small = torch.nn.functional.avg_pool2d(((2 * maps[:, :2] - 1) * (maps[:, 2:3] > 0)), 8)[0].numpy()
    strong = occupied.any(0) & (np.linalg.norm(small, axis=0) > 0.5) & (np.linalg.norm(seen, axis=0) > 0.5)
    cosine = (seen * small).sum(0)[strong] / np.linalg.norm(seen[:, strong], axis=0)
    assert strong.sum() > 8 and np.median(cosine / np.linalg.norm(small[:, strong], axis=0)) > 0.85


def test_wrong_indices_and_sides_are_refused():
    with pytest.raises(IndexError, match="from 0 to 3"):
        HairPairs(4, 64, seed=0).batch([4])
    with pytest.raises(ValueError, match="multiple of 32"):
        HairPairs(4, 100, seed=0)
