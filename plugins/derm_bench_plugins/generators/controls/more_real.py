"""Control `more-real`: images of the reserve, which shows what as many new real images would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from derm_bench.errors import UserError
from derm_bench_plugins.generators.controls.real_images import RealImages

if TYPE_CHECKING:
    import torch

    from derm_bench.images import ImageSet
    from derm_bench.specs import SampleRequest


class MoreReal(RealImages):
    """The images of the reserve, each once; `train` is the reserve here, as the spec's `reads` says."""

    def rows(self, request: SampleRequest, train: ImageSet) -> torch.Tensor:
        """UserError where more are to be kept than there are; a chunk may run over the end."""
        have = len(train) if request.label is None else int((train.labels == request.label).sum())
        wanted = request.start + request.n if request.total is None else request.total
        if wanted > have:
            name = "" if request.label is None else f" of '{train.classes[request.label]}'"
            raise UserError(
                f"the reserve has {have} images{name}, {wanted} are asked for",
                hint="raise split.reserve, or ask for fewer",
            )
        return super().rows(request, train)
