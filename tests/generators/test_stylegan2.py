"""stylegan2: demodulation, penalties against finite differences, lazy Adam, widths of the papers, resuming."""

import math
from itertools import pairwise

import pytest
import torch
from tests.interrupted import Interrupted, Killed

from derm_bench.images import ImageSet
from derm_bench.plugins import Plugins
from derm_bench.specs import SampleRequest, Task
from derm_bench.training.ema import HalfLifeEma
from derm_bench.training.feed import FeedOptions
from derm_bench.training.losses import r1_penalty
from derm_bench.training.stage_run import Checkpointing, StageRun, seed_everything
from derm_bench_plugins.generators.specs.stylegan2 import PRESETS, Stylegan2AdaOptions, Stylegan2Options
from derm_bench_plugins.generators.stylegan2 import PathLength, Stylegan2, lazy, mixed
from derm_bench_plugins.generators.stylegan2_nets import (
    Discriminator,
    Generator,
    Mapping,
    Modulated,
    widths,
)

TINY = {k: v for k, v in PRESETS["tiny"].items() if k != "budget"}


def train_set(n=8, size=16, classes=("mel",)):
    names = tuple(map(str, range(n)))
    images = torch.randint(0, 256, (n, 3, size, size), generator=torch.Generator().manual_seed(0)).byte()
    return ImageSet(images, torch.arange(n) % len(classes), classes, names, names)


def tiny(seed=0, size=16, classes=("mel",), options=Stylegan2Options, **others):
    seed_everything(seed)
    return Stylegan2(options(**(TINY | others)), Task(classes, size))


# ---------------------------------------------------------------------------------------- networks


def test_channels_are_those_of_the_authors_configurations():
    assert widths(256, 16384, 512) == [512, 512, 512, 512, 256, 128, 64]
    assert widths(1024, 32768, 512) == [512, 512, 512, 512, 512, 256, 128, 64, 32]
    assert widths(64, 2048, 64) == [64, 64, 64, 64, 32]


def _parameters(channels, z, w, layers):
    """The parameters of G and D by hand, from the layers of the paper."""
    dense = lambda a, b: a * b + b  # noqa: E731
    g = dense(z, w) + (layers - 1) * dense(w, w) + channels[0] * 16
    styled = lambda a, b: dense(w, a) + 9 * a * b + b + 1  # noqa: E731
    rgb = lambda a: dense(w, a) + 3 * a + 3  # noqa: E731
    g += styled(channels[0], channels[0]) + rgb(channels[0])
    d = dense(3, channels[-1]) + 9 * (channels[0] + 1) * channels[0] + channels[0]
    d += dense(16 * channels[0], channels[0]) + dense(channels[0], 1)
    for below, width in pairwise(channels):
        g += styled(below, width) + styled(width, width) + rgb(width)
        d += 9 * width * width + width + 9 * width * below + below + width * below
    return g, d


@pytest.mark.parametrize(
    ("preset", "size"), [("auto", 64), ("auto", 256), ("paper256", 256), ("config-f", 1024)]
)
def test_numbers_of_parameters_are_those_derived_by_hand(preset, size):
    options = Stylegan2Options(**PRESETS[preset])
    with torch.device("meta"):
        gan = Stylegan2(options, Task(("mel",), size, device="meta"))
    found = [sum(p.numel() for p in net.parameters()) for net in (gan.generator, gan.discriminator)]
    channels = widths(size, options.base, options.widest)
    assert found == list(_parameters(channels, 512, 512, options.mapping_layers))
    if (preset, size) == ("config-f", 1024):  # 30 and 29 million in the authors' table
        assert [round(n / 1e6) for n in found] == [30, 29]


def test_demodulated_features_have_unit_variance_whatever_the_style():
    torch.manual_seed(0)
    layer = Modulated(32, 64, 3, 8)
    x = torch.randn(16, 32, 16, 16)
    for strength in (0.1, 30.0):
        out = layer(x, strength * torch.randn(16, 8))[..., 1:-1, 1:-1]
        assert float(out.detach().var(dim=(0, 2, 3)).mean()) == pytest.approx(1.0, abs=0.05)


def test_scaling_activations_equals_scaling_the_weights_of_each_image():
    torch.manual_seed(0)
    layer = Modulated(6, 5, 3, 4).double()
    x, w = torch.randn(3, 6, 8, 8).double(), torch.randn(3, 4).double()
    out = layer(x, w)
    for k in range(3):
        weight = layer.weight * layer.affine(w)[k][None, :, None, None]
        weight = weight / weight.square().sum((1, 2, 3), keepdim=True).sqrt()
        plain = torch.nn.functional.conv2d(x[k : k + 1], weight, padding=1)
        assert torch.allclose(out[k : k + 1], plain, atol=1e-5)


