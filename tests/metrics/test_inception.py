"""Inception metrics with random weights: found, loaded safely, and equal to torch-fidelity's values."""

import hashlib
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from derm_bench.errors import NoValue, UserError
from derm_bench.fidelity.score import Scorer
from derm_bench.specs import Task, load_object
from derm_bench_plugins.metrics import specs
from derm_bench_plugins.metrics.extractors.options import FeatureOptions, FrechetOptions
from derm_bench_plugins.metrics.inception import InceptionFeatures, InceptionScore, folded
from derm_bench_plugins.metrics.inception_options import InceptionOptions
from derm_bench_plugins.metrics.inception_weights import FILE, find_weights, places, preflight

SPECS = {spec.name: spec for spec in specs()}


@pytest.fixture(autouse=True)
def no_weights_of_this_machine(monkeypatch, tmp_path):
    monkeypatch.delenv("DERM_BENCH_INCEPTION", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch-home"))


def test_other_weights_at_the_same_place_are_another_identity(tmp_path, monkeypatch):
    path = tmp_path / FILE
    monkeypatch.setenv("DERM_BENCH_INCEPTION", str(path))
    used = load_object(SPECS["fid"].depends_on)
    assert used(FeatureOptions()) == {}
    path.write_bytes(b"one")
    first = used(FeatureOptions())
    path.write_bytes(b"other")
    assert used(FeatureOptions()) != first != {}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A file of seeded random values in the layout of the published weights."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    class Bare(FeatureExtractorInceptionV3):
        def load_state_dict(self, state_dict, *args, **kwargs):
            """Keeps the random initial values."""

    nothing = io.BytesIO()
    torch.save({}, nothing)
    nothing.seek(0)
    torch.manual_seed(0)
    network = Bare("random", ["2048"], feature_extractor_weights_path=nothing)
    for weight in network.parameters():
        if weight.ndim == 4:  # torch's own initialisation lets signals die on the way
            torch.nn.init.kaiming_normal_(weight)
    path = tmp_path_factory.mktemp("weights") / FILE
    torch.save(network.state_dict(), path)
    return path


def test_specs_are_those_of_the_contract_and_light():
    assert list(SPECS) == [
        *("mmd_domain", "fd_domain", "kid_domain", "sharpness", "density_domain", "coverage_domain"),
        *("nn_accuracy_domain", "nn_ratio", "authenticity", "fid", "kid", "fd_infinity", "inception_score"),
        *("density", "coverage", "prdc_precision", "prdc_recall"),
    ]
    assert SPECS["inception_score"].higher_is_better and not SPECS["fid"].higher_is_better
    heavy = "('torch', 'sklearn', 'torch_fidelity')"
    code = (
        "import sys, derm_bench_plugins.metrics as m, derm_bench_plugins.metrics.inception_weights as w; "
        "from derm_bench_plugins.metrics.inception_options import InceptionOptions; "
        f"m.specs(); w.preflight(InceptionOptions()); print([x for x in {heavy} if x in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_preflight_without_weights_says_what_to_put_where(tmp_path):
    (problem,) = load_object(SPECS["fid"].preflight)(FeatureOptions())
    place = tmp_path / "torch-home" / "hub" / "checkpoints" / FILE
    assert str(place) in problem and "https://github.com/toshas/torch-fidelity" in problem
    assert "DERM_BENCH_INCEPTION" in problem and "weights: PATH" in problem and "mmd_domain" in problem
    with pytest.raises(UserError, match="Inception weights are missing"):
        load_object(SPECS["fid"].extractor_of(FeatureOptions()))(FeatureOptions(), "cpu")


def test_a_named_file_wins_over_the_variable_over_the_cache(tmp_path, monkeypatch):
    cached, variable, named = places(InceptionOptions())[0], tmp_path / FILE, tmp_path / "mine.pth"
    for path in (cached, variable, named):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    assert find_weights(InceptionOptions()) == cached and not preflight(InceptionOptions())
    monkeypatch.setenv("DERM_BENCH_INCEPTION", str(tmp_path))
    assert find_weights(InceptionOptions()) == variable
    assert find_weights(InceptionOptions(weights=named)) == named
    (problem,) = preflight(InceptionOptions(weights=tmp_path / "gone.pth"))
    assert str(tmp_path / "gone.pth") in problem and str(cached) not in problem


def test_weights_that_are_code_or_another_network_are_refused(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "exploded",))

    torch.save(Bomb(), tmp_path / "bomb.pth")
    with pytest.raises(UserError, match=r"bomb\.pth: the weights cannot be read"):
        InceptionFeatures(tmp_path / "bomb.pth", "cpu")
    assert not (tmp_path / "exploded").exists()
    torch.save({"fc.weight": torch.zeros(2, 2)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match=r"not the weights of torch-fidelity's InceptionV3"):
        InceptionFeatures(tmp_path / "other.pth", "cpu")


def test_values_agree_with_torch_fidelity(weights):
    from torch_fidelity import calculate_metrics

    class Bare(torch.utils.data.Dataset):
        def __init__(self, images):
            self.images = images

        def __len__(self):
            return len(self.images)

        def __getitem__(self, index):
            return self.images[index]

    draw = torch.Generator().manual_seed(1)
    real = torch.randint(0, 256, (10, 3, 32, 32), dtype=torch.uint8, generator=draw)
    fake = torch.randint(0, 200, (10, 3, 32, 32), dtype=torch.uint8, generator=draw)
    theirs = calculate_metrics(
        input1=Bare(fake), input2=Bare(real), fid=True, kid=True, isc=True, kid_subset_size=10, kid_subsets=1,
        feature_extractor_weights_path=str(weights), cache=False, cuda=False,
        save_cpu_ram=True, verbose=False,
    )  # fmt: skip
    uses = [
        (SPECS["fid"], FrechetOptions(weights=weights, min_images=10)),
        (SPECS["kid"], FeatureOptions(weights=weights)),
        (SPECS["inception_score"], InceptionOptions(weights=weights)),
    ]
    scorer = Scorer(uses, Task(("a",), 32))
    assert len(scorer) == 1, "one pass over the images serves all three"
    rows = {row["metric"]: row for row in scorer.rows(scorer.features(real), scorer.features(fake))}
    assert min(theirs["frechet_inception_distance"], theirs["kernel_inception_distance_mean"]) > 0.01
    assert rows["fid"]["value"] == pytest.approx(theirs["frechet_inception_distance"], rel=1e-3)
    assert rows["kid"]["value"] == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-3)
    assert rows["inception_score"]["value"] == pytest.approx(theirs["inception_score_mean"], rel=1e-3)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    assert {row["extractor"] for row in rows.values()} == {f"inception-v3-compat:{digest}"}


def test_folded_norms_leave_the_features_as_they_are():
    torch.manual_seed(0)

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.bn = torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.BatchNorm2d(4, eps=0.001)

        def forward(self, x):
            return self.bn(self.conv(x)).relu()

    network = torch.nn.Sequential(Block())
    for _ in range(3):
        network(torch.randn(4, 3, 8, 8) * 2 + 1)  # statistics other than 0 and 1
    images = torch.randn(2, 3, 8, 8)
    with torch.no_grad():
        want = network.eval()(images)
        assert torch.allclose(folded(network)(images), want, atol=1e-6)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules())


