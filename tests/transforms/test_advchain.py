"""advchain: adversarial beats random of the same size, bounds hold, and the model is left as it was."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from derm_bench.images import ImageSet
from derm_bench.run import Batch
from derm_bench.specs import ClassifierOptions, Task, create
from derm_bench.training.classification import fit_classifier
from derm_bench.training.feed import FeedOptions
from derm_bench.training.selection import Selection
from derm_bench.training.stage_run import StageRun, seed_everything
from derm_bench_plugins.transforms import specs
from derm_bench_plugins.transforms.advchain import integrated, spline_basis

SPEC = next(spec for spec in specs() if spec.name == "advchain")
SIZE = 32


def make(size=SIZE, **options):
    return create(SPEC, SPEC.options(**options), Task(("dark", "bright"), size))


def photos(n, seed=0):
    """uint8 [n,3,SIZE,SIZE]: a spot on skin, and which of two sizes it has."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 2
    axis = torch.linspace(-1, 1, SIZE)
    centre = torch.rand(n, 2, 1, 1, generator=generator) * 0.8 - 0.4
    distance = ((axis[:, None] - centre[:, :1]) ** 2 + (axis - centre[:, 1:]) ** 2).sqrt()
    spot = (distance < (0.3 + 0.25 * labels).view(-1, 1, 1, 1)).float()
    values = 0.7 - 0.4 * spot + 0.05 * torch.randn(n, 3, SIZE, SIZE, generator=generator)
    names = tuple(map(str, range(n)))
    return ImageSet((values * 255).clamp(0, 255).byte(), labels, ("small", "large"), names, names)


def network():
    seed_everything(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2), nn.BatchNorm2d(16), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2),
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained():
    net, train = network(), photos(64)
    run = StageRun(seed=0, budget=60, selection=Selection(mode="last"))
    fit_classifier(net, train, photos(8, 1), run, ClassifierOptions(lr=0.02, batch_size=16, select="last"))
    return net


@pytest.fixture(scope="module")
def pixels():
    return photos(48, 2).images.float() / 255


def divergences(advchain, net, pixels, order):
    """KL under random parameters, the noise at its full norm, and under adversarial ones."""
    torch.manual_seed(1)
    clean = net((pixels - 0.5) / 0.5).detach()
    start = advchain.random(pixels)
    climbed = advchain.adversarial(net, pixels, clean, start, order)
    if "noise" in start:
        start["noise"] = start["noise"] / advchain.options.xi * advchain.options.noise
    with torch.no_grad():
        values = [
            advchain.divergence(net, pixels, clean, chosen, order).item() for chosen in (start, climbed)
        ]
    return values, climbed


@pytest.mark.parametrize("link", ["noise", "bias", "morph", "affine"])
def test_the_adversarial_link_moves_predictions_more_than_a_random_one(trained, pixels, link):
    advchain = make(chain=(link,), xi=1e-3)
    (random, adversarial), _ = divergences(advchain, trained.eval(), pixels, torch.tensor([0]))
    assert adversarial > 1.3 * random


def test_the_whole_chain_climbs_in_any_order(trained, pixels):
    for order in ([0, 1, 2, 3], [3, 1, 0, 2]):
        (random, adversarial), _ = divergences(make(), trained.eval(), pixels, torch.tensor(order))
        assert adversarial > 1.3 * random


def test_bounds_hold(trained, pixels):
    advchain = make(noise=0.5, bias=0.3, morph=2.0, step=50.0)
    _, climbed = divergences(advchain, trained.eval(), pixels, torch.arange(4))
    norms = climbed["noise"].flatten(1).norm(dim=1)
    torch.testing.assert_close(norms, torch.full_like(norms, 0.5))
    factor = advchain.illumination(climbed)
    assert 1 / 1.3 - 1e-5 <= factor.min() < 0.85 and 1.15 < factor.max() <= 1.3 + 1e-5
    moved = advchain.displacements(climbed)["morph"].norm(dim=3) * SIZE / 2  # the side is 2 long
    assert 0.3 < moved.max() <= 2.0 * SIZE / 64 + 1e-4
    assert climbed["affine"].abs().max() == 1, "at such a step some parameter is at its bound"


def test_links_apply_in_the_order_that_was_drawn():
    """Noise then light is (x + n) f, light then noise x f + n; a shift commutes with neither."""
    advchain = make(chain=("noise", "bias", "affine"))
    pixels = photos(2, 3).images.float() / 255
    torch.manual_seed(0)
    parameters = advchain.random(pixels)
    parameters["noise"] = 0.02 * torch.randn_like(pixels)
    factor, noise = advchain.illumination(parameters), parameters["noise"]
    grid = advchain._affine(parameters["affine"])

    def shifted(images):
        return F.grid_sample(images, grid, padding_mode="reflection", align_corners=False)

    expected = {
        (0, 1, 2): shifted((pixels + noise) * factor),
        (1, 0, 2): shifted(pixels * factor + noise),
        (2, 1, 0): shifted(pixels) * factor + noise,
    }
    for order, right in expected.items():
        out = advchain.apply(pixels, parameters, torch.tensor(order))
        torch.testing.assert_close(out, right.clamp(0, 1), atol=1e-5, rtol=0)


