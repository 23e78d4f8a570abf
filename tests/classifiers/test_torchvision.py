"""torchvision by name: which names are taken, AlexNet and GoogLeNet, and files of weights."""

import re
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from derm_bench.errors import UserError
from derm_bench.specs import Task
from derm_bench.training.seeding import seed_everything
from derm_bench_plugins.classifiers import torchvision_net
from derm_bench_plugins.classifiers.model_registry import model_names
from derm_bench_plugins.classifiers.specs.torchvision import TorchvisionOptions
from derm_bench_plugins.classifiers.torchvision_names import Published, published
from derm_bench_plugins.classifiers.torchvision_net import WITH_AUXILIARY, make

TASK = Task(("a", "b", "c"), 32)
SMALL = "shufflenet_v2_x0_5"


def small(task=TASK, seed=0, **options):
    seed_everything(seed)
    return make(TorchvisionOptions(model=SMALL, **options), task)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of the small network, of seven classes."""
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_file(small(Task(tuple("abcdefg"), 32), seed=1).net.state_dict(), path)
    return path


def test_the_names_are_those_that_torchvision_lists():
    assert model_names("torchvision") == set(models.list_models(module=models))


def test_published_files_are_those_that_torchvision_names():
    for name in models.list_models(module=models):
        expected = [(f"{w!r}", w.url) for w in models.get_model_weights(name)]
        assert [(file.name, file.url) for file in published(name)] == expected, name
        assert all(re.fullmatch("[0-9a-f]{8,16}", file.digest) for file in published(name)), name
    assert [file.digest for file in published("alexnet")] == ["7be5be79"]


def test_a_misspelt_name_is_met_with_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'googlenet'"):
        TorchvisionOptions(model="goglenet")
    with pytest.raises(ValueError, match="no model"):
        TorchvisionOptions(model="fasterrcnn_resnet50_fpn")


@pytest.mark.parametrize(("name", "parameters"), [("alexnet", 57_020_228), ("googlenet", 5_604_004)])
def test_alexnet_and_googlenet_take_64_px_and_have_no_auxiliary_heads(name, parameters):
    with torch.device("meta"):
        net = torchvision_net._create(name, Task(("a", "b", "c", "d"), 64))
        assert net.train()(torch.empty(2, 3, 64, 64)).shape == (2, 4)
        head = torchvision_net._head(net, 4)
    assert sum(p.numel() for p in net.parameters()) == parameters
    assert head.out_features == 4


@pytest.mark.parametrize("name", WITH_AUXILIARY)
def test_what_published_files_hold_of_auxiliary_heads_is_known_by_its_beginning(name):
    with torch.device("meta"):
        own = torchvision_net._create(name, Task(tuple("abc"), 299)).state_dict()
        whole = models.get_model(name, num_classes=3, aux_logits=True, init_weights=False).state_dict()
    left_out = [key for key in whole if key not in own]
    assert left_out and all(key.startswith(WITH_AUXILIARY[name]) for key in left_out)


def test_halves_are_what_the_published_googlenet_makes_of_imagenets_normalisation():
    pixels = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in torchvision_net.IMAGENET)
    inside = models.GoogLeNet._transform_input(SimpleNamespace(transform_input=True), (pixels - mean) / std)
    torch.testing.assert_close(inside, (pixels - 0.5) / 0.5)


def test_a_file_of_weights_is_loaded_but_for_a_head_of_other_classes(weights):
    plain, loaded = small(), small(weights=weights)
    assert plain.mean == plain.std == (0.5, 0.5, 0.5) and loaded.mean == (0.485, 0.456, 0.406)
    source = small(Task(tuple("abcdefg"), 32), seed=1).net
    assert torch.equal(loaded.net.conv1[0].weight, source.conv1[0].weight)
    assert loaded.predict_proba(torch.zeros(2, 3, 32, 32)).shape == (2, 3)
    assert loaded.weights_from["file"] == "small.safetensors" and "source" not in loaded.weights_from


def test_pretrained_takes_published_files_and_no_other(weights, monkeypatch):
    with pytest.raises(
        UserError, match=r"published for shufflenet_v2_x0_5: its SHA-256 .* not with f707e7126e"
    ):
        small(weights=weights, pretrained=True)
    digest = small(weights=weights).weights_from["sha256"]
    file = Published("Small_Weights.V1", f"https://example.org/small-{digest[:8]}.pth")
    monkeypatch.setattr(torchvision_net, "published", lambda model: (file,))
    named = small(weights=weights, pretrained=True).weights_from
    assert named == {
        "file": "small.safetensors",
        "sha256": digest,
        "source": file.url,
        "name": "Small_Weights.V1",
    }


def test_pretrained_without_a_file_says_where_to_fetch_it():
    with pytest.raises(
        ValueError,
        match=r"weights: PATH, the file of the weights; download https://.*/googlenet-1378be20\.pth",
    ):
        TorchvisionOptions(model="googlenet", pretrained=True)


def test_features_are_dropped_while_training_only():
    plain, dropping = small(), small(dropout=0.9)
    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert torch.equal(plain.predict_proba(images), dropping.predict_proba(images))
    given = []
    dropping.head.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    dropping.net.train()(images)
    assert 0.8 < float((given[0] == 0).float().mean()) < 1


def test_images_too_small_are_refused_naming_the_smallest_that_work():
    with pytest.raises(UserError, match="squeezenet1_1 needs images of at least 17 px"):
        make(TorchvisionOptions(model="squeezenet1_1"), Task(("a", "b"), 8))
