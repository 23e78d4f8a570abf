"""The state of a plugin of torch modules: names as written, also under torch.compile; the layout of the training."""

import pytest
import torch
from torch import nn

from derm_bench.errors import UserError
from derm_bench.stages.weights import load_state, save_state
from derm_bench.training.module_plugin import ModulePlugin

LAST, FIRST = torch.channels_last, torch.contiguous_format


class Plugin(ModulePlugin):
    def __init__(self, *layers):
        self.net = nn.Sequential(*layers)

    def parts(self):
        return {"net": self.net}


def conv(kernel=3):
    return nn.Conv2d(3, 4, kernel)


def through_a_file(plugin, tmp_path):
    save_state(tmp_path / "state.safetensors", plugin.state())
    return load_state(tmp_path / "state.safetensors")


def compiled_whole(plugin):
    plugin.net = torch.compile(plugin.net, backend="eager")


def compiled_inside(plugin):
    plugin.net[1] = torch.compile(plugin.net[1], backend="eager")


@pytest.mark.parametrize("compiled", [compiled_whole, compiled_inside])
@pytest.mark.parametrize("which", ["fitted", "fresh", "both"])
def test_a_state_fits_whether_or_not_a_network_is_compiled(tmp_path, compiled, which):
    fitted, fresh = (
        Plugin(conv(), nn.Sequential(nn.BatchNorm2d(4))),
        Plugin(conv(), nn.Sequential(nn.BatchNorm2d(4))),
    )
    for plugin in (fitted, fresh):
        if which == "both" or plugin is locals()[which]:
            compiled(plugin)
    state = through_a_file(fitted, tmp_path)
    assert not any("_orig_mod" in name for name in state)
    fresh.load_state(state)
    assert all(torch.equal(value, state[name]) for name, value in fresh.state().items())


def test_a_state_that_does_not_fit_a_compiled_network_is_told_in_its_own_names():
    plugin = Plugin(conv())
    compiled_whole(plugin)
    with pytest.raises(UserError, match=r"missing: net\.0\.bias$"):
        plugin.load_state({"net.0.weight": torch.zeros(4, 3, 3, 3)})


@pytest.mark.parametrize("layout", [LAST, FIRST])
def test_a_restored_network_has_the_memory_layout_in_which_it_was_trained(tmp_path, layout):
    fitted, fresh = Plugin(conv(), conv(1)), Plugin(conv(), conv(1))
    fitted.net.to(memory_format=layout)
    fresh.net.to(memory_format=FIRST if layout is LAST else LAST)
    fresh.load_state(through_a_file(fitted, tmp_path))
    weight = fresh.net[0].weight
    assert weight.is_contiguous(memory_format=layout)
    assert weight.is_contiguous() == (layout is FIRST)
    assert torch.equal(weight, fitted.net[0].weight)


@pytest.mark.parametrize("layers", [(conv(1),), (nn.Linear(2, 2),)])
def test_networks_without_a_layout_are_restored_too(tmp_path, layers):
    plugin = Plugin(*layers)
    state = through_a_file(plugin, tmp_path)
    plugin.load_state(state)
    assert all(torch.equal(value, state[name]) for name, value in plugin.state().items())


def test_the_state_is_a_copy():
    plugin = Plugin(conv())
    state = plugin.state()
    with torch.no_grad():
        plugin.net[0].weight += 1
    assert not torch.equal(state["net.0.weight"], plugin.net[0].weight)