def test_inception_score_is_exp_of_the_mutual_information_by_hand():
    features = np.random.default_rng(0).normal(size=(40, 6))
    weight = torch.from_numpy(np.random.default_rng(1).normal(size=(4, 6)))
    metric = InceptionScore(weight)
    order = np.random.RandomState(2020).permutation(40)
    logits = (features.astype(np.float32) @ weight.numpy().astype(np.float32).T)[order].astype(np.float64)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    scores = [np.exp((q * np.log(q / q.mean(0))).sum(1).mean()) for q in np.split(p, 10)]
    value, low, high = metric.intervals(features, features)["inception_score"]
    assert value == pytest.approx(np.mean(scores), rel=1e-6)
    assert high - low == pytest.approx(2 * 2.262157 * np.std(scores, ddof=1) / np.sqrt(10), rel=1e-6)
    with pytest.raises(NoValue, match="10 splits need at least 10 images, not 9"):
        metric.compute(features, features[:9])
    assert InceptionScore(weight, splits=5).compute(features, features[:9])["inception_score"] >= 1


def test_distance_metrics_give_value_and_interval_under_their_own_names():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=(40, 6)), rng.normal(size=(40, 6)) + 0.5
    for name in ("fd_domain", "kid_domain", "fid", "kid"):
        own = {"min_images": 40} if name == "fid" else {}
        metric = load_object(SPECS[name].create)(SPECS[name].options(**own), Task(("a",), 64))
        value, low, high = metric.intervals(real, fake)[name]
        assert metric.compute(real, fake) == {name: pytest.approx(value)}
        assert low < value < high
