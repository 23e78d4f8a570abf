"""Base classes of plugins made of torch modules: state from the parts, and prediction in chunks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn

from derm_bench.errors import UserError
from derm_bench.images import ImageSet
from derm_bench.run import Run
from derm_bench.specs import ClassifierOptions, Task
from derm_bench.training.classification import fit_classifier, predict_proba
from derm_bench.training.weights import compare_keys, load_network, origin_of


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


class ModuleClassifier(ModulePlugin):
    """A classifier of one network, trained by `fit_classifier`.

    net: images float32 [N,3,size,size] -> logits [N,K]; head: its last layer, not loaded from a weights file
    for other classes, and the only part that trains under `freeze`; mean, std: of pixels in [0,1], which the harness
    normalises with; unused: beginnings of names in a weights file that the network has no place for.
    `weights_from` names the weights file that it started from, for the results.
    """

    def __init__(
        self,
        net: nn.Module,
        head: nn.Module,
        options: ClassifierOptions,
        task: Task,
        mean: tuple[float, ...] = (0.5, 0.5, 0.5),
        std: tuple[float, ...] = (0.5, 0.5, 0.5),
        unused: Sequence[str] = (),
    ) -> None:
        self.net, self.head = net.to(task.device), head
        self.options, self.task = options, task
        self.mean, self.std = mean, std
        self.weights_from: dict[str, str] = {}
        if options.weights is not None:
            load_network(self.net, self.head, options.weights, unused)
            self.weights_from = origin_of(options.weights)

    def fit(self, train: ImageSet, val: ImageSet, run: Run) -> None:
        fit_classifier(self.net, train, val, run, self.options, head=self.head)

    def predict_proba(self, images: torch.Tensor) -> torch.Tensor:
        """float32 [N,K], rows sum to 1; in eval mode, 256 images per forward pass."""
        return predict_proba(self.net, images, self.options.loss)

    def parts(self) -> dict[str, nn.Module]:
        return {"net": self.net}
