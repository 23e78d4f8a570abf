"""Control `shuffled-label`: training images under labels drawn from the training prior: images without a class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derm_bench_plugins.generators.controls.real_images import RealImages

if TYPE_CHECKING:
    import torch

    from derm_bench.images import ImageSet
    from derm_bench.specs import SampleRequest


class ShuffledLabel(RealImages):
    """For every label, images of the whole training set. They are drawn evenly, so that their true classes follow its
    prior, and exactly over as many draws as it has images."""

    def rows(self, request: SampleRequest, train: ImageSet) -> torch.Tensor:
        return self.order.rows(len(train), request)
