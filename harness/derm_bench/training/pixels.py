"""Tensors and images that are resident on the device where they fit, and served by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.nn import functional as F

# The share of a GPU's free memory that one tensor may take; larger ones stay in pinned host memory and are sent row by
# row as needed.
ROOM = 0.4


class Rows:
    """A tensor [N,...] of any dtype, whose rows are gathered on the device.

    resident: whether the tensor lies on the device (default: where it takes at most 40% of the memory that is free
    there); otherwise it stays on the host, pinned for a CUDA device, and only gathered rows are sent.
    """

    def __init__(self, data: torch.Tensor, device: str, resident: bool | None = None) -> None:
        self.device = torch.device(device)
        self.resident = _fits(data, self.device) if resident is None else resident
        self.pinned = not self.resident and self.device.type == "cuda"
        self.data = data.to(device) if self.resident else data.pin_memory() if self.pinned else data

    def __len__(self) -> int:
        return len(self.data)

    def gather(self, index: torch.Tensor) -> torch.Tensor:
        """The rows `index` (int64 [n], on the host or the device; for rows that are not resident the host spares a
        synchronisation) as a new tensor [n,...] on the device."""
        index = index.to(self.data.device, non_blocking=True)
        if self.resident:
            return self.data.index_select(0, index)
        rows = torch.empty((len(index), *self.data.shape[1:]), dtype=self.data.dtype, pin_memory=self.pinned)
        return torch.index_select(self.data, 0, index, out=rows).to(self.device, non_blocking=True)


class Pixels:
    """Images uint8 [N,C,H,W], served as normalised float32 on the device.

    They are kept as [N,H,W,C], so that a gathered batch is channels_last without a copy. Images that lie in memory that
    way (a view [N,C,H,W] of such an array, as `derm_bench.images.load_images` gives) are used as they are; others are
    copied. size: side in pixels of what is served. resident: see `Rows`.
    """

    def __init__(
        self,
        images: torch.Tensor,
        device: str,
        size: int,
        mean: Sequence[float],
        std: Sequence[float],
        resident: bool | None = None,
    ) -> None:
        self.rows = Rows(_channels_innermost(images), device, resident)
        self.size, width = size, images.shape[-1]
        self.mean = torch.tensor(mean, device=device).view(1, -1, 1, 1)
        self.std = torch.tensor(std, device=device).view(1, -1, 1, 1)
        # x / 255 normalised is scale x + shift. For a whole line of pixels: to spread three values over the innermost
        # axis takes twice as long.
        scale, shift = 1 / (255 * self.std), -self.mean / self.std
        self._scale, self._shift = (one.flatten().repeat(width) for one in (scale, shift))
        self._stored_size = images.shape[-2]

    def __len__(self) -> int:
        return len(self.rows)

    def gather(self, index: torch.Tensor) -> torch.Tensor:
        """float32 [n,C,size,size] in [0,1] of the rows `index` (int64; see `Rows.gather`); bilinear with antialiasing
        where the stored size differs."""
        images = self.rows.gather(index).permute(0, 3, 1, 2).float().div_(255.0)
        if images.shape[-1] != self.size:
            images = F.interpolate(images, self.size, mode="bilinear", antialias=True)
        return images

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """(images - mean) / std."""
        return images.sub(self.mean).div_(self.std)

    def gather_normalised(self, index: torch.Tensor) -> torch.Tensor:
        """`normalise(gather(index))` up to rounding: where the size stays, in one pass over the pixels."""
        if self._stored_size != self.size:
            return self.normalise(self.gather(index))
        lines = torch.addcmul(self._shift, self.rows.gather(index).flatten(2), self._scale)
        return lines.unflatten(2, (self.size, -1)).permute(0, 3, 1, 2)

    def chunks(self, n: int) -> Iterator[torch.Tensor]:
        """All images once, in order, normalised, `n` at a time."""
        for index in torch.split(torch.arange(len(self)), n):
            yield self.gather_normalised(index)


def _channels_innermost(images: torch.Tensor) -> torch.Tensor:
    """[N,C,H,W] -> [N,H,W,C], contiguous; without a copy where memory is laid out like that."""
    view = images.permute(0, 2, 3, 1)
    return (
        view if view.is_contiguous() else torch.stack(images.unbind(1), dim=-1)
    )  # twice as fast as a copied view


def _fits(data: torch.Tensor, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return data.nbytes <= ROOM * free
