"""Control `shuffled-label`: training images with labels drawn from the training prior, so that images have no class."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derm_bench_plugins.generators.controls.real_images import RealImages

if TYPE_CHECKING:
    import torch

    from derm_bench.images import ImageSet
    from derm_bench.specs import SampleRequest


class ShuffledLabel(RealImages):
    """For every label, images of the whole training set.

    Each image is drawn once before any is drawn again, so that the true classes follow the prior of the training set,
    exactly so after as many draws as it has images.
    """

    def rows(self, request: SampleRequest, train: ImageSet) -> torch.Tensor:
        return self.order.rows(len(train), request)
