"""What planning tells of a weights file from its header: the tensors that networks have, by name and shape."""

import json
import struct
import warnings
from types import SimpleNamespace

import pytest
import timm
import torch
import torchvision

from derm_bench import weights_header
from derm_bench.cli.weights_file import problem_of_weights
from derm_bench.training import weights
from derm_bench_plugins.classifiers import timm_planning, torchvision_planning
from derm_bench_plugins.classifiers.known_layers import BOTH, TIMM, TORCHVISION

SMALL = (
    "resnet18",
    "resnet10t",
    "mobilenetv3_small_100",
    "alexnet",
    "squeezenet1_1",
    "vit_tiny_patch16_224",
    "vgg16",
)


def built(library, model):
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if library == "timm":
            return timm.create_model(model)
        more = {"init_weights": False} if model == "inception_v3" else {}
        return torchvision.models.get_model(model, weights=None, **more)


@pytest.mark.parametrize(
    ("library", "model"),
    [
        pytest.param(library, model, marks=[] if model in SMALL else [pytest.mark.slow])
        for library, table in (("timm", TIMM), ("torchvision", TORCHVISION))
        for model in table
    ],
)
def test_the_networks_have_these_layers(library, model):
    table = TIMM if library == "timm" else TORCHVISION
    state = built(library, model).state_dict()
    assert {name: tuple(state[name].shape) for name in table[model]} == table[model]


def test_prefixes_are_those_that_are_taken_off_when_weights_are_loaded():
    assert weights_header.PREFIXES == weights.PREFIXES


def write(path, shapes):
    """A file of safetensors whose tensors are zeros of these shapes."""
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 4 * torch.Size(shape).numel()
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)  # sparse
    return path


def problems(path, model, library="timm"):
    planning = timm_planning if library == "timm" else torchvision_planning
    return list(
        planning.preflight(SimpleNamespace(model=model, weights=path, pretrained=False, input_size=64))
    )


@pytest.mark.parametrize("prefix", ["", "model.", "module.", "model.net."])
@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_weights_of_the_network_are_accepted_behind_a_prefix(tmp_path, prefix, library):
    shapes = {f"{prefix}{name}": shape for name, shape in BOTH["resnet18"].items()} | {
        f"{prefix}fc.weight": (7, 512)
    }
    path = write(tmp_path / "w.safetensors", shapes)
    assert problems(path, "resnet18", library) == [] == problems(path, "resnet18", library)
    assert problem_of_weights(path) == ""


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_weights_of_another_network_are_refused_by_name_or_shape(tmp_path, library):
    path = write(tmp_path / "w.safetensors", {"a.weight": (2, 3), "b.weight": (3, 3)})
    (said,) = problems(path, "resnet18", library)
    assert (
        "no weights of resnet18: it has no tensor layer4.1.conv2.weight; the first of its 2 are a.weight"
        in said
    )
    path = write(tmp_path / "w.safetensors", {"layer4.2.conv2.weight": (512, 512, 3, 3)})
    (said,) = problems(path, "resnext50_32x4d", library)
    assert "layer4.2.conv2.weight is [512, 512, 3, 3] instead of [1024, 32, 3, 3]" in said


@pytest.mark.parametrize("wrapped", [False, True])
def test_names_in_files_of_torch_save_are_compared_without_loading_them(tmp_path, wrapped):
    def save(names):
        tensors = {name: torch.zeros(2, 2) for name in names}
        torch.save({"state_dict": tensors, "epoch": 3} if wrapped else tensors, tmp_path / "w.pt")
        return tmp_path / "w.pt"

    for prefix in ("", "module.", "module.model.", "net."):
        assert (
            problems(save(f"{prefix}{name}" for name in (*BOTH["resnet50"], "fc.weight")), "resnet50") == []
        )
    (said,) = problems(save(["backbone.layer1.weight", "fc.weight"]), "resnet50")
    assert (
        "w.pt holds no weights of resnet50: it has no tensor layer3.5.conv3.weight; it has backbone.la"
        in said
    )
    assert problems(save(BOTH["resnet18"]), "resnet50", "torchvision") != []
    whole = (tmp_path / "w.pt").read_bytes()
    (tmp_path / "w.pt").write_bytes(whole[: len(whole) // 2])
    assert problems(tmp_path / "w.pt", "resnet50") == [], "a broken file is another refusal's"


def test_what_is_not_known_is_left_to_the_worker(tmp_path):
    path = write(tmp_path / "w.safetensors", {"a.weight": (2, 3)})
    assert problems(path, "some_new_network") == []
    path.rename(tmp_path / "w.pt")
    assert problems(tmp_path / "w.pt", "resnet18") == []


def test_a_file_without_a_matrix_holds_no_weights(tmp_path):
    path = write(tmp_path / "w.safetensors", {"step": (1,), "mean": (3,)})
    assert "none of its tensors has two dimensions" in problem_of_weights(path)


def test_no_tensor_is_read_and_a_huge_header_is_not_either(tmp_path):
    path = write(tmp_path / "w.safetensors", {"a.weight": (100_000, 100_000)})
    assert weights_header.shapes_in(path) == {"a.weight": (100_000, 100_000)}
    with path.open("r+b") as file:
        file.write(struct.pack("<Q", weights_header.MAX_HEADER + 1))
    assert "has a header of 16,777,217 bytes" in problem_of_weights(path)
