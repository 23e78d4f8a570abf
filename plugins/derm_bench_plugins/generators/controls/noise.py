"""Control `noise`: pixels drawn uniformly. It shows the effect of images without content."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from derm_bench.images import Samples
from derm_bench.training.module_plugin import ModulePlugin
from derm_bench.training.seeding import stream

if TYPE_CHECKING:
    from torch import nn

    from derm_bench.images import ImageSet
    from derm_bench.run import Run
    from derm_bench.specs import SampleRequest, Task
    from derm_bench_plugins.generators.specs.control_options import ControlOptions


class Noise(ModulePlugin):
    """Images in which each channel of each pixel is uniform over 0 to 255."""

    def __init__(self, options: ControlOptions, task: Task) -> None:
        self.size = task.size

    def fit(self, train: ImageSet, run: Run) -> None:
        """Do nothing: there is nothing to train."""

    def sample(self, request: SampleRequest, train: ImageSet | None = None) -> Samples:
        noise = stream(request.seed, f"noise/{request.label}")
        shape = (request.n, 3, self.size, self.size)
        return Samples(torch.randint(0, 256, shape, generator=noise, dtype=torch.uint8))

    def parts(self) -> dict[str, nn.Module]:
        return {}