def test_w_tracks_its_mean_and_truncation_draws_to_it():
    torch.manual_seed(0)
    g = Generator([8, 8], z_dim=8, w_dim=8, layers=2)
    w = g.mapping(torch.randn(4, 8), None)
    g.mapping.track(w)
    assert torch.allclose(g.mapping.average, 0.005 * w.mean(0))
    a, b = torch.randn(2, 8), torch.randn(2, 8)
    assert torch.allclose(g(a, truncation=0.0), g(b, truncation=0.0))
    assert not torch.allclose(g(a), g(b))


def test_the_class_reaches_both_networks():
    gan = tiny(classes=("mel", "nv"))
    z, (one, other) = torch.randn(2, 8), torch.eye(2)[:, None].expand(-1, 2, -1)
    assert not torch.allclose(gan.generator(z, one), gan.generator(z, other))
    images = torch.rand(2, 3, 16, 16)
    assert not torch.allclose(gan.discriminator(images, one), gan.discriminator(images, other))
    with pytest.raises(ValueError, match="needs the classes"):
        gan.generator(z)


@pytest.mark.parametrize(("noise", "layers"), [("all", 5), ("half", 3), ("none", 0)])
def test_noise_is_added_where_the_option_says(noise, layers):
    strengths = [name for name, _ in tiny(noise=noise).trained.named_parameters() if "strength" in name]
    assert len(strengths) == layers


# ---------------------------------------------------------------------------------------- training


def test_r1_agrees_with_finite_differences():
    torch.manual_seed(0)
    d = Discriminator([4, 4]).double()
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    penalty = float(r1_penalty(d(x), x).detach())
    steps = torch.eye(x[0].numel(), dtype=torch.float64).view(-1, *x[0].shape) * 1e-5
    with torch.no_grad():
        base = x.detach()
        slopes = torch.stack(
            [
                (d(torch.stack([base[0] + h, base[1]])) - d(torch.stack([base[0] - h, base[1]]))).sum()
                for h in steps
            ]
        )
        both = torch.stack(
            [
                (d(torch.stack([base[0], base[1] + h])) - d(torch.stack([base[0], base[1] - h]))).sum()
                for h in steps
            ]
        )
    by_hand = float(((slopes / 2e-5).square().sum() + (both / 2e-5).square().sum()) / 2)
    assert penalty == pytest.approx(by_hand, rel=1e-4)


def test_path_lengths_agree_with_finite_differences():
    torch.manual_seed(0)
    g = Generator([4, 4], z_dim=4, w_dim=4, layers=1).double()
    ws = torch.randn(1, g.synthesis.count, 4, dtype=torch.float64, requires_grad=True)
    lengths = PathLength("cpu")
    lengths.mean = lengths.mean.double()
    draws = torch.Generator().manual_seed(3)
    penalty = float(lengths.penalty(g.synthesis(ws), ws, draws).detach())
    y = torch.randn(1, 3, 8, 8, generator=torch.Generator().manual_seed(3)).double() / 8
    slope = torch.zeros(ws.numel(), dtype=torch.float64)
    with torch.no_grad():
        for k in range(ws.numel()):
            h = torch.zeros(ws.numel(), dtype=torch.float64)
            h[k] = 1e-5
            h = h.view_as(ws)
            slope[k] = ((g.synthesis(ws + h) - g.synthesis(ws - h)) * y).sum() / 2e-5
    length = slope.view(g.synthesis.count, 4).square().sum(1).mean().sqrt()
    assert float(lengths.mean) == pytest.approx(0.01 * float(length), rel=1e-4)
    assert penalty == pytest.approx(float((length - 0.01 * length) ** 2), rel=1e-4)


def test_adam_is_slowed_by_what_the_penalties_add():
    lr, betas = lazy(0.0025, (0.0, 0.99), 16)
    assert lr == pytest.approx(0.0025 * 16 / 17) and betas == (0.0, pytest.approx(0.99 ** (16 / 17)))
    assert lazy(0.0025, (0.0, 0.99), 0) == (0.0025, (0.0, 0.99))


def test_mixing_takes_the_later_layers_of_another_image():
    ws, others = torch.zeros(3, 6, 2), torch.ones(3, 6, 2)
    draws = torch.Generator().manual_seed(0)
    assert torch.equal(mixed(ws, others, 0.0, draws), ws)
    for _ in range(20):
        layers = mixed(ws, others, 1.0, draws)[0, :, 0].tolist()
        assert layers == sorted(layers) and layers[0] == 0 and layers[-1] == 1


