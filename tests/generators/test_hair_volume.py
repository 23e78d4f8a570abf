"""hair-volume: AA-GAN's networks on made hairstyles, with the budget, the losses and the schedule of the options."""

import pytest
import torch
from pydantic import ValidationError

from derm_bench.errors import Diverged
from derm_bench.specs import SampleRequest, Task
from derm_bench.testing.phantoms import phantoms
from derm_bench.training.stage_run import StageRun, seed_everything
from derm_bench_plugins.generators import hair_volume
from derm_bench_plugins.generators.gan_cost import volumes
from derm_bench_plugins.generators.hair_volume import (
    Counter,
    HairVolume,
    angle_error,
    front,
    hairstyles,
    minimise_within,
    packed,
    training_pairs,
    unpacked,
)
from derm_bench_plugins.generators.specs.hair_volume import PRESETS, HairVolumeOptions
from derm_bench_plugins.hair.pairs import HairPairs

TINY = {**PRESETS["tiny"], "width": 0.03}


@pytest.fixture(scope="module", autouse=True)
def pairs_made_once():
    """Making a pair takes longer than an update; the same four serve all fits."""
    made = HairPairs(4, 128, 0)
    kept = made.batch(range(4))
    patch = pytest.MonkeyPatch()
    patch.setattr(
        HairPairs, "batch", lambda self, rows: type(kept)(*(part[torch.as_tensor(rows) % 4] for part in kept))
    )
    yield kept
    patch.undo()


def fitted(updates=2, **options):
    seed_everything(0)
    network = HairVolume(HairVolumeOptions(**{**TINY, **options}), Task(("a", "b"), 32))
    run = StageRun(seed=0, budget=updates)
    network.fit(phantoms(2, size=32), run)
    return network, {(row.step, row.metric): row.value for row in run.history()}


def test_pairs_are_served_as_bytes_and_come_back_within_half_a_step(pairs_made_once):
    images = training_pairs(HairVolumeOptions(**TINY), StageRun(seed=0, budget=2))
    assert images.data["maps"].shape == (4, 4, 128, 128) and images.data["volume"].shape == (4, 3, 12, 16, 16)
    assert images.data["maps"].dtype == images.data["volume"].dtype == torch.uint8
    error = (unpacked(images.data["volume"]) - pairs_made_once.volumes).abs().max()
    assert error <= 0.5 / 255 + 1e-6
    assert images.groups[0] == images.groups[1] != images.groups[2]  # a hairstyle and its mirror image
    assert packed(torch.tensor([0.0, 1.0])).tolist() == [0, 255]


def test_no_more_pairs_are_made_than_the_budget_shows():
    options = HairVolumeOptions(side=128, pairs=1000, batch_size=4)
    assert len(training_pairs(options, StageRun(seed=0, budget=2))) == 8


def test_an_update_takes_one_batch_and_both_networks_learn():
    seed_everything(0)
    before = HairVolume(HairVolumeOptions(**TINY), Task(("a", "b"), 32)).state()
    network, logged = fitted(3)
    after = network.state()
    assert {step for step, _ in logged} == {1, 2, 3}
    for part in ("generator.initial.0.shortcut.0.weight", "discriminator.critic.0.0.weight"):
        assert not torch.equal(before[part], after[part])


@pytest.mark.parametrize(
    ("options", "weights"),
    [
        ({}, (0.01, 5.0, 0.0)),
        ({"beta_is": "weight"}, (0.01, 500.0, 0.0)),
        ({"alpha": 0.1}, (0.1, 50.0, 0.0)),
        ({"adv_weight": 2.0}, (0.01, 5.0, 2.0)),
        ({"pretrain": 1.0}, (0.0, 0.0, 1.0)),
    ],
    ids=str,
)
def test_the_loss_of_g_is_the_weighted_sum_of_the_options(options, weights):
    _, logged = fitted(1, **options)
    terms = [logged[1, name] for name in ("content", "style", "adversarial")]
    expected = sum(weight * term for weight, term in zip(weights, terms, strict=True))
    assert logged[1, "loss_g"] == pytest.approx(expected, rel=1e-4, abs=1e-9)


def test_the_first_part_of_the_budget_is_adversarial_and_the_rest_is_not():
    _, logged = fitted(4, pretrain=0.5)
    adversarial = [logged[k, "loss_g"] == pytest.approx(logged[k, "adversarial"]) for k in (1, 2, 3, 4)]
    assert adversarial == [True, True, False, False]


def test_a_loss_of_directions_is_added_with_its_weight():
    _, plain = fitted(1)
    _, more = fitted(1, direction_weight=3.0)
    assert more[1, "loss_g"] == pytest.approx(plain[1, "loss_g"] + 3 * more[1, "direction"], rel=1e-4)


