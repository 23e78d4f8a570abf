"""Starting a StyleGAN2 from other networks: names of the authors' code, what is taken over, what is trained."""

from types import SimpleNamespace

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save_file
from tests.generators.test_stylegan2 import tiny, train_set

from derm_bench.errors import UserError
from derm_bench.training.stage_run import StageRun
from derm_bench_plugins.generators.specs.stylegan2 import Stylegan2Options, requires
from derm_bench_plugins.generators.stylegan2_names import by_part, by_resolution
from derm_bench_plugins.generators.stylegan2_planning import preflight
from derm_bench_plugins.generators.stylegan2_transfer import take_over

# The tensors of the authors' networks of 16 px with 2 mapping layers (stylegan2-ada-pytorch), but for their filters.
AFFINE = ("weight", "bias", "affine.weight", "affine.bias")
STYLED = (*AFFINE, "noise_strength", "noise_const")
OFFICIAL_G = {
    *(f"mapping.fc{k}.{name}" for k in (0, 1) for name in ("weight", "bias")),
    "mapping.w_avg",
    "synthesis.b4.const",
    *(f"synthesis.b{side}.torgb.{name}" for side in (4, 8, 16) for name in AFFINE),
    *(f"synthesis.b{side}.conv1.{name}" for side in (4, 8, 16) for name in STYLED),
    *(f"synthesis.b{side}.conv0.{name}" for side in (8, 16) for name in STYLED),
}
OFFICIAL_D = {
    *(f"b16.fromrgb.{name}" for name in ("weight", "bias")),
    *(
        f"b{side}.{layer}.{name}"
        for side in (16, 8)
        for layer in ("conv0", "conv1")
        for name in ("weight", "bias")
    ),
    *(f"b{side}.skip.weight" for side in (16, 8)),
    *(f"b4.{layer}.{name}" for layer in ("conv", "fc", "out") for name in ("weight", "bias")),
}
TRAINED = {"weights": "elsewhere.safetensors", "trained_on": "photographs of faces"}


def run(updates=2, seed=0):
    return StageRun(seed=seed, budget=updates, device="cpu", precision="fp32")


def exported(gan, folder, name="net.safetensors"):
    """A file as an export of the authors' networks, filters included."""
    state = {
        f"G_ema.{key}": value for key, value in by_resolution(gan.generator.state_dict(), "generator").items()
    }
    state |= {
        f"D.{key}": v for key, v in by_resolution(gan.discriminator.state_dict(), "discriminator").items()
    }
    state["G_ema.synthesis.b8.conv0.resample_filter"] = torch.ones(4, 4)
    save_file({key: value.contiguous() for key, value in state.items()}, folder / name)
    return folder / name


def test_names_are_those_of_the_authors_code():
    gan = tiny()
    assert set(by_resolution(gan.generator.state_dict(), "generator")) == OFFICIAL_G
    assert set(by_resolution(gan.discriminator.state_dict(), "discriminator")) == OFFICIAL_D


def test_an_export_of_the_authors_network_gives_its_images(tmp_path):
    source = tiny(seed=1)
    gan = tiny(seed=2, **(TRAINED | {"weights": exported(source, tmp_path)}))
    logs = {}
    gan.start(SimpleNamespace(log=lambda step, **values: logs.update(values)))
    z = torch.randn(2, 8)
    torch.testing.assert_close(gan.render(z, None), source.render(z, None))
    torch.testing.assert_close(gan.trained(z), source.generator(z))
    assert logs == {"taken_g": 1.0, "taken_d": 1.0}


def test_the_state_of_a_fit_is_a_file_to_start_from(tmp_path):
    source = tiny(seed=1)
    save_file(source.state(), tmp_path / "state.safetensors")
    gan = tiny(seed=2, **(TRAINED | {"weights": tmp_path / "state.safetensors"}))
    gan.start(run())
    z = torch.randn(2, 8)
    torch.testing.assert_close(gan.render(z, None), source.render(z, None))


