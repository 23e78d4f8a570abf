"""Base class of plugins that consist of torch modules."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from derm_bench.errors import UserError
from derm_bench.training.weights import compare_keys


class ModulePlugin:
    """A plugin whose state is the state of its `parts()`. Keys are `<part>.<parameter or buffer>`."""

    def parts(self) -> Mapping[str, nn.Module]:
        raise TypeError(f"{type(self).__name__} must define parts()")

    def state(self) -> dict[str, torch.Tensor]:
        """Return contiguous CPU copies of all parameters and buffers."""
        return {
            f"{part}.{key}": value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for part, module in self.parts().items()
            for key, value in module.state_dict().items()
        }

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Restore the output of `state`. Raises UserError, without loading anything, if keys or shapes differ."""
        own = {
            f"{part}.{k}": v for part, module in self.parts().items() for k, v in module.state_dict().items()
        }
        problems = compare_keys(own, state)
        if problems:
            raise UserError(f"the state does not fit {type(self).__name__}: {'; '.join(problems)}")
        for part, module in self.parts().items():
            module.load_state_dict({key: state[f"{part}.{key}"] for key in module.state_dict()})
            # The memory layout that the engine uses for training; with another one, outputs differ in their last
            # digits.
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
