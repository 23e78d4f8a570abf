"""A user's weights: what loads, and what is refused with which words."""

import pickle

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from derm_bench.errors import UserError
from derm_bench.training.module_plugin import ModulePlugin
from derm_bench.training.weights import load_network, read_weights


class Net(nn.Module):
    def __init__(self, classes=3, width=4):
        super().__init__()
        self.body = nn.Linear(2, width)
        self.head = nn.Linear(width, classes)


WRAPPINGS = {
    "plain": lambda state: state,
    "nested": lambda state: {"state_dict": state},
    "lightning": lambda state: {"state_dict": {f"model.{key}": value for key, value in state.items()}},
    "compiled in a wrapper": lambda state: {f"model.module.{key}": value for key, value in state.items()},
    "data-parallel": lambda state: {f"module.{key}": value for key, value in state.items()},
}


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS)
def test_torch_files_load_plain_nested_or_from_data_parallel(tmp_path, wrap):
    source, net = Net(), Net()
    torch.save(wrap(source.state_dict()), tmp_path / "w.pt")
    load_network(net, net.head, tmp_path / "w.pt")
    assert torch.equal(net.body.weight, source.body.weight) and torch.equal(net.head.bias, source.head.bias)


def test_a_network_with_a_part_called_model_keeps_its_names(tmp_path):
    source, net = nn.ModuleDict({"model": Net()}), nn.ModuleDict({"model": Net()})
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    load_network(net, None, tmp_path / "w.safetensors")
    assert torch.equal(net["model"].body.weight, source["model"].body.weight)


def test_a_head_of_other_classes_stays_as_initialised(tmp_path):
    source, net = Net(classes=7), Net(classes=3)
    head = net.head.weight.detach().clone()
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    load_network(net, net.head, tmp_path / "w.safetensors")
    assert torch.equal(net.body.weight, source.body.weight) and torch.equal(net.head.weight, head)


def test_a_body_that_does_not_fit_is_refused_by_name_and_nothing_is_loaded(tmp_path):
    net = Net()
    before = net.body.bias.detach().clone()
    state = {"body.weight": torch.zeros(9, 2), "body.bias": torch.zeros(4), "tail.weight": torch.zeros(1)}
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(UserError) as error:
        load_network(net, net.head, tmp_path / "w.safetensors")
    message = str(error.value)
    assert "unexpected: tail.weight" in message and "body.weight is [9, 2] instead of [4, 2]" in message
    assert "head" not in message.splitlines()[0] and str(tmp_path) in message
    assert torch.equal(net.body.bias, before)


def test_pickled_code_is_refused_and_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    with (tmp_path / "w.pt").open("wb") as file:
        pickle.dump({"state_dict": Trap()}, file, protocol=2)
    with pytest.raises(UserError, match="weights_only"):
        read_weights(tmp_path / "w.pt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_files_that_hold_no_weights_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"no weights at all")
    with pytest.raises(UserError, match="cannot be read"):
        read_weights(tmp_path / name)


def test_missing_large_and_strange_files_are_refused(tmp_path):
    with pytest.raises(UserError, match="no weights file") as error:
        read_weights(tmp_path / "none.pt")
    assert str(tmp_path / "none.pt") in str(error.value)
    torch.save({"epoch": 3, "w": torch.zeros(2)}, tmp_path / "w.pt")
    with pytest.raises(UserError, match="are not tensors: epoch"):
        read_weights(tmp_path / "w.pt")
    with pytest.raises(UserError, match="at most 10 are read"):
        read_weights(tmp_path / "w.pt", max_bytes=10)


class Plugin(ModulePlugin):
    def __init__(self, width=4):
        self.a, self.b = Net(width=width), nn.BatchNorm1d(2)

    def parts(self):
        return {"a": self.a, "b": self.b}


def test_a_plugin_state_goes_round(tmp_path):
    one, two = Plugin(), Plugin()
    save_file(one.state(), tmp_path / "state.safetensors")
    two.load_state(read_weights(tmp_path / "state.safetensors"))
    assert all(torch.equal(value, two.state()[key]) for key, value in one.state().items())
    one.a.body.weight.data.add_(1)
    assert not torch.equal(one.a.body.weight, two.a.body.weight)


def test_a_state_of_another_shape_is_refused():
    with pytest.raises(UserError, match=r"a\.body\.weight is \[5, 2\] instead of \[4, 2\]"):
        Plugin().load_state(Plugin(width=5).state())
