"""timm by name: which names are taken, how networks are made, and what is said when one cannot be."""

import hashlib
import subprocess
import sys

import pytest
import timm
import torch
from safetensors.torch import save_file

from derm_bench.errors import UserError
from derm_bench.images import ImageSet
from derm_bench.specs import Task
from derm_bench.training.feed import FeedOptions
from derm_bench.training.selection import Selection
from derm_bench.training.stage_run import StageRun, seed_everything
from derm_bench.training.weights import load_network
from derm_bench_plugins.classifiers import timm_net
from derm_bench_plugins.classifiers.model_registry import model_names
from derm_bench_plugins.classifiers.specs.timm import TimmOptions
from derm_bench_plugins.classifiers.timm_presets import NETWORKS

TASK = Task(("a", "b", "c"), 32)


def make(task=TASK, seed=0, **options):
    seed_everything(seed)
    return timm_net.make(
        TimmOptions(model=options.pop("model", "test_resnet"), batch_size=4, **options), task
    )


def test_the_names_are_those_that_timm_lists():
    assert model_names("timm") == set(timm.list_models())


def test_names_are_checked_without_importing_torch():
    code = """import sys
from derm_bench_plugins.classifiers import specs
options = {spec.name: spec.options for spec in specs()}
options["timm"](model="resnet50.tv_in1k")
try:
    options["torchvision"](model="alexnet", pretrained=True)
except ValueError as error:
    assert "alexnet-owt-7be5be79.pth" in str(error), error
sys.exit(bool({"torch", "torchvision", "timm"} & sys.modules.keys()))"""
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
    with pytest.raises(ValueError, match=r"hub names, folders and URLs are not accepted"):
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
    run = StageRun(
        seed=0, budget=3, selection=Selection(val=train), feed=FeedOptions(mean=model.mean, std=model.std)
    )
    model.fit(train, train, run)
    assert any(not torch.equal(before[key], value) for key, value in model.state().items())
    other.load_state(model.state())
    batch = torch.randn(4, 3, 32, 32)
    torch.testing.assert_close(model.predict_proba(batch), other.predict_proba(batch))


# ------------------------------------------------------------------------------------------ presets


@pytest.mark.parametrize("name", NETWORKS)
def test_presets_name_weights_that_timm_knows_with_their_side_and_normalisation(name):
    network = NETWORKS[name]
    config = timm.models.get_pretrained_cfg(network.model)
    assert config.input_size == (3, network.size, network.size)
    assert (config.mean, config.std) == network.norm
    published = f"https://huggingface.co/{config.hf_hub_id}" if config.hf_hub_id else config.url
    assert network.source == published
    assert network.preset.get("pretrained", False) is bool(network.source)
    assert network.preset.get("input_size") == (network.size if network.source else None)


def test_what_is_no_network_of_the_paper_says_so():
    assert not any("nasnet" in name and "mobile" in name for name in timm.list_models())
    assert "substitute" in NETWORKS["nasnet-mobile"].note
    assert timm.models.get_pretrained_cfg("resnetv2_152").tag == "untrained"
    assert "untrained only" in NETWORKS["resnet152v2"].note


def test_a_small_head_leaves_vgg_its_convolutions_and_one_layer():
    with torch.device("meta"):
        net = timm.create_model("vgg16", num_classes=4)
        timm_net._shrink_head(net, 4)
        assert net(torch.empty(2, 3, 64, 64)).shape == (2, 4)
    assert sum(p.numel() for p in net.parameters()) == 14_714_688 + 512 * 4 + 4
    assert net.get_classifier() is net.head.fc


def test_a_small_head_is_refused_where_there_is_no_large_one():
    with pytest.raises(ValueError, match="small_head is an option of vgg"):
        TimmOptions(model="resnet18", small_head=True)


# ------------------------------------------------------------------- where the first weights came from


def test_a_weights_file_is_known_by_name_and_digest(tmp_path):
    save_file(make().net.state_dict(), tmp_path / "w.safetensors")
    digest = hashlib.sha256((tmp_path / "w.safetensors").read_bytes()).hexdigest()
    assert make(weights=tmp_path / "w.safetensors").weights_from == {
        "file": "w.safetensors",
        "sha256": digest,
    }
    assert make().weights_from == {}


def test_fetched_weights_are_known_by_source_and_digest(monkeypatch):
    build = timm.create_model
    monkeypatch.setattr(
        timm, "create_model", lambda name, pretrained, **given: build(name, pretrained=False, **given)
    )
    first, again, other = (make(model="test_resnet.r160_in1k", pretrained=True, seed=k) for k in (0, 0, 1))
    assert first.weights_from["source"] == "https://huggingface.co/timm/test_resnet.r160_in1k"
    assert first.weights_from == again.weights_from != other.weights_from
    wider = make(Task(tuple("abcdefg"), 32), model="test_resnet.r160_in1k", pretrained=True)
    assert len(wider.weights_from["sha256"]) == 64


def test_entries_of_a_file_that_the_network_leaves_out_are_named_by_their_beginning(tmp_path):
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 3))
    file = net.state_dict() | {"aux1.fc.weight": torch.zeros(4), "pre_logits.fc1.bias": torch.zeros(1)}
    save_file(file, tmp_path / "w.safetensors")
    load_network(net, net[-1], tmp_path / "w.safetensors", unused=("aux1.", "pre_logits."))
    with pytest.raises(UserError, match=r"unexpected: aux1\.fc\.weight"):
        load_network(net, net[-1], tmp_path / "w.safetensors", unused=("pre_logits.",))
