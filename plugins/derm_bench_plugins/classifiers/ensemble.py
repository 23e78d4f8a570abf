"""An ensemble: the mean of its members' probabilities, weighted by `member_weights` if given (Hansen and Salamon 1990
vote instead).

The harness trains each member as if it were listed in the matrix, all on the same images with the same seed; the
ensemble itself trains nothing. Each member gets images at its input size, normalised as during its training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from derm_bench.errors import UserError
from derm_bench_plugins.classifiers.member_names import member_names

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.run import Run
    from derm_bench.specs import Classifier, Task
    from derm_bench_plugins.classifiers.specs.ensemble import EnsembleOptions

HALF = (0.5, 0.5, 0.5)


class Ensemble:
    """An ensemble. Its mean is 0 and its std is 1: it gets images in [0,1], which are then normalised per member."""

    mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)

    def __init__(self, options: EnsembleOptions, task: Task) -> None:
        names = member_names(len(options.members))
        self.members = [_Member(task.inputs[name], task.input_tasks.get(name, task).size) for name in names]
        weights = torch.tensor(options.member_weights or [1.0] * len(names), dtype=torch.float64)
        self.weights = (weights / weights.sum()).tolist()

    def fit(self, train: ImageSet, val: ImageSet, run: Run) -> None:
        """Train nothing, but evaluate at each step, so that the validation score is recorded as for any classifier."""
        for step in range(1, run.budget + 1):
            run.evaluate(step, self.predict_proba, self.state)

    @torch.inference_mode()
    def predict_proba(self, images: torch.Tensor) -> torch.Tensor:
        """Return probabilities float32 [N,K], whose rows sum to 1, of images float32 [N,3,size,size] in [0,1]."""
        shares = (
            weight * member.predict_proba(images).double()
            for weight, member in zip(self.weights, self.members, strict=True)
        )
        return torch.stack(list(shares)).sum(dim=0).float()

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return the logarithms float32 [N,K] of the mean probabilities, differentiable with respect to images float32
        [N,3,H,W] in [0,1]. Raises UserError if a member has no `logits`."""
        weights = images.new_tensor(self.weights).clamp(min=1e-30).log()
        terms = [
            weight + member.logits(images).log_softmax(dim=1)
            for weight, member in zip(weights, self.members, strict=True)
        ]
        return torch.stack(terms).logsumexp(dim=0)

    def parts(self) -> dict[str, nn.Module]:
        """Return the networks of all members, under names such as `member 1.net`."""
        return {
            f"member {k}.{part}": module
            for k, member in enumerate(self.members, start=1)
            for part, module in member.classifier.parts().items()
        }

    def state(self) -> dict[str, torch.Tensor]:
        """Return an empty state: the state of each member is stored by its training stage."""
        return {}

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        pass


class _Member:
    """A trained classifier that takes images in [0,1] of any side."""

    def __init__(self, classifier: Classifier, size: int) -> None:
        self.classifier, self.size = classifier, size
        mean, std = getattr(classifier, "mean", HALF), getattr(classifier, "std", HALF)
        self.mean, self.std = torch.tensor(mean).view(1, 3, 1, 1), torch.tensor(std).view(1, 3, 1, 1)

    def predict_proba(self, images: torch.Tensor) -> torch.Tensor:
        """Return probabilities [N,K]. The images are resized as the feed resizes them, and then normalised."""
        if images.shape[-1] != self.size:
            images = F.interpolate(images, self.size, mode="bilinear", antialias=True)
        return self.classifier.predict_proba((images - self.mean.to(images)) / self.std.to(images))

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Return the member's logits [N,K] for images in [0,1] of any side."""
        function = getattr(self.classifier, "logits", None)
        if function is None:
            raise UserError(
                f"an ensemble can guide only if its members can: {type(self.classifier).__name__} has no logits(images)"
            )
        logits: torch.Tensor = function(images)
        return logits
