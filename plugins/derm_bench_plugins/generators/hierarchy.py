"""The hierarchy of StyleGAN2 of paper 001, which makes faces of healthy skin and of graded acne from few photographs.

    1  base     a network of faces: FFHQ in the paper (`base.weights`), else fitted to the healthy class
    2  A        from the base, fitted to all grades at once, without their labels
    3  sorted   samples of A, sorted into grades (`graded`)
    4  B        one network per grade, fitted to the sorted samples: from the base again (`paper`), as A's start in the
                paper's curves suggests, or from A (`chained`)
    5  images   of a grade from its B; of healthy skin from the base

Each is an ordinary generator of the matrix, so that cells and strategies share it; this one holds none of its own and
passes requests on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from derm_bench.images import Samples
from derm_bench.specs import SampleRequest
from derm_bench.training.module_plugin import ModulePlugin
from derm_bench_plugins.generators.specs.hierarchy import HEALTHY, network_of

if TYPE_CHECKING:
    from torch import nn

    from derm_bench.images import ImageSet
    from derm_bench.run import Run
    from derm_bench.specs import Task
    from derm_bench_plugins.generators.specs.hierarchy import HierarchyOptions


class Hierarchy(ModulePlugin):
    """Draws images of a class from the network of the class."""

    def __init__(self, options: HierarchyOptions, task: Task) -> None:
        self.options, self.task = options, task

    def fit(self, train: ImageSet, run: Run) -> None:
        """Do nothing: all networks are fitted by stages of their own."""

    def sample(self, request: SampleRequest, train: ImageSet | None = None) -> Samples:
        """Return uint8 [n,3,S,S] of the class. The attribute `network` names the network."""
        name = self.task.classes[request.label or 0]
        network = HEALTHY if name == self.options.healthy else network_of(name)
        drawn = self.task.inputs[network].sample(
            SampleRequest(None, request.n, request.seed, request.start, request.total)
        )
        return Samples(drawn.images, attributes={"network": [network] * request.n})

    def parts(self) -> dict[str, nn.Module]:
        return {}
