"""ddpm keeps the rules for generators, and diffuses as its papers say."""

from __future__ import annotations

import math

import pytest
import torch
from derm_bench_ddpm import DdpmOptions
from derm_bench_ddpm.diffusion import Diffusion, cosine_alpha_bar
from derm_bench_ddpm.generator import Ddpm, drop_some
from derm_bench_ddpm.unet import UNet

from derm_bench.api import GeneratorConformance, SampleRequest, Task, UserError
from derm_bench.testing.phantoms import phantoms
from derm_bench.testing.runs import RecordedRun
from derm_bench.training.feed import FeedOptions
from derm_bench.training.stage_run import Snapshots

SMALL = {"base": 8, "patch": 2, "steps": 4}


class TestDdpm(GeneratorConformance):
    plugin = "ddpm"


def small(size: int = 16, **options) -> Ddpm:
    torch.manual_seed(0)
    return Ddpm(DdpmOptions(**{**SMALL, **options}), Task(("a", "b"), size))


# -------------------------------------------------------------------------------------- the schedule


def test_alpha_bar_follows_the_cosine_of_equation_17():
    alpha_bar = cosine_alpha_bar(1000)
    start = math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    for t in (1, 250, 500, 900):
        expected = math.cos((t / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2 / start
        assert float(alpha_bar[t]) == pytest.approx(expected, rel=1e-9)
    assert float(alpha_bar[0]) == 1
    assert float(alpha_bar[500]) == pytest.approx(0.493844, abs=1e-6)  # by hand


def test_no_step_adds_more_than_999_parts_in_a_thousand_of_noise():
    beta = 1 - cosine_alpha_bar(1000)[1:] / cosine_alpha_bar(1000)[:-1]
    assert float(beta.max()) == pytest.approx(0.999)
    assert float(beta.min()) > 0


def test_mixing_keeps_the_variance_of_images_of_unit_variance():
    x, eps = torch.randn(2, 4096, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    diffusion = Diffusion(100)
    for t in (1, 30, 70, 100):
        mixed, v = diffusion.mix(x, eps, torch.full((len(x),), t))
        assert float(mixed.var()) == pytest.approx(1, abs=0.02)
        assert float(v.var()) == pytest.approx(1, abs=0.02)


def test_image_and_noise_come_back_from_a_mixture_and_its_v():
    x, eps = torch.randn(2, 8, 3, 4, 4)
    diffusion, t = Diffusion(100), torch.arange(1, 9) * 11
    mixed, v = diffusion.mix(x, eps, t)
    a, s = diffusion.at(t)
    torch.testing.assert_close(a * mixed - s * v, x, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(s * mixed + a * v, eps, atol=1e-5, rtol=1e-4)


def test_an_error_of_the_image_weighs_its_signal_to_noise_ratio_up_to_the_cap():
    """Hang et al. 2023: the loss on x_0 has weight min(SNR, 5). An error d of x_0 is one of d / s in v."""
    diffusion = Diffusion(1000)
    for step in (20, 200, 500, 900):
        t = torch.tensor([step])
        a, s = float(diffusion.signal[step]), float(diffusion.noise[step])
        v = torch.randn(1, 3, 8, 8)
        loss = float(diffusion.loss(v + 0.1 / s, v, t, min_snr=5.0))
        assert loss == pytest.approx(min(a**2 / s**2, 5.0) * 0.1**2, rel=1e-3)


# ------------------------------------------------------------------------------------------ sampling


def test_ddim_finds_the_one_image_that_a_perfect_denoiser_knows():
    image = torch.rand(1, 3, 8, 8) * 2 - 1
    diffusion = Diffusion(1000)

    def knows_one(x, t):
        a, s = diffusion.at(t)
        return a * (x - a * image) / s - s * image

    for steps in (1, 7, 50):
        found = diffusion.ddim(knows_one, torch.randn(4, 3, 8, 8), steps)
        torch.testing.assert_close(found, image.expand(4, -1, -1, -1), atol=1e-3, rtol=0)


def test_ddim_carries_noise_to_the_quantiles_of_normal_data():
    """For x_0 ~ N(m, d^2) the ideal v is known, and the deterministic path ends at m + d z for noise z."""
    mean, deviation, diffusion = 0.1, 0.15, Diffusion(1000)

    def ideal(x, t):
        a, s = diffusion.at(t)
        eps = s * (x - a * mean) / (a**2 * deviation**2 + s**2)
        return (eps - s * x) / a

    z = torch.randn(64, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    found = diffusion.ddim(ideal, z, 200)
    torch.testing.assert_close(found, mean + deviation * z, atol=0.02, rtol=0)


def test_more_steps_than_the_schedule_has_are_all_of_its_steps():
    seen = []

    def nothing(x, t):
        seen.append(int(t[0]))
        return torch.zeros_like(x)

    Diffusion(6).ddim(nothing, torch.zeros(1, 3, 2, 2), 50)
    assert seen == [6, 5, 4, 3, 2, 1]


# -------------------------------------------------------------------------------- classes and guidance


class Known(torch.nn.Module):
    """v is 0.1 for class a, 0.3 for class b and 0.2 without a class."""

    def forward(self, x, t, targets):
        return (0.2 + targets @ torch.tensor([-0.1, 0.1]))[:, None, None, None].expand_as(x)


@pytest.mark.parametrize(("guidance", "v"), [(0.0, 0.3), (1.0, 0.4), (2.5, 0.55)])
def test_guidance_leads_away_from_what_no_class_looks_like(guidance, v):
    made = small(guidance=guidance, steps=1)
    made.denoiser = Known()
    drawn = made.draw(torch.zeros(2, 3, 16, 16), torch.tensor([[0.0, 1.0]] * 2))
    torch.testing.assert_close(drawn, torch.full_like(drawn, -v), atol=1e-3, rtol=0)


def test_a_request_for_any_class_is_not_guided():
    made = small(guidance=5.0, steps=1)
    made.denoiser = Known()
    images = made.sample(SampleRequest(None, 2, 0)).images
    unguided = small(guidance=0.0, steps=1)
    unguided.denoiser = Known()
    assert torch.equal(images, unguided.sample(SampleRequest(None, 2, 0)).images)


def test_a_tenth_of_the_images_lose_their_class_and_the_others_keep_it():
    targets = torch.eye(2).repeat(5000, 1)
    kept = drop_some(targets, 0.1, torch.Generator().manual_seed(0))
    gone = kept.sum(1) == 0
    assert float(gone.float().mean()) == pytest.approx(0.1, abs=0.01)
    assert torch.equal(kept[~gone], targets[~gone])


def test_a_short_fit_learns_the_colours_of_the_classes():
    data = phantoms(classes=3, per_class=32, size=16)
    torch.manual_seed(0)
    options = DdpmOptions(base=16, patch=2, lr=3e-3, ema=0.9, steps=5, guidance=3)
    made = Ddpm(options, Task(data.classes, 16))
    made.fit(data, RecordedRun(seed=0, budget=40, device="cpu", feed=FeedOptions(batch_size=16)))
    drawn = [made.sample(SampleRequest(label, 8, 0)).images.float().mean((0, 2, 3)) for label in (0, 1, 2)]
    assert [int((colour - torch.stack(drawn).mean(0)).argmax()) for colour in drawn] == [0, 1, 2]


# ------------------------------------------------------------------------------------------- the rest


@pytest.mark.parametrize(("size", "patch"), [(8, 2), (16, 1), (64, 2), (96, 4)])
def test_images_have_the_size_asked_for(size, patch):
    made = small(size, patch=patch, steps=1)
    assert made.sample(SampleRequest(label=1, n=2, seed=0)).images.shape == (2, 3, size, size)


def test_a_size_that_cannot_be_halved_is_refused_with_sizes_that_can():
    with pytest.raises(UserError, match="side 34 down to 8 pixels") as refused:
        small(34, patch=1)
    assert "32, 64 or 128" in str(refused.value.hint)


def test_attention_is_at_16_and_8_pixels_only():
    net = UNet(base=8, blocks=1, patch=1, size=64, classes=2)
    sides = set()
    for name, module in net.named_modules():
        if name.endswith("norm") and "attention" in name:
            module.register_forward_hook(lambda _m, _i, out: sides.add(out.shape[-1]))
    net(torch.zeros(1, 3, 64, 64), torch.tensor([5]), torch.zeros(1, 2))
    assert sides == {8, 16}


def test_at_its_defaults_the_denoiser_is_a_small_one():
    options = DdpmOptions()
    net = UNet(options.base, options.blocks, options.patch, 64, 3)
    assert 2e6 < sum(p.numel() for p in net.parameters()) < 6e6


def test_what_is_kept_and_sampled_from_is_the_average():
    data = phantoms(classes=2, size=16)
    torch.manual_seed(0)
    made = Ddpm(DdpmOptions(**SMALL, batch_size=8), Task(data.classes, 16))
    first = made.denoiser.enter[1].weight.detach().clone()
    kept = {}
    run = RecordedRun(
        seed=0,
        budget=6,
        device="cpu",
        feed=FeedOptions(batch_size=8),
        snapshots=Snapshots(every=6, save=lambda step, state: kept.update({step: state})),
    )
    made.fit(data, run)
    averaged = made.denoiser.enter[1].weight
    assert not averaged.requires_grad and not torch.equal(averaged, first)
    assert torch.equal(kept[6]["denoiser.enter.1.weight"], averaged)
    assert made.state().keys() == kept[6].keys()


def test_a_fitted_model_can_be_fitted_further():
    data = phantoms(classes=2, size=16)
    made = Ddpm(DdpmOptions(**SMALL, batch_size=8), Task(data.classes, 16))
    for _ in range(2):
        before = made.state()
        made.fit(data, RecordedRun(seed=0, budget=2, device="cpu", feed=FeedOptions(batch_size=8)))
        assert any(not torch.equal(before[name], value) for name, value in made.state().items())
