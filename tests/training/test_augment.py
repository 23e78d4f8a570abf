"""Affine warps: direction, exactness and composition."""

import torch

from derm_bench.training.augment import ComposedAffine, compose, identity, rotation, warp


def images(n=2, size=9):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(0))


class Fixed:
    """An affine transform that draws nothing."""

    def __init__(self, matrix):
        self.matrix = matrix

    def matrices(self, n, generator):
        return self.matrix.expand(n, 3, 3)

    def __call__(self, batch, generator):
        return warp(batch, self.matrices(len(batch), generator))


def test_a_quarter_turn_is_counter_clockwise_and_exact():
    batch = images()
    turned = warp(batch, rotation(torch.tensor([90.0, -90.0])))
    torch.testing.assert_close(turned[0], batch[0].rot90(1, (1, 2)), atol=1e-4, rtol=0)
    torch.testing.assert_close(turned[1], batch[1].rot90(-1, (1, 2)), atol=1e-4, rtol=0)


def test_what_comes_in_from_outside_is_reflected_not_black():
    shift = identity(2, torch.device("cpu"))
    shift[:, 0, 2] = 1.0
    assert warp(torch.ones(2, 3, 9, 9), shift).min() > 0.999


def test_neighbouring_affine_transforms_become_one_in_the_order_they_stand():
    turn = Fixed(rotation(torch.tensor([90.0])))
    mirror = Fixed(torch.diag(torch.tensor([-1.0, 1.0, 1.0])).unsqueeze(0))

    def colour(batch, generator):
        return batch * 0.5

    joined = compose([turn, mirror, colour, turn])
    assert isinstance(joined[0], ComposedAffine) and joined[1:] == [colour, turn]
    batch, generator = images(), torch.Generator()
    expected = batch.rot90(1, (2, 3)).flip(3)
    torch.testing.assert_close(joined[0](batch, generator), expected, atol=1e-4, rtol=0)