def test_the_average_forgets_a_half_in_its_half_life():
    net = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(net.weight)
    average = HalfLifeEma(net, 10)
    torch.nn.init.zeros_(net.weight)
    for _ in range(10):
        average.update()
    assert float(average.net.weight) == pytest.approx(0.5, rel=1e-5)
    torch.nn.init.ones_(net.weight)
    ramped = HalfLifeEma(net, 1000, ramp=0.05)
    torch.nn.init.zeros_(net.weight)
    for _ in range(100):
        ramped.update()
    weights = math.prod(0.5 ** (1 / min(0.05 * t, 1000)) for t in range(1, 101))
    assert float(ramped.net.weight) == pytest.approx(weights, rel=1e-4, abs=1e-12)


def test_gamma_is_the_authors_rule_unless_it_is_set():
    assert tiny(size=64, batch_size=32).gamma == pytest.approx(0.0256)
    assert tiny(gamma=10.0).gamma == 10.0


def test_penalties_are_updates_of_their_own_at_their_intervals():
    logs = []

    class Logged(StageRun):
        def log(self, step, **values):
            logs.append(set(values))
            super().log(step, **values)

    gan = tiny(r1_every=3, path_every=2)
    gan.fit(train_set(), Logged(seed=0, budget=4, device="cpu", precision="fp32"))
    assert [("r1" in one, "path" in one) for one in logs] == [
        (True, True),
        (False, False),
        (False, True),
        (True, False),
    ]


def test_losses_and_penalties_of_bf16_are_those_of_float32_within_stated_bounds():
    """Over the first ten updates of networks of 16 to 32 channels, penalties included: losses differ by at most
    5% (of 1 where they are smaller), and penalties, which are squares of gradients, by at most 20%."""
    found = {}

    class Logged(StageRun):
        def log(self, step, **values):
            found.setdefault(self.precision, []).append({k: float(v) for k, v in values.items()})
            super().log(step, **values)

    for precision in ("fp32", "bf16"):
        gan = tiny(base=256, widest=32, z_dim=16, w_dim=16, r1_every=3, path_every=2)
        gan.fit(train_set(16), Logged(seed=0, budget=10, device="cpu", precision=precision))
    for exact, rounded in zip(found["fp32"], found["bf16"], strict=True):
        for name in ("loss_g", "loss_d"):
            assert rounded[name] == pytest.approx(exact[name], rel=0.05, abs=0.05), name
        for name in exact.keys() & {"r1", "path"}:
            assert rounded[name] == pytest.approx(exact[name], rel=0.2), name


def fitted(folder, die_at=None):
    gan = tiny(options=Stylegan2AdaOptions, ada_kimg=0.1, ada_every=2, ada_target=-1.0)
    run = Interrupted(
        die_at=die_at,
        seed=0,
        budget=6,
        feed=FeedOptions(batch_size=4),
        checkpointing=Checkpointing(folder=folder, seconds=0),
    )
    gan.fit(train_set(), run)
    return gan.state(), run.history()


def test_a_resumed_fit_ends_as_an_uninterrupted_one_with_p_of_ada(tmp_path):
    whole, curves = fitted(tmp_path / "whole")
    assert any(row.metric == "ada_p" and row.value > 0 for row in curves)
    with pytest.raises(Killed):
        fitted(tmp_path / "parts", die_at=3)
    resumed, again = fitted(tmp_path / "parts")
    assert curves == again
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


def test_samples_are_images_of_their_own_z_and_class():
    gan = tiny(classes=("mel", "nv"))
    few = gan.sample(SampleRequest(1, 3, 0)).images
    assert few.shape == (3, 3, 16, 16) and few.dtype == torch.uint8
    assert not torch.equal(few, gan.sample(SampleRequest(0, 3, 0)).images)


def test_both_specs_are_registered_and_fit_a_class_each_by_default():
    plugins = Plugins(builtins_only=True)
    for name, ada in (("stylegan2", False), ("stylegan2-ada", True)):
        options = plugins.get("generator", name).options()
        assert options.ada is ada and options.scope == "per_class"


def test_a_map_needs_neither_z_nor_class():
    assert Mapping(0, 2, 4, 1)(None, torch.eye(2)).shape == (2, 4)


@pytest.mark.parametrize(("name", "noise"), [("stylegan2-ada", "none"), ("sl-stylegan", "half")])
def test_short_fits_have_no_noise_but_where_noise_is_the_point(name, noise):
    spec = Plugins().get("generator", name)
    assert spec.options.model_validate(spec.presets["small"]).noise == noise
