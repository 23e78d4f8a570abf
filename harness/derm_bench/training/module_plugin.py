"""Base class of plugins that consist of torch modules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from derm_bench.errors import UserError
from derm_bench.training.weights import compare_keys


class ModulePlugin:
    """A plugin whose state is the state of its `parts()`. Keys are `<part>.<parameter or buffer>`."""

    def parts(self) -> Mapping[str, nn.Module]:
        raise TypeError(f"{type(self).__name__} must define parts()")

    def state(self) -> dict[str, torch.Tensor]:
        """Return CPU copies of all parameters and buffers, in the memory layout of the networks.

        Names are those of the networks as written: the `_orig_mod.` that `torch.compile` inserts is left out.
        """
        return {
            name: value.detach().cpu().clone()
            for part, module in self.parts().items()
            for name, value in _named(part, module).items()
        }

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Restore the output of `state`, and the memory layout. Raises UserError, without loading anything, if keys or
        shapes differ."""
        own = {
            name: value
            for part, module in self.parts().items()
            for name, value in _named(part, module).items()
        }
        problems = compare_keys(own, state)
        if problems:
            raise UserError(f"the state does not fit {type(self).__name__}: {'; '.join(problems)}")
        for part, module in self.parts().items():
            module.load_state_dict({key: state[_name(part, key)] for key in module.state_dict()})
            # With another layout than in training, outputs differ in their last digits.
            layout = _layout([state[name] for name in _named(part, module)])
            module.to(memory_format=layout)  # type: ignore[call-overload]


def _name(part: str, key: str) -> str:
    return ".".join([part, *(word for word in key.split(".") if word != "_orig_mod")])


def _named(part: str, module: nn.Module) -> dict[str, torch.Tensor]:
    """The state of a part by the names in the state of the plugin."""
    return {_name(part, key): value for key, value in module.state_dict().items()}


def _layout(values: Sequence[torch.Tensor]) -> torch.memory_format:
    """The memory layout of a network with these parameters and buffers. Only those of four dimensions have one, and of
    these none that fits both layouts, such as the kernel of a 1x1 convolution."""
    for value in values:
        if value.ndim == 4 and value.is_contiguous() != value.is_contiguous(
            memory_format=torch.channels_last
        ):
            return torch.contiguous_format if value.is_contiguous() else torch.channels_last
    return torch.channels_last
