"""The base of all controls but `noise`: real images, drawn in an order that the fit determines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derm_bench.images import Samples
from derm_bench.training.module_plugin import ModulePlugin
from derm_bench_plugins.generators.draw_order import DrawOrder

if TYPE_CHECKING:
    import torch
    from torch import nn

    from derm_bench.images import ImageSet
    from derm_bench.run import Run
    from derm_bench.specs import SampleRequest, Task
    from derm_bench_plugins.generators.specs.control_options import ControlOptions


class RealImages(ModulePlugin):
    """Unchanged images of the requested class, each drawn once before any is drawn again."""

    def __init__(self, options: ControlOptions, task: Task) -> None:
        self.task = task
        self.order = DrawOrder()

    def fit(self, train: ImageSet, run: Run) -> None:
        """Determine the order in which images are drawn."""
        self.order.fix(run.seed)

    def sample(self, request: SampleRequest, train: ImageSet | None = None) -> Samples:
        if train is None:
            raise ValueError("there is no training set to draw from")
        rows = self.rows(request, train)
        return Samples(self.altered(train.images[rows]), [train.ids[i] for i in rows.tolist()])

    def rows(self, request: SampleRequest, train: ImageSet) -> torch.Tensor:
        """Return the drawn images as rows of `train`, int64 [request.n]."""
        return self.order.of_class(train, request)

    def altered(self, images: torch.Tensor) -> torch.Tensor:
        """Return the drawn images, uint8 [n,3,S,S], as the control changes them."""
        return images

    def parts(self) -> dict[str, nn.Module]:
        return {"order": self.order}
