"""semi-gan: one softmax over the classes and "fake"."""

import math

import pytest
import torch
from pydantic import ValidationError

from derm_bench.specs import Task
from derm_bench_plugins.generators.semi_gan import SemiGan
from derm_bench_plugins.generators.specs.semi_gan import SemiGanOptions

# Logits of two classes and "fake": probabilities 1/8, 2/8, 5/8 of the real and 3/10, 6/10, 1/10 of the fake.
REAL = torch.tensor([[0.0, math.log(2), math.log(5)]])
FAKE = torch.tensor([[math.log(3), math.log(6), 0.0]])
SECOND = torch.tensor([[0.0, 1.0]])


@pytest.fixture
def gan():
    return SemiGan(SemiGanOptions(base=4, z_dim=4), Task(("mel", "nv"), 16))


def test_d_pays_for_reals_out_of_their_class_and_for_fakes_out_of_theirs(gan):
    assert gan.loss_d(REAL, FAKE, SECOND).item() == pytest.approx(-math.log(2 / 8) - math.log(1 / 10))


def test_g_pays_for_fakes_that_are_not_taken_for_reals_of_their_class(gan):
    assert gan.loss_g(FAKE, SECOND).item() == pytest.approx(-math.log(6 / 10))


def test_being_real_is_being_of_any_class(gan):
    assert gan.prob_real(torch.cat([REAL, FAKE])).tolist() == pytest.approx([3 / 8, 9 / 10])


def test_d_has_one_output_more_than_there_are_classes():
    with torch.device("meta"):
        gan = SemiGan(SemiGanOptions(), Task(tuple("abcdefg"), 64, device="meta"))
        assert gan.discriminator(torch.empty(2, 3, 64, 64)).shape == (2, 7 + 1)


def test_smoothing_is_refused_as_there_is_no_target_to_lower():
    with pytest.raises(ValidationError, match="no target for reals"):
        SemiGanOptions(smoothing=0.1)
