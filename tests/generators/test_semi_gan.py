"""semi-gan: one softmax over the classes and "fake"."""

import math

import pytest
import torch
from pydantic import ValidationError

from derm_bench.run import Batch
from derm_bench.specs import Task
from derm_bench.training.engine import Engine
from derm_bench.training.feed import FeedOptions
from derm_bench.training.losses import feature_distance
from derm_bench.training.stage_run import StageRun
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


def engine_of(gan, steps=1):
    run = StageRun(seed=0, budget=steps, feed=FeedOptions(batch_size=8))
    return Engine(run, generator=gan.generator, discriminator=gan.discriminator)


def trained(steps=2, **options):
    """Weights of G after `steps` updates on a batch of two classes, and the last logged values."""
    torch.manual_seed(0)
    gan = SemiGan(SemiGanOptions(base=4, z_dim=4, **options), Task(("mel", "nv"), 16))
    engine = Engine(
        StageRun(seed=0, budget=steps, feed=FeedOptions(batch_size=8)),
        generator=gan.generator,
        discriminator=gan.discriminator,
    )
    optimizers = gan.optimizers(engine)
    images = torch.rand(8, 3, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    targets = torch.eye(2).repeat(4, 1)
    batch = Batch(images, targets, torch.ones(8), {}, 0)
    for k in range(steps):
        z = torch.randn(8, 4, generator=torch.Generator().manual_seed(k))
        logged = gan.train_step(engine, optimizers, batch, z)
    return gan.generator.state_dict(), logged


def test_feature_matching_adds_the_squared_distance_of_mean_features(gan):
    real = torch.tensor([[1.0, 4.0], [3.0, 0.0]])  # means 2, 2
    fake = torch.tensor([[5.0, 1.0], [5.0, 2.0]], requires_grad=True)  # means 5, 1.5
    distance = feature_distance(real, fake, torch.tensor([[0.0, 1.0], [0.0, 1.0]]))
    assert distance.item() == pytest.approx(3.0**2 + 0.5**2)
    distance.backward()
    assert fake.grad.tolist() == [[pytest.approx(3.0), pytest.approx(-0.5)]] * 2

    fakes, targets = torch.rand(4, 3, 16, 16), torch.eye(2).repeat(2, 1)
    reals = torch.rand(4, 3, 16, 16)
    engine = Engine(
        StageRun(seed=0, budget=1, feed=FeedOptions(batch_size=8)),
        generator=gan.generator,
        discriminator=gan.discriminator,
    )
    gan.discriminator.eval()  # so that both calls see the same statistics
    without = gan.judge(engine, reals, fakes, targets).item()
    gan.options = SemiGanOptions(base=4, z_dim=4, feature_matching=0.5)
    features = [gan.discriminator.features(images) for images in (reals, fakes)]
    with_it = gan.judge(engine, reals, fakes, targets).item()
    assert with_it == pytest.approx(without + 0.5 * feature_distance(*features, targets).item(), rel=1e-5)


def test_features_are_matched_within_classes():
    """The means of the whole batch are equal if the images of two classes are exchanged."""
    real = torch.tensor([[0.0], [0.0], [4.0]])
    targets = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert feature_distance(real, real, targets).item() == 0
    exchanged = torch.tensor([[2.0], [2.0], [0.0]])  # the same mean
    assert feature_distance(real, exchanged, targets).item() == pytest.approx((2 * 2.0**2 + 4.0**2) / 3)


def test_feature_matching_trains_g_towards_the_features_of_reals_and_is_off_by_default():
    plain, logged = trained()
    same, _ = trained(feature_matching=0)
    matched, other = trained(feature_matching=1.0)
    assert all(torch.equal(plain[name], same[name]) for name in plain)
    assert any(not torch.equal(plain[name], matched[name]) for name in plain)
    assert other["loss_g"] > logged["loss_g"]
