"""tedgan: Student-t noise, the VAE and its share of the budget, latents remembered by class, and two GANs."""

import numpy as np
import pytest
import torch
from scipy import stats
from tests.generators.test_conditional import CLASSES, dark_and_bright

from derm_bench.specs import SampleRequest, Task
from derm_bench.training.feed import FeedOptions
from derm_bench.training.losses import gaussian_kl
from derm_bench.training.seeding import stream
from derm_bench.training.stage_run import Snapshots, StageRun, seed_everything
from derm_bench_plugins.generators.specs.tedgan import TedganOptions
from derm_bench_plugins.generators.tedgan import Latents, TedGan, draw, student_t


def tiny(**options):
    seed_everything(0)
    return TedGan(TedganOptions(base=4, z_dim=5, batch_size=8, **options), Task(CLASSES, 16))


def fitted(budget=8, **options):
    gan, states = tiny(**options), {}
    run = StageRun(
        seed=0,
        budget=budget,
        feed=FeedOptions(batch_size=8),
        snapshots=Snapshots(
            every=1 if budget < 20 else budget, save=lambda step, state: states.update({step: state})
        ),
    )
    gan.fit(dark_and_bright(), run)
    return gan, run, states


@pytest.mark.parametrize("nu", [3, 5])
def test_noise_has_the_quantiles_of_student_t_over_its_deviation(nu):
    t = student_t(4000, 100, nu, stream(0, "t")).flatten().double().numpy()
    shares = np.array([0.001, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 0.999])
    expected = stats.t.ppf(shares, nu) / stats.t.std(nu)
    assert np.quantile(t, shares) == pytest.approx(expected, rel=0.03, abs=0.005)


def test_noise_has_unit_variance_and_heavy_tails():
    t = student_t(4000, 100, 10, stream(0, "t")).flatten().double().numpy()
    assert t.var() == pytest.approx(1, rel=0.02)
    assert stats.kurtosis(t) == pytest.approx(6 / (10 - 4), rel=0.15)
    heavy = student_t(4000, 100, 3, stream(0, "t"))
    beyond = (heavy.abs() > 4).double().mean().item()
    assert beyond == pytest.approx(2 * stats.t.sf(4 * 3**0.5, 3), rel=0.1)
    assert beyond > 90 * 2 * stats.norm.sf(4)


def test_the_kl_is_that_of_torch():
    mean, log_variance = torch.randn(6, 5), torch.randn(6, 5)
    normal = torch.distributions.Normal
    exact = torch.distributions.kl_divergence(normal(mean, (log_variance / 2).exp()), normal(0, 1))
    assert gaussian_kl(mean, log_variance).item() == pytest.approx(exact.sum(dim=1).mean().item(), rel=1e-5)
    assert gaussian_kl(torch.zeros(2, 5), torch.zeros(2, 5)).item() == 0


def test_latents_are_drawn_with_the_mean_and_deviation_of_the_encoder():
    mean, variance = torch.tensor([1.0, -2.0]).repeat(20_000, 1), torch.tensor([0.25, 9.0])
    z = draw(mean, variance.log().expand_as(mean), stream(0, "z"))
    assert z.mean(dim=0).tolist() == pytest.approx([1, -2], abs=0.06)
    assert z.var(dim=0).tolist() == pytest.approx([0.25, 9], rel=0.03)


def test_latents_of_a_class_come_back_with_its_mean_and_covariance():
    latents, draws = Latents(3, 2), torch.Generator().manual_seed(0)
    mixing, centre = torch.tensor([[2.0, 0.0], [1.5, 0.5]]), torch.tensor([5.0, -1.0])
    own = torch.randn(4000, 2, generator=draws) @ mixing.T + centre
    rows = torch.cat([own, torch.randn(4000, 2, generator=draws)])
    targets = torch.eye(3)[torch.arange(8000) // 4000]
    for half in (slice(0, None, 2), slice(1, None, 2)):
        latents.add(rows[half], targets[half])
    like = latents.sample(torch.randn(20_000, 2, generator=draws), 0)
    assert like.mean(dim=0).tolist() == pytest.approx(own.mean(dim=0).tolist(), abs=0.06)
    assert torch.allclose(like.T.cov(), own.T.cov(), rtol=0.05)
    gaussian = torch.randn(4, 2)
    assert torch.equal(latents.sample(gaussian, 2), gaussian)


def test_the_vae_has_its_share_of_the_budget_and_then_stays_as_it_is():
    _, run, states = fitted(budget=9, vae_share=0.5)
    steps = {
        metric: sorted(row.step for row in run.history() if row.metric == metric)
        for metric in ("loss_vae", "loss_d", "loss_d_latents")
    }
    assert steps == {"loss_vae": [1, 2, 3, 4], "loss_d": [5, 6, 7, 8, 9], "loss_d_latents": [5, 6, 7, 8, 9]}
    before, after, end = states[3], states[4], states[9]

    def moved(one, other):
        return {key.split(".")[0] for key in one if not torch.equal(one[key], other[key])}

    assert moved(before, after) == {"vae"}
    assert moved(after, end) == {
        "latents",
        "generator",
        "discriminator",
        "generator_latents",
        "discriminator_latents",
    }
    assert end["latents.count"].sum() == 5 * 8


def test_without_its_share_the_vae_is_not_trained():
    _, run, _ = fitted(budget=2, vae_share=0)
    assert "loss_vae" not in {row.metric for row in run.history()}


def test_the_vae_learns_to_remake_images():
    _, run, _ = fitted(budget=60, vae_share=0.99, lr=2e-3)
    loss = [row.value for row in run.history() if row.metric == "loss_vae"]
    assert loss[-1] < loss[0] / 2


def test_samples_come_from_both_gans_by_the_stated_share():
    gan, _, _ = fitted()
    z, asked = gan.prior(400, stream(0, "z")), SampleRequest(1, 50, 3)
    gan.sample(asked)  # sets eval mode
    with torch.no_grad():
        images = gan.render(z, 1)
    one = gan.gan_latents.render(gan.latents.sample(z[:, :5], 1), 1)
    other = gan.gan_noise.render(z[:, 5:10], 1)
    from_one = (images - one).abs().amax(dim=(1, 2, 3)) < 1e-5
    from_other = (images - other).abs().amax(dim=(1, 2, 3)) < 1e-5
    assert torch.equal(from_one, ~from_other) and 160 < from_one.sum() < 240
    for share, expected in ((0.0, other), (1.0, one)):
        alone = tiny(latent_share=share)
        alone.load_state(gan.state())
        alone.sample(asked)
        assert torch.allclose(alone.render(z, 1), expected, atol=1e-5)
