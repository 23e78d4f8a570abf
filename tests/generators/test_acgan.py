"""acgan: two heads, and cross entropy of the class on reals and fakes beside that of the source."""

import math

import pytest
import torch

from derm_bench.specs import Task
from derm_bench_plugins.generators.acgan import AcGan
from derm_bench_plugins.generators.specs.acgan import AcganOptions


def tiny(**options):
    return AcGan(AcganOptions(base=4, z_dim=4, **options), Task(("mel", "nv"), 16))


# A row an image: the logit of being real, then those of two classes. Of the real, p(real) = 3/4 and p(class 0) = 1/4;
# of the fake, p(real) = 1/5 and p(class 0) = 2/3.
REAL = torch.tensor([[math.log(3), 0.0, math.log(3)]])
FAKE = torch.tensor([[-math.log(4), math.log(2), 0.0]])
FIRST = torch.tensor([[1.0, 0.0]])


def test_d_pays_for_the_source_and_for_the_class_of_reals_and_fakes():
    source = -math.log(3 / 4) - math.log(4 / 5)
    by_class = -math.log(1 / 4) - math.log(2 / 3)
    assert tiny().loss_d(REAL, FAKE, FIRST).item() == pytest.approx(source + by_class)
    halved = tiny(class_weight=0.5).loss_d(REAL, FAKE, FIRST)
    assert halved.item() == pytest.approx(source + by_class / 2)


def test_g_pays_for_being_found_out_and_for_the_wrong_class():
    assert tiny().loss_g(FAKE, FIRST).item() == pytest.approx(-math.log(1 / 5) - math.log(2 / 3))
    second = torch.tensor([[0.0, 1.0]])
    assert tiny(class_weight=2).loss_g(FAKE, second).item() == pytest.approx(
        -math.log(1 / 5) - 2 * math.log(1 / 3)
    )


def test_d_has_two_heads_on_the_flattened_maps():
    with torch.device("meta"):
        gan = AcGan(AcganOptions(), Task(tuple("abcdefg"), 64, device="meta"))
        verdicts = gan.discriminator(torch.empty(2, 3, 64, 64))
    assert verdicts.shape == (2, 1 + 7) and gan.discriminator.logit.in_features == 1024 * 4 * 4
    assert gan.prob_real(torch.cat([REAL, FAKE])).tolist() == pytest.approx([3 / 4, 1 / 5])
