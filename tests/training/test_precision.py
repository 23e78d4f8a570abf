"""Precision: fp32 is float32, TF32 is a precision of its own, and the probe measures each."""

import pytest
import torch

from derm_bench.fidelity.reference import Network, Reference
from derm_bench.stages.runtime import prepare
from derm_bench.training import probe
from derm_bench.training.precision import allow_tf32, autocast, full_float32
from derm_bench_plugins.metrics.inception import InceptionFeatures


def tf32():
    """Whether float32 products, and float32 convolutions, may be rounded to TF32."""
    return torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32


@pytest.fixture(autouse=True)
def settings_restored():
    matmul, cudnn = tf32()
    chosen = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, cudnn
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = chosen


@pytest.fixture
def cuda_is_prepared(monkeypatch):
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)


@pytest.mark.parametrize(("precision", "allowed"), [("fp32", False), ("tf32", True), ("bf16", False)])
def test_a_cuda_stage_uses_tf32_only_where_its_precision_says_so(cuda_is_prepared, precision, allowed):
    allow_tf32(not allowed)
    prepare("cuda:0", torch.get_num_threads(), precision)
    assert tf32() == (allowed, allowed)


def test_a_cuda_stage_uses_no_convolution_whose_sums_have_a_random_order(cuda_is_prepared):
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = False, True
    prepare("cuda:1", torch.get_num_threads(), "bf16")
    assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark


def test_precision_changes_nothing_on_the_cpu():
    for allowed in (True, False):
        allow_tf32(allowed)
        prepare("cpu", torch.get_num_threads(), "fp32")
        assert tf32() == (allowed, allowed)


def test_only_bf16_runs_under_autocast():
    product = torch.ones(2, 2)
    for precision, dtype in (("fp32", torch.float32), ("tf32", torch.float32), ("bf16", torch.bfloat16)):
        with autocast("cpu", precision):
            assert (product @ product).dtype == dtype


def test_full_float32_is_restored_after_an_error_too():
    allow_tf32(True)
    with pytest.raises(KeyError), full_float32():
        assert tf32() == (False, False)
        raise KeyError
    assert tf32() == (True, True)


def test_features_of_inception_are_float32_whatever_the_precision_of_the_stage():
    allow_tf32(True)
    seen = []
    features = object.__new__(InceptionFeatures)
    features.device = "cpu"
    features.network = lambda images: seen.append(tf32()) or [torch.zeros(len(images), 2048)]
    assert features(torch.zeros(40, 3, 8, 8, dtype=torch.uint8)).shape == (40, 2048)
    assert seen == [(False, False)] * 2 and tf32() == (True, True)


def test_features_of_the_reference_network_are_float32_too():
    allow_tf32(True)
    network, seen = Network(2), []
    network.register_forward_hook(lambda *_: seen.append(tf32()))
    Reference(torch.nn.ModuleList([network])).features(torch.zeros(4, 3, 64, 64, dtype=torch.uint8))
    assert seen == [(False, False)] and tf32() == (True, True)


@pytest.mark.parametrize(("seconds", "measured"), [(0.5, True), (1.9, True), (2.1, False), (30.0, False)])
def test_bf16_is_measured_on_a_cpu_unless_it_is_far_slower(monkeypatch, seconds, measured):
    taken = {"fp32": 1.0, "bf16": seconds}
    monkeypatch.setattr(probe, "make_step", lambda device, precision, batch_size: lambda: taken[precision])
    assert ("bf16" in probe.worth_measuring("cpu")) == measured
    assert probe.worth_measuring("cuda") == ("fp32", "tf32", "bf16")


@pytest.mark.parametrize(
    ("taken", "chosen"),
    [
        ({"fp32": [1.0] * 3, "bf16": [0.9] * 3}, "fp32"),
        ({"fp32": [1.0] * 3, "bf16": [0.8] * 3}, "bf16"),
        ({"fp32": [1.0] * 3, "tf32": [0.5] * 3, "bf16": [0.49] * 3}, "tf32"),
        ({"fp32": [1.0] * 3, "tf32": [0.5] * 3, "bf16": [0.3] * 3}, "bf16"),
        ({"fp32": [1.0] * 3, "tf32": [0.95] * 3, "bf16": [0.85] * 3}, "bf16"),
        ({"fp32": [1.0, 9.0, 1.0, 1.0], "bf16": [1.0, 1.0, 9.0, 1.0]}, "fp32"),
        ({"fp32": [2.0, 40.0, 4.0, 2.0], "bf16": [1.0, 20.0, 9.0, 1.0]}, "bf16"),
    ],
)
def test_the_probe_prefers_the_more_exact_precision_unless_another_is_clearly_faster(taken, chosen):
    """The last two: a busy machine slows some steps of either down."""
    assert probe.fastest(taken) == chosen


def test_precisions_take_turns_and_slow_ones_end_after_three_rounds(monkeypatch):
    now, order = [0.0], []
    monkeypatch.setattr(probe.time, "perf_counter", lambda: now[0])

    def step(name):
        def call():
            order.append(name)
            now[0] += 1.0
            return 1.0

        return call

    taken = probe.race({"fp32": step("fp32"), "bf16": step("bf16")}, rounds=9, seconds=5.0)
    assert order == ["fp32", "bf16"] * 3 and taken == {"fp32": [1.0] * 3, "bf16": [1.0] * 3}
    now[0], order[:] = 0.0, []
    assert len(probe.race({"fp32": step("fp32")}, rounds=4, seconds=5.0)["fp32"]) == 4


@pytest.mark.gpu
def test_fp32_products_on_a_gpu_are_exact_to_float32():
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(512, 512, generator=generator) for _ in range(2))
    exact = a.double() @ b.double()
    errors = {}
    for precision in ("fp32", "tf32"):
        prepare("cuda:0", torch.get_num_threads(), precision)
        errors[precision] = ((a.cuda() @ b.cuda()).cpu() - exact).abs().max().item()
    assert errors["fp32"] < 1e-3 < errors["tf32"]