def test_a_larger_network_takes_what_it_has_in_common_with_a_smaller_one():
    small, large = tiny(seed=1, size=16), tiny(seed=2, size=32)
    networks = {"generator": by_resolution(small.generator.state_dict(), "generator")}
    networks["discriminator"] = by_resolution(small.discriminator.state_dict(), "discriminator")
    before = large.trained.synthesis.ups[2].conv.weight.clone()
    assert 0.5 < take_over(large.trained, "generator", networks) < 1
    assert 0 < take_over(large.discriminator, "discriminator", networks) < 1
    torch.testing.assert_close(
        large.trained.synthesis.ups[1].conv.weight, small.generator.synthesis.ups[1].conv.weight
    )
    torch.testing.assert_close(
        large.discriminator.blocks[2].conv0.weight, small.discriminator.blocks[1].conv0.weight
    )
    torch.testing.assert_close(large.trained.synthesis.ups[2].conv.weight, before)


def test_a_conditional_network_takes_all_but_its_classes_from_one_without():
    plain, conditional = tiny(seed=1), tiny(seed=2, classes=("mel", "nv"))
    networks = {"generator": by_resolution(plain.generator.state_dict(), "generator")}
    assert 0.5 < take_over(conditional.trained, "generator", networks) < 1
    torch.testing.assert_close(conditional.trained.synthesis.start, plain.generator.synthesis.start)


def test_a_network_of_other_widths_is_refused(tmp_path):
    other = tiny(seed=1, base=128, widest=16, w_dim=4, z_dim=4)
    gan = tiny(**(TRAINED | {"weights": exported(other, tmp_path)}))
    with pytest.raises(UserError, match="of the parameters of G have the name and shape"):
        gan.start(run())


def test_only_what_is_asked_for_is_trained(tmp_path):
    weights = exported(tiny(seed=1), tmp_path)
    gan = tiny(seed=2, ada=True, freeze_d=4, g_layers="last", **(TRAINED | {"weights": weights}))
    gan.fit(train_set(), run(3))
    start = tiny(seed=1)
    moved = {
        name
        for name, value in gan.trained.named_parameters()
        if not torch.equal(value, start.generator.get_parameter(name))
    }
    assert moved and all(name.startswith("synthesis.to_rgb.2.") for name in moved)
    still = {
        name
        for name, value in gan.discriminator.named_parameters()
        if torch.equal(value, start.discriminator.get_parameter(name))
    }
    # RGB, and the two 3x3 and the 1x1 of the first block.
    assert {name.split(".")[0] for name in still} == {"from_rgb", "blocks"}
    assert {name.split(".")[1] for name in still if name.startswith("blocks")} == {"0"}
    assert "blocks.0.skip.weight" in still and "blocks.1.conv0.weight" not in still


def test_more_frozen_layers_than_there_are_is_refused():
    with pytest.raises(UserError, match="freeze_d is 8, but D has 7"):
        tiny(freeze_d=8).start(run())


def test_planning_refuses_files_that_are_no_stylegan2(tmp_path):
    pickled = Stylegan2Options(**TRAINED | {"weights": tmp_path / "network.pkl"}, size=16)
    assert "never opened" in next(preflight(pickled))
    save_file({"conv.weight": torch.zeros(1)}, tmp_path / "resnet.safetensors")
    other = Stylegan2Options(**TRAINED | {"weights": tmp_path / "resnet.safetensors"}, size=16)
    assert "no StyleGAN2 generator" in next(preflight(other))
    good = Stylegan2Options(**TRAINED | {"weights": exported(tiny(), tmp_path)}, size=16)
    assert list(preflight(good)) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"start": {"name": "stylegan2"}, **TRAINED}, "leave one of them out"),
        ({"start": {"preset": "tiny"}}, "needs the name of a generator"),
        ({"g_layers": "last"}, "must come from"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, said):
    with pytest.raises(ValidationError, match=said):
        Stylegan2Options(**options)


def test_another_generator_to_start_from_is_a_stage_of_its_own():
    (ref,) = requires(Stylegan2Options(start={"name": "stylegan2-ada", "preset": "tiny"})).values()
    assert (ref.kind, ref.plugin, ref.options, ref.needed) == (
        "generator", "stylegan2-ada", {"preset": "tiny"}, "fit",
    )  # fmt: skip
    assert requires(Stylegan2Options()) == {}


def test_files_of_both_codes_are_told_apart():
    ours = {"generator.mapping.average": 1, "discriminator.out.bias": 2}
    theirs = {"G_ema.mapping.w_avg": 1, "G.mapping.w_avg": 3, "D.b4.out.bias": 2}
    assert (
        by_part(ours)
        == by_part(theirs)
        == {"generator": {"mapping.w_avg": 1}, "discriminator": {"b4.out.bias": 2}}
    )