def test_the_loss_is_the_mean_divergence_and_reaches_the_model(trained, pixels):
    advchain = make(chain=("bias",), weight=2.5)
    net = trained.eval()
    torch.manual_seed(3)
    loss = advchain(net, Batch((pixels - 0.5) / 0.5, torch.zeros(48, 2), torch.ones(48)))
    gradients = torch.autograd.grad(loss, list(net.parameters()))
    assert all(gradient.abs().max() > 0 for gradient in gradients)
    torch.manual_seed(3)
    torch.rand(1)  # the order
    clean = net((pixels - 0.5) / 0.5).detach()
    found = advchain.adversarial(net, pixels, clean, advchain.random(pixels), torch.tensor([0]))
    changed = (pixels * advchain.illumination(found)).clamp(0, 1)
    p, q = clean.softmax(1), net((changed - 0.5) / 0.5).softmax(1)
    torch.testing.assert_close(loss, 2.5 * (p * (p / q).log()).sum(1).mean(), rtol=1e-3, atol=1e-7)


def test_the_model_is_left_as_it_was_in_train_mode_too(trained, pixels):
    net = trained.train()
    net.zero_grad(set_to_none=True)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    make()(net, Batch((pixels - 0.5) / 0.5, torch.zeros(48, 2), torch.ones(48)))
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in net.parameters())
    assert all(m.training and m.track_running_stats for m in net.modules() if isinstance(m, nn.BatchNorm2d))


def test_normalisation_does_not_change_what_is_done_to_pixels(trained, pixels):
    """The run tells it mean and std; a net that undoes them sees the same changed images."""

    class Undo(nn.Module):
        def __init__(self, mean, std):
            super().__init__()
            self.mean, self.std = mean, std

        def forward(self, images):
            return trained((images * self.std + self.mean - 0.5) / 0.5)

    trained.eval()
    losses = []
    for mean, std in ((0.5, 0.5), (0.4, 0.2)):
        advchain = make()
        StageRun(
            seed=0, budget=1, regularisers=[advchain], feed=FeedOptions(mean=(mean,) * 3, std=(std,) * 3)
        )
        torch.manual_seed(5)
        batch = Batch((pixels - mean) / std, torch.zeros(48, 2), torch.ones(48))
        losses.append(advchain(Undo(mean, std), batch).item())
    assert losses[1] == pytest.approx(losses[0], rel=1e-2)


def test_it_trains_under_the_engine_and_makes_predictions_steadier():
    """Mean divergence under random chains, of a net trained with it and of one trained without."""
    train, shown = photos(64), photos(48, 2).images.float() / 255
    left = {}
    for name, regularisers in (("with", [make(weight=3.0)]), ("without", [])):
        net = network()
        run = StageRun(seed=0, budget=50, regularisers=regularisers, selection=Selection(mode="last"))
        fit_classifier(
            net, train, photos(8, 1), run, ClassifierOptions(lr=0.02, batch_size=16, select="last")
        )
        left[name] = divergences(make(), net.eval(), shown, torch.arange(4))[0][1]
    assert left["with"] < 0.5 * left["without"]


def test_splines_keep_constants_lines_and_bounds():
    basis = spline_basis(40, 3)
    torch.testing.assert_close(basis.sum(dim=1), torch.ones(40))
    assert basis.min() >= 0
    torch.testing.assert_close(basis @ torch.arange(6).float(), 1 + (torch.arange(40) + 0.5) / 40 * 3)


def test_velocities_are_integrated():
    """Along v(x) = a x a point is carried from x to x e^a."""
    advchain, a = make(64, chain=("morph",)), 0.2
    velocity = a * advchain.centre.permute(0, 3, 1, 2)
    moved = integrated(velocity, advchain.centre)[..., 12:-12, 12:-12]
    expected = (torch.tensor(a).exp() - 1) * advchain.centre.permute(0, 3, 1, 2)[..., 12:-12, 12:-12]
    torch.testing.assert_close(moved, expected, atol=2e-3, rtol=0)


@pytest.mark.gpu
def test_it_is_recorded_with_the_step():
    from derm_bench.training.capture import CapturedStep

    net = network().cuda()
    advchain = create(SPEC, SPEC.options(), Task(("a", "b"), SIZE, "cuda"))
    optimizer = torch.optim.SGD(net.parameters(), 0.01)

    def step(batch):
        loss = advchain(net, batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        return {"loss": loss.detach()}

    images = (photos(16).images.float() / 255 - 0.5).cuda() / 0.5
    batch = Batch(images, torch.zeros(16, 2).cuda(), torch.ones(16).cuda())
    captured = CapturedStep(step, "cuda")
    losses = [captured(batch, {})["loss"].item() for _ in range(8)]
    assert captured.reason == ""
    assert len(set(losses[4:])) == 4, "each replay draws anew"
