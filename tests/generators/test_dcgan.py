"""dcgan: the paper's layers, its prior and initialisation, and fits that repeat under a seed."""

import pytest
import torch
from tests.interrupted import Interrupted, Killed
from torch import nn

from derm_bench.errors import UserError
from derm_bench.images import ImageSet
from derm_bench.specs import GeneratorSpec, SampleRequest, Task, create
from derm_bench.training.seeding import stream
from derm_bench.training.stage_run import Checkpointing, Snapshots, StageRun, seed_everything
from derm_bench_plugins.generators import specs
from derm_bench_plugins.generators.dcgan import Dcgan
from derm_bench_plugins.generators.specs.dcgan import DcganOptions

TINY = DcganOptions(base=4, z_dim=8, batch_size=8)


def tiny(seed=0, size=16, options=TINY):
    seed_everything(seed)
    return Dcgan(options, Task(("mel",), size))


def train_set(n=20, size=16):
    names = tuple(map(str, range(n)))
    images = torch.randint(0, 256, (n, 3, size, size), generator=torch.Generator().manual_seed(0)).byte()
    return ImageSet(images, torch.zeros(n, dtype=torch.int64), ("mel",), names, names)


def fitted(seed=0, **options):
    gan = tiny(seed)
    run = StageRun(seed=seed, budget=5, **options)
    gan.fit(train_set(), run)
    return gan, run


def shapes(net, x):
    """Output shapes [C,H,W] of the convolutions in the order they run."""
    seen = []
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            module.register_forward_hook(lambda m, i, out: seen.append(tuple(out.shape[1:])))
    net(*x) if isinstance(x, tuple) else net(x)
    return seen


@torch.no_grad()
def test_layers_are_those_of_radford_at_the_default_width():
    with torch.device("meta"):
        gan = Dcgan(DcganOptions(), Task(("mel",), 64, device="meta"))
        g = shapes(gan.generator, torch.empty(2, 100))
        d = shapes(gan.discriminator, torch.empty(2, 3, 64, 64))
    assert g == [(1024, 4, 4), (512, 8, 8), (256, 16, 16), (128, 32, 32), (3, 64, 64)]
    assert d == [(128, 32, 32), (256, 16, 16), (512, 8, 8), (1024, 4, 4)]
    convolutions = 100 * 1024 * 16 + 16 * (1024 * 512 + 512 * 256 + 256 * 128 + 128 * 3)
    norms = 2 * (1024 + 512 + 256 + 128)
    assert sum(p.numel() for p in gan.generator.parameters()) == convolutions + norms + 3
    convolutions = 16 * (3 * 128 + 128 * 256 + 256 * 512 + 512 * 1024)
    norms = 2 * (256 + 512 + 1024)
    logit = 1024 * 4 * 4 + 1
    assert sum(p.numel() for p in gan.discriminator.parameters()) == convolutions + 128 + norms + logit


@pytest.mark.parametrize("size", [8, 32, 128])
@pytest.mark.parametrize("head", ["flatten", "gap"])
def test_other_sizes_and_heads_fit_together(size, head):
    gan = tiny(size=size, options=DcganOptions(base=2, z_dim=4, head=head))
    images = gan.generator(torch.randn(3, 4))
    assert images.shape == (3, 3, size, size) and gan.discriminator(images).shape == (3,)


def test_a_side_that_is_no_power_of_two_is_refused():
    with pytest.raises(UserError, match="power of two, not 48"):
        tiny(size=48)


def test_the_default_prior_is_uniform_and_the_other_normal():
    z = tiny().prior(5000, stream(0, "z"))
    assert z.shape == (5000, 8) and -1 <= z.min() < -0.99 and 0.99 < z.max() <= 1
    assert z.var().item() == pytest.approx(1 / 3, rel=0.03)
    normal = tiny(options=DcganOptions(base=4, z_dim=8, prior="normal")).prior(5000, stream(0, "z"))
    assert normal.var().item() == pytest.approx(1, rel=0.03) and normal.max() > 3


def test_weights_start_at_a_deviation_of_two_hundredths():
    gan = tiny(options=DcganOptions(base=16))
    for net in gan.parts().values():
        for name, module in net.named_modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                assert module.weight.std().item() == pytest.approx(0.02, rel=0.15), name
            if isinstance(module, nn.BatchNorm2d):
                assert module.weight.mean().item() == pytest.approx(1, abs=0.02) and (module.bias == 0).all()