def test_rates_fall_along_half_a_cosine():
    """The second of two updates has half of the rate, and so moves every weight half as far."""
    name = "generator.initial.0.shortcut.0.weight"
    only_volume = {"pairs": 2, "content_layers": (0,), "style_layers": ()}
    one, two = (fitted(n, **only_volume)[0].state()[name] for n in (1, 2))
    falling = fitted(2, **only_volume, schedule="cosine")[0].state()[name]
    assert (falling - one).norm().item() == pytest.approx(0.5 * (two - one).norm().item(), rel=1e-3)


def test_a_gradient_is_scaled_down_to_the_norm_asked_for():
    def moved(most, slope):
        weights = torch.nn.Parameter(torch.zeros(2))
        minimise_within(most, (weights * slope).sum(), torch.optim.SGD([weights], lr=1.0))
        return weights.detach().norm().item()

    slope = torch.tensor([3.0, 4.0])
    assert [moved(most, slope) for most in (0.0, 2.0, 9.0)] == pytest.approx([5.0, 2.0, 5.0], rel=1e-4)


def test_g_starts_at_the_mean_volume_of_each_plane(pairs_made_once):
    network, _ = fitted(1, start="mean", lr=1e-9)
    bias = network.state()["generator.y.layers.4.bias"]
    assert torch.allclose(bias, pairs_made_once.volumes[:2, 1].mean(dim=(0, 2, 3)), atol=2e-3)


def test_volumes_are_those_of_the_average_of_the_weights():
    name = "generator.initial.0.shortcut.0.weight"
    own, kept = (fitted(3, lr=1e-2, ema=decay)[0].state()[name] for decay in (0.0, 0.5))
    seed_everything(0)
    start = HairVolume(HairVolumeOptions(**TINY), Task(("a", "b"), 32)).state()[name]
    assert (kept - own).norm() > 0 and (kept - start).norm() < (own - start).norm()


def test_hairstyles_are_combed_unless_the_options_say_otherwise():
    assert hairstyles(HairVolumeOptions(**TINY), 2, 0).combed
    assert not hairstyles(HairVolumeOptions(**TINY, combed=False), 2, 0).combed


def test_layers_of_the_losses_are_options():
    _, both = fitted(1, content_layers=(0, 6), style_layers=())
    _, volume = fitted(1, content_layers=(0,), style_layers=())
    assert both[1, "style"] == 0 and both[1, "content"] >= volume[1, "content"] > 0
    with pytest.raises(ValidationError, match="less than or equal to 6"):
        HairVolumeOptions(content_layers=(7,))


def test_a_dead_generator_ends_the_fit(monkeypatch):
    monkeypatch.setattr(hair_volume, "EMPTY_FOR", 3)
    monkeypatch.setattr(hair_volume, "LOOKED_AT", 1)
    monkeypatch.setattr(
        hair_volume.VolumeGenerator, "volume", lambda self, z: 0 * z.sum() + torch.zeros(1, 3, 12, 16, 16)
    )
    with pytest.raises(Diverged, match=r"0 everywhere .* before update 3: its last ReLU is dead"):
        fitted(5)


def test_empty_volumes_count_only_in_a_row():
    counter = Counter()
    for empty in (True, True, False, True):
        counter.add(torch.tensor(empty))
    assert int(counter.count) == 1


@pytest.mark.parametrize(
    "option", [{"augment": ["hflip"]}, {"balance": True}, {"budget": {"epochs": 3}}], ids=str
)
def test_options_about_the_images_of_the_data_set_are_refused(option):
    with pytest.raises(ValidationError, match=r"has no effect|has no epochs"):
        HairVolumeOptions(**option)


def test_samples_show_maps_and_volumes_of_new_hairstyles():
    network, _ = fitted(1)
    images = network.sample(SampleRequest(None, 2, 0)).images
    assert images.shape == (2, 3, 32, 32) and images.dtype == torch.uint8
    assert images[:, :, :16].any() and images[:, :, 16:, :16].any()  # maps, true volume


def test_the_error_is_an_angle_where_there_is_hair():
    real = torch.zeros(1, 3, 1, 1, 2)
    real[0, :, 0, 0, 0] = torch.tensor([1.0, 0.5, 0.5])  # along x
    made = torch.full_like(real, 0.9)
    made[0, :, 0, 0, 0] = torch.tensor([0.5, 1.0, 0.5])  # along y
    assert angle_error(made, real).item() == pytest.approx(90, abs=0.1)
    assert angle_error(real, real).item() == pytest.approx(0, abs=0.1)
    assert angle_error(torch.zeros_like(real), real).item() == pytest.approx(90)
    assert torch.equal(front(real)[0, :, 0, 0], real[0, :, 0, 0, 0])


def test_cost_grows_with_the_maps_and_not_with_the_images():
    small, large = ({"side": side, "width": 1.0} for side in (128, 256))
    assert volumes(large, 64) == pytest.approx(4 * volumes(small, 64), rel=0.02)
    assert volumes(small, 64) == volumes(small, 512)
    assert volumes({}, 64) is None
