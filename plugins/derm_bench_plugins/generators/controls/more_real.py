"""Control `more-real`: images of the reserve. It shows the effect of as many new real images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derm_bench.errors import UserError
from derm_bench_plugins.generators.controls.real_images import RealImages

if TYPE_CHECKING:
    import torch

    from derm_bench.images import ImageSet
    from derm_bench.specs import SampleRequest


class MoreReal(RealImages):
    """The images of the reserve, each once. The argument `train` is the reserve, as `reads` in the spec declares."""

    def rows(self, request: SampleRequest, train: ImageSet) -> torch.Tensor:
        """Return the drawn rows of `train`. A chunk may extend beyond the last image.

        Raises UserError if the whole request needs more images than there are.
        """
        have = len(train) if request.label is None else int((train.labels == request.label).sum())
        wanted = request.start + request.n if request.total is None else request.total
        if wanted > have:
            name = "" if request.label is None else f" of '{train.classes[request.label]}'"
            raise UserError(
                f"the reserve has {have} images{name}, but {wanted} are requested",
                hint="raise split.reserve, or request fewer images",
            )
        return super().rows(request, train)