def test_a_fit_repeats_under_its_seed_and_differs_under_another():
    one, again, other = (fitted(seed)[0].state() for seed in (1, 1, 2))
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not torch.equal(one["generator.to_rgb.weight"], other["generator.to_rgb.weight"])


def test_both_networks_learn_and_the_curves_say_how():
    before = tiny().state()
    gan, run = fitted()
    for key in ("generator.project.0.weight", "discriminator.from_rgb.0.weight"):
        assert not torch.equal(before[key], gan.state()[key])
    assert {row.metric for row in run.history()} == {"loss_d", "loss_g", "d_real", "d_fake"}
    assert all(p.requires_grad for p in gan.discriminator.parameters())


def test_bf16_trains_too():
    _, run = fitted(precision="bf16")
    assert len(run.history()) == 20


def test_samples_are_bytes_that_depend_on_the_request_alone():
    gan, _ = fitted()
    first = gan.sample(SampleRequest(0, 10, 3)).images
    gan.sample(SampleRequest(0, 4, 9))
    assert first.shape == (10, 3, 16, 16) and first.dtype == torch.uint8
    assert torch.equal(first, gan.sample(SampleRequest(0, 10, 3)).images)
    assert not torch.equal(first, gan.sample(SampleRequest(0, 10, 4)).images)
    assert not torch.equal(first[0], first[1])


def test_a_restored_state_draws_the_same_samples():
    gan, _ = fitted()
    restored = tiny(seed=9)
    restored.load_state(gan.state())
    request = SampleRequest(0, 4, 1)
    assert torch.equal(gan.sample(request).images, restored.sample(request).images)


def test_snapshots_are_whole_states():
    kept = {}
    gan, _ = fitted(snapshots=Snapshots(2, lambda step, state: kept.update({step: state})))
    assert list(kept) == [2, 4] and kept[4].keys() == gan.state().keys()
    assert not torch.equal(kept[2]["generator.to_rgb.weight"], kept[4]["generator.to_rgb.weight"])


@pytest.mark.parametrize("preset", ["tiny", "smoke"])
def test_presets_are_valid_and_its_spec_creates_it(preset):
    (spec,) = [spec for spec in specs() if spec.name == "dcgan"]
    assert isinstance(spec, GeneratorSpec) and not spec.conditional
    options = spec.options(**spec.presets[preset])
    assert isinstance(create(spec, options, Task(("mel",), 16)), Dcgan)


@pytest.mark.parametrize("die_at", [1, 4, 7])
def test_an_interrupted_fit_ends_bitwise_as_the_uninterrupted_one(tmp_path, die_at):
    def fit(folder=None, die_at=None):
        gan, kept = tiny(3), {}
        run = Interrupted(
            die_at=die_at,
            seed=3,
            budget=7,
            snapshots=Snapshots(every=3, save=lambda step, state: kept.update({step: state})),
            checkpointing=Checkpointing(folder=folder, seconds=0),
        )
        gan.fit(train_set(), run)
        return gan, run, kept

    gan, run, kept = fit()
    with pytest.raises(Killed):
        fit(tmp_path, die_at)
    resumed, resumed_run, rest = fit(tmp_path)
    assert list(rest) == [step for step in kept if step > die_at]
    for one, other in [(gan.state(), resumed.state()), *[(kept[step], rest[step]) for step in rest]]:
        assert all(torch.equal(one[key], other[key]) for key in one)
    assert run.history() == resumed_run.history()
    request = SampleRequest(0, 6, 1)
    assert torch.equal(gan.sample(request).images, resumed.sample(request).images)


@torch.no_grad()
def test_options_give_the_layers_of_paper_004():
    options = DcganOptions(base=64, d_base=64, kernel=5, prior="normal", z_dim=128)
    with torch.device("meta"):
        gan = Dcgan(options, Task(("mel",), 64, device="meta"))
        g = shapes(gan.generator, torch.empty(2, 128))
        d = shapes(gan.discriminator, torch.empty(2, 3, 64, 64))
    assert g == [(512, 4, 4), (256, 8, 8), (128, 16, 16), (64, 32, 32), (3, 64, 64)]
    assert d == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]
    strided = [m for net in gan.parts().values() for m in net.modules() if getattr(m, "stride", 1) == (2, 2)]
    assert len(strided) == 8 and {m.kernel_size for m in strided} == {(5, 5)}
