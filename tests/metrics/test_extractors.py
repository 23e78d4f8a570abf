"""Networks on whose features image metrics are computed: VGG16 and timm with weights made here, and their options."""

import hashlib
from functools import partial

import numpy as np
import pytest
import timm
import torch
from pydantic import ValidationError
from safetensors.torch import save_file

from derm_bench.errors import UserError
from derm_bench.fidelity.score import Scorer
from derm_bench.specs import Task, load_object
from derm_bench_plugins.metrics import specs
from derm_bench_plugins.metrics.extractors.options import FeatureOptions, NeighbourOptions
from derm_bench_plugins.metrics.extractors.timm_net import TimmFeatures
from derm_bench_plugins.metrics.extractors.vgg16 import Vgg16Features
from derm_bench_plugins.metrics.extractors.weights import VGG16, used_weights

SPECS = {spec.name: spec for spec in specs()}
TASK = Task(("a",), 32)


@pytest.fixture(autouse=True)
def no_weights_of_this_machine(monkeypatch, tmp_path):
    monkeypatch.delenv("DERM_BENCH_INCEPTION", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch-home"))


def pictures(n, seed=0, high=256):
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(0, high, (n, 3, 32, 32), dtype=torch.uint8, generator=draw)


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def vgg16(tmp_path_factory):
    """A file in the layout of VGG16's weights. Its large layers are windows on few numbers, so that it is small."""
    from torchvision.models import vgg16 as network

    with torch.device("meta"):
        shapes = {name: value.shape for name, value in network().state_dict().items()}
    draw = torch.Generator().manual_seed(0)
    state = {}
    for name, shape in shapes.items():
        if len(shape) == 2:
            numbers = torch.randn(sum(shape), generator=draw) / shape[1] ** 0.5
            state[name] = numbers.as_strided(tuple(shape), (1, 1))
        elif len(shape) == 4:
            state[name] = torch.randn(shape, generator=draw) * (2 / shape[1:].numel()) ** 0.5
        else:
            state[name] = torch.randn(shape, generator=draw) / 10
    path = tmp_path_factory.mktemp("vgg16") / VGG16
    torch.save(state, path)
    return path


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    """A file of a small vision transformer, with a head of 7 classes, as a script for training would save it."""
    torch.manual_seed(0)
    network = timm.create_model("test_vit", pretrained=False, num_classes=7)
    path = tmp_path_factory.mktemp("vit") / "vit.safetensors"
    save_file({f"module.{name}": value.clone() for name, value in network.state_dict().items()}, path)
    return path


def test_features_on_vgg16_are_those_of_torch_fidelity(vgg16, monkeypatch):
    import torchvision
    from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16

    # Random initial values of its large layers take seconds, and are overwritten.
    monkeypatch.setattr(torchvision.models, "vgg16", partial(torchvision.models.vgg16, init_weights=False))
    monkeypatch.setattr(torch.nn.Linear, "reset_parameters", lambda layer: None)
    images = pictures(1)
    with torch.no_grad():
        network = FeatureExtractorVGG16(
            "vgg16", ["fc2_relu", "fc2"], feature_extractor_weights_path=str(vgg16)
        )
        after, before = (side.numpy() for side in network(images))
    del network
    ours = Vgg16Features(vgg16, "cpu")
    assert ours.name == f"vgg16-fc2_relu:{digest(vgg16)}"
    assert np.abs(ours(images) - after).max() <= 1e-4 * np.abs(after).max()
    ours.layer = "fc2"
    assert np.abs(ours(images) - before).max() <= 1e-4 * np.abs(before).max()


@pytest.mark.parametrize(("n", "k"), [(60, 3), (60, 5), (40, 3)])
def test_precision_and_recall_are_those_of_torch_fidelity(n, k):
    from torch_fidelity.metric_prc import prc_features_to_metric

    rng = np.random.default_rng(n)
    real, fake = rng.normal(size=(60, 8)), rng.normal(size=(n, 8)) * 0.8 + 0.3
    sides = (torch.from_numpy(side) for side in (fake, real))
    theirs = prc_features_to_metric(
        *sides, prc_neighborhood=k, prc_batch_size=100, save_cpu_ram=False, verbose=False
    )
    for name in ("precision", "recall"):
        spec = SPECS[f"prdc_{name}"]
        (ours,) = load_object(spec.create)(NeighbourOptions(k=k), TASK).compute(real, fake).values()
        assert 0 < ours < 1 and ours == pytest.approx(theirs[name], rel=1e-3)


def test_features_of_a_transformer_are_its_pooled_output_whatever_its_head_was(vit):
    features = TimmFeatures("test_vit", vit, "cpu")
    assert features.name == f"timm/test_vit@160-bicubic:{digest(vit)}"
    torch.manual_seed(0)
    network = timm.create_model("test_vit", pretrained=False, num_classes=7).eval()
    images = pictures(3)
    resized = torch.nn.functional.interpolate(images / 255, (160, 160), mode="bicubic", antialias=True)
    with torch.no_grad():
        normalised = (resized.clamp(0, 1) - 0.5) / 0.5  # mean and deviation of this network
        want = network.forward_head(network.forward_features(normalised), pre_logits=True).numpy()
    assert features(images) == pytest.approx(want, abs=1e-4)
    smaller = TimmFeatures("test_vit", vit, "cpu", side=96)
    assert smaller.name.startswith("timm/test_vit@96-bicubic:") and smaller(images).shape == want.shape
    assert np.abs(smaller(images) - want).max() > 1e-3


def test_a_file_as_the_authors_of_dinov2_publish_it_is_translated(tmp_path):
    state = timm.create_model("test_vit", pretrained=False, num_classes=0).state_dict()
    torch.save(state | {"mask_token": torch.zeros(1, 64)}, tmp_path / "dino.pth")
    torch.save(state, tmp_path / "plain.pth")
    ours, plain = (TimmFeatures("test_vit", tmp_path / f"{name}.pth", "cpu") for name in ("dino", "plain"))
    assert np.array_equal(ours(pictures(2)), plain(pictures(2)))


def test_weights_of_another_network_are_refused_with_what_differs(vit, tmp_path):
    with pytest.raises(UserError, match=r"vit\.safetensors: the weights do not fit"):
        TimmFeatures("test_resnet", vit, "cpu")
    with pytest.raises(UserError, match=r"vit\.safetensors: not the weights of torchvision's VGG16: missing"):
        Vgg16Features(vit, "cpu")


def test_metrics_of_one_network_share_a_pass_and_are_called_after_it(vit):
    network = {"extractor": "timm", "model": "test_vit", "weights": vit}
    names = ("fid", "kid", "fd_infinity", "density", "coverage", "prdc_precision", "prdc_recall")
    uses = [(spec, spec.options(**network)) for spec in map(SPECS.get, names)]
    scorer = Scorer([(spec, options, spec.label_of(options)) for spec, options in uses], TASK)
    assert len(scorer) == 1
    rows = scorer.rows(scorer.features(pictures(4)), scorer.features(pictures(4, 1)))
    assert [row["metric"] for row in rows] == [f"{name}_test_vit" for name in names]
    found = {row["metric"]: row for row in rows}
    assert np.isfinite(found["kid_test_vit"]["value"]) and not found["kid_test_vit"]["note"]
    for name, fewest in (("fid", 100), ("fd_infinity", 500), ("density", 6), ("prdc_recall", 6)):
        row = found[f"{name}_test_vit"]
        assert np.isnan(row["value"])
        assert row["note"] == f"at least {fewest} images per side are needed, not 4"
    assert SPECS["fid"].label_of(FeatureOptions()) == "fid"


@pytest.mark.parametrize("n", [1, 2, 12])
def test_equal_images_get_a_number_and_a_note_and_no_exception(vit, n):
    network = {"extractor": "timm", "model": "test_vit", "weights": vit}
    uses = [(SPECS["fid"], SPECS["fid"].options(**network, min_images=2))]
    uses += [
        (SPECS[name], SPECS[name].options(**network))
        for name in ("kid", "density", "coverage", "prdc_precision")
    ]
    scorer = Scorer(uses, TASK)
    same = pictures(1).expand(n, 3, 32, 32)
    for real in (pictures(n, 1), same):
        rows = scorer.rows(scorer.features(real), scorer.features(same))
        assert len(rows) == len(uses)
        for row in rows:
            assert np.isfinite(row["value"]) or "needed" in row["note"] or "fewer than two" in row["note"]
            if n > 1:
                assert "all synthetic images have the same features" in row["note"]
            if n > 10:
                assert np.isfinite(row["value"])


def test_what_planning_finds_wrong_with_an_extractor(vit, tmp_path, monkeypatch):
    check = load_object(SPECS["fid"].preflight)
    (missing,) = check(FeatureOptions(extractor="vgg16"))
    place = tmp_path / "torch-home" / "hub" / "checkpoints" / VGG16
    assert str(place) in missing and "download.pytorch.org" in missing and "weights: PATH" in missing
    place.parent.mkdir(parents=True)
    place.write_bytes(b"1")
    assert check(FeatureOptions(extractor="vgg16")) == []
    assert used_weights(FeatureOptions(extractor="vgg16")) == {"vgg16": digest(place)}
    (unnamed,) = check(FeatureOptions(extractor="timm", model="vit_small_patch14_dinov2"))
    assert "weights: PATH" in unnamed
    (other,) = check(FeatureOptions(extractor="timm", model="resnet50", weights=vit))
    assert "holds no weights of resnet50" in other
    assert check(FeatureOptions(extractor="timm", model="test_vit", weights=vit)) == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"extractor": "timm"}, "timm needs model"),
        (
            {"extractor": "timm", "model": "vit_smal_patch14_dinov2"},
            "did you mean 'vit_small_patch14_dinov2'",
        ),
        ({"model": "resnet50"}, "model is an option of extractor: timm, not of inception"),
        (
            {"extractor": "timm", "model": "resnet50", "layer": "fc2"},
            "layer is an option of extractor: vgg16",
        ),
        ({"extractor": "vgg16", "input_size": 64}, "input_size is an option of extractor: timm"),
    ],
)
def test_options_that_do_not_belong_together_are_refused(options, problem):
    with pytest.raises(ValidationError, match=problem):
        FeatureOptions(**options)
