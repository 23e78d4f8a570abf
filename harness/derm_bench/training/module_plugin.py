"""Base class of plugins made of torch modules: their state is that of the parts."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from derm_bench.errors import UserError
from derm_bench.training.weights import compare_keys


class ModulePlugin:
    """A plugin whose state is that of its `parts()`. Keys are `<part>.<parameter or buffer>`."""

    def parts(self) -> dict[str, nn.Module]:
        raise TypeError(f"{type(self).__name__} must define parts()")

    def state(self) -> dict[str, torch.Tensor]:
        """Contiguous CPU copies of all parameters and buffers."""
        return {
            f"{part}.{key}": value.detach().cpu().clone(memory_format=torch.contiguous_format)
            for part, module in self.parts().items()
            for key, value in module.state_dict().items()
        }

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """The reverse of `state`. Raises UserError where keys or shapes differ; nothing is loaded then."""
        own = {
            f"{part}.{k}": v for part, module in self.parts().items() for k, v in module.state_dict().items()
        }
        problems = compare_keys(own, state)
        if problems:
            raise UserError(f"the state does not fit {type(self).__name__}: {'; '.join(problems)}")
        for part, module in self.parts().items():
            module.load_state_dict({key: state[f"{part}.{key}"] for key in module.state_dict()})
            # The layout in which the engine trains; in another one outputs differ in their last digits.
            module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
