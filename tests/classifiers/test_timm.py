"""timm by name: which names are taken, how networks are made, and what is said when one cannot be."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from derm_bench.errors import UserError
from derm_bench.images import ImageSet
from derm_bench.specs import Task
from derm_bench.training.stage_run import StageRun, seed_everything
from derm_bench_plugins.classifiers.specs.timm import TimmOptions
from derm_bench_plugins.classifiers.timm_names import model_names

TASK = Task(("a", "b", "c"), 32)


def make(task=TASK, seed=0, **options):
    from derm_bench_plugins.classifiers.timm_net import make as make_net

    seed_everything(seed)
    return make_net(TimmOptions(model=options.pop("model", "test_resnet"), batch_size=4, **options), task)


def test_the_names_are_those_that_timm_lists():
    import timm

    assert model_names() == set(timm.list_models())


def test_names_are_checked_without_importing_torch():
    code = (
        "import sys; from derm_bench_plugins.classifiers import specs; specs(); from derm_bench_plugins.classifiers.specs.timm import TimmOptions\n"
        "TimmOptions(model='resnet50.tv_in1k'); sys.exit('torch' in sys.modules or 'timm' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "name",
    [
        "hf_hub:someone/net",
        "hf-hub:someone/net",
        "local-dir:/srv/net",
        "https://example.org/net.bin",
        "../net",
        "a/b",
        "",
    ],
)
def test_hub_names_folders_and_urls_are_refused(name):
    with pytest.raises(ValueError, match=r"hub names, folders and URLs are not taken"):
        TimmOptions(model=name)


def test_a_misspelt_name_is_met_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'resnet18'"):
        TimmOptions(model="resnet18x")


def test_an_unknown_tag_and_weights_out_of_reach_are_the_users_errors():
    with pytest.raises(UserError, match="nosuchtag") as error:
        make(model="test_resnet.nosuchtag", pretrained=True)
    assert "weights: PATH" in str(error.value)


def test_images_too_small_are_refused_naming_the_smallest_that_work():
    with pytest.raises(UserError, match="densenet121 needs images of at least 29 px"):
        make(Task(("a", "b"), 16), model="densenet121")


def test_networks_of_fixed_size_are_built_for_the_given_one():
    model = make(Task(("a", "b"), 48), model="test_vit")
    assert model.predict_proba(torch.zeros(2, 3, 48, 48)).shape == (2, 2)


def test_pixels_are_normalised_to_plus_minus_one_or_as_the_weights_were_trained(tmp_path):
    plain, source = make(), make(Task(tuple("abcdefg"), 32), seed=1)
    assert plain.mean == plain.std == (0.5, 0.5, 0.5)
    save_file(source.net.state_dict(), tmp_path / "w.safetensors")
    loaded = make(weights=tmp_path / "w.safetensors")
    assert loaded.mean == loaded.net.pretrained_cfg["mean"]
    assert torch.equal(next(loaded.net.parameters()), next(source.net.parameters()))


def test_weights_of_another_network_are_refused_listing_what_differs(tmp_path):
    save_file({"stranger.weight": torch.zeros(2)}, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=r"unexpected: stranger\.weight"):
        make(weights=tmp_path / "w.safetensors")


def test_it_trains_and_its_state_goes_round():
    n = 8
    names = tuple(map(str, range(n)))
    images = torch.randint(0, 256, (n, 3, 32, 32), generator=torch.Generator().manual_seed(0)).byte()
    train = ImageSet(images, torch.arange(n) % 3, TASK.classes, names, names)
    model, other = make(dropout=0.1), make(seed=1)
    before = model.state()
    run = StageRun(seed=0, budget=3, val=train, mean=model.mean, std=model.std)
    model.fit(train, train, run)
    assert any(not torch.equal(before[key], value) for key, value in model.state().items())
    other.load_state(model.state())
    batch = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(model.predict_proba(batch), other.predict_proba(batch))
