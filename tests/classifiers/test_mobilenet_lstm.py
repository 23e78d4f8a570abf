"""mobilenetv2-lstm: the order in which the LSTM reads a map, and the two kinds of weights files."""

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from derm_bench.specs import Task
from derm_bench.training.seeding import seed_everything
from derm_bench_plugins.classifiers.mobilenet_lstm import make
from derm_bench_plugins.classifiers.specs.mobilenet_lstm import MobilenetLstmOptions

TASK = Task(("a", "b", "c"), 64)


def small(task=TASK, seed=0, **options):
    seed_everything(seed)
    return make(MobilenetLstmOptions(**{"width": "035", "hidden": 8} | options), task)


def test_the_map_is_read_row_by_row_and_the_last_state_classified():
    net = small().net.eval()
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    lstm = net.head.lstm
    cell = nn.LSTMCell(1280, 8)
    with torch.no_grad():
        for name, value in cell.named_parameters():
            value.copy_(getattr(lstm, f"{name}_l0"))
        features = net.features(images)
        assert features.shape == (2, 1280, 2, 3)
        h = c = torch.zeros(2, 8)
        for row in range(2):
            for column in range(3):
                h, c = cell(features[:, :, row, column], (h, c))
        torch.testing.assert_close(net(images), net.head.linear(h))


def test_a_file_of_mobilenet_v2_starts_the_features_alone(tmp_path):
    seed_everything(3)
    published = timm.create_model("mobilenetv2_035", num_classes=10)
    save_file(published.state_dict(), tmp_path / "mobilenet.safetensors")
    plain, made = small(), small(weights=tmp_path / "mobilenet.safetensors")
    assert torch.equal(made.net.features.conv_head.weight, published.conv_head.weight)
    assert torch.equal(made.net.head.linear.weight, plain.net.head.linear.weight)
    assert made.weights_from["file"] == "mobilenet.safetensors" and plain.weights_from == {}
    assert made.mean == (0.485, 0.456, 0.406) and plain.mean == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(("classes", "keeps_head"), [("abc", True), ("abcd", False)])
def test_a_file_of_the_whole_network_brings_its_head_where_the_classes_are_as_many(
    tmp_path, classes, keeps_head
):
    source = small(seed=1)
    save_file(source.net.state_dict(), tmp_path / "whole.safetensors")
    made = small(Task(tuple(classes), 64), weights=tmp_path / "whole.safetensors")
    assert torch.equal(made.net.features.conv_head.weight, source.net.features.conv_head.weight)
    assert torch.equal(made.net.head.lstm.weight_ih_l0, source.net.head.lstm.weight_ih_l0) is keeps_head
