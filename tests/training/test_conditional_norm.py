"""Conditional batch normalisation: a BatchNorm whose scale and shift are those of the class."""

import torch
from torch import nn
from torch.nn import functional as F

from derm_bench.training.conditional_norm import ConditionalBatchNorm2d
from derm_bench.training.init import dcgan_init, start_statistics


def features(n=6, channels=5):
    return torch.randn(n, channels, 4, 4, generator=torch.Generator().manual_seed(0)) * 3 + 1


def labels(n=6, classes=3):
    return torch.arange(n) % classes


def layer(classes=3, channels=5):
    """A layer with a scale and a shift of its own for each class."""
    made = ConditionalBatchNorm2d(channels, classes)
    with torch.no_grad():
        made.scale.normal_(1, 0.5, generator=torch.Generator().manual_seed(1))
        made.shift.normal_(0, 0.5, generator=torch.Generator().manual_seed(2))
    return made


def test_a_new_layer_is_a_batch_norm_that_does_not_know_the_class():
    new, plain = ConditionalBatchNorm2d(5, 3), nn.BatchNorm2d(5)
    x = features()
    torch.testing.assert_close(new(x, F.one_hot(labels(), 3).float()), plain(x))
    torch.testing.assert_close(new(x, F.one_hot(labels().flip(0), 3).float()), plain(x))


def test_each_image_has_the_scale_and_shift_of_its_class():
    made, x = layer(), features()
    out = made(x, F.one_hot(labels(), 3).float())
    normal = F.batch_norm(x, None, None, training=True)
    for row, k in enumerate(labels()):
        right = normal[row] * made.scale[k].view(-1, 1, 1) + made.shift[k].view(-1, 1, 1)
        torch.testing.assert_close(out[row], right)


def test_soft_targets_mix_the_scales_and_shifts_of_their_classes():
    made, x = layer(), features(2)
    targets = torch.tensor([[0.25, 0.75, 0.0], [0.0, 0.0, 1.0]])
    shares = [made(x, F.one_hot(torch.full((2,), k), 3).float()) for k in range(2)]
    torch.testing.assert_close(made(x, targets)[0], 0.25 * shares[0][0] + 0.75 * shares[1][0])


def test_only_the_classes_of_a_batch_learn():
    made = layer()
    made(features(), F.one_hot(torch.tensor([0, 2] * 3), 3).float()).square().sum().backward()
    for table in (made.scale, made.shift):
        assert (table.grad[1] == 0).all() and (table.grad[[0, 2]] != 0).all()


def test_statistics_are_started_and_used_in_eval_mode():
    made, x, targets = layer(), features(), F.one_hot(labels(), 3).float()
    start_statistics(made, x, targets)
    torch.testing.assert_close(made.norm.running_mean, x.mean(dim=(0, 2, 3)))
    made.eval()
    alone = made(x[:1], targets[:1])
    torch.testing.assert_close(alone, made(x, targets)[:1])


def test_the_initialisation_of_dcgan_leaves_scales_at_one_and_shifts_at_zero():
    new = ConditionalBatchNorm2d(5, 3)
    dcgan_init(new)
    assert (new.scale == 1).all() and (new.shift == 0).all()


def test_scales_are_not_rounded_under_autocast():
    made, x, targets = layer(), features(), F.one_hot(labels(), 3).float()
    plain = made(x, targets)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(made(x, targets), plain)
        assert made(x.bfloat16(), targets).dtype == torch.bfloat16
