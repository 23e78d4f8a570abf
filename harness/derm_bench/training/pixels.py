"""Tensors and images that are kept on the device if they fit, and gathered by row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.nn import functional as F

# The share of a GPU's free memory that one tensor may take. Larger tensors stay in pinned host memory, and only the
# requested rows are sent.
ROOM = 0.4


class Rows:
    """A tensor [N,...] of any dtype, whose rows are gathered on the device.

    resident: whether the tensor is kept on the device (default: if it takes at most 40% of the free memory there).
    Otherwise it stays on the host, pinned for a CUDA device, and only gathered rows are sent.
    """

    def __init__(self, data: torch.Tensor, device: str, resident: bool | None = None) -> None:
        self.device = torch.device(device)
        self.resident = _fits(data, self.device) if resident is None else resident
        self.pinned = not self.resident and self.device.type == "cuda"
        self.data = data.to(device) if self.resident else data.pin_memory() if self.pinned else data

    def __len__(self) -> int:
        return len(self.data)

    def gather(self, index: torch.Tensor) -> torch.Tensor:
        """Return the rows `index` as a new tensor [n,...] on the device. `index` is int64 [n] on the host or the
        device; for rows that are not resident, an index on the host avoids a synchronisation."""
        index = index.to(self.data.device, non_blocking=True)
        if self.resident:
            return self.data.index_select(0, index)
        rows = torch.empty((len(index), *self.data.shape[1:]), dtype=self.data.dtype, pin_memory=self.pinned)
        return torch.index_select(self.data, 0, index, out=rows).to(self.device, non_blocking=True)


class Pixels:
    """Images uint8 [N,C,H,W] that are gathered as normalised float32 on the device.

    They are stored as [N,H,W,C], so that a gathered batch is channels_last without a copy. Images with this memory
    layout (a view [N,C,H,W] of such an array, as `derm_bench.images.load_images` returns) are not copied; others are.
    size: side of gathered images in pixels. resident: see `Rows`.
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
        # x / 255 normalised is scale x + shift. Both are expanded to a whole line of pixels, as broadcasting three
        # values over the innermost axis takes twice as long.
        scale, shift = 1 / (255 * self.std), -self.mean / self.std
        self._scale, self._shift = (one.flatten().repeat(width) for one in (scale, shift))
        self._stored_size = images.shape[-2]
        self._gathered = self.rows.data[:0]

    def __len__(self) -> int:
        return len(self.rows)

    def gather(self, index: torch.Tensor) -> torch.Tensor:
        """Return float32 [n,C,size,size] in [0,1] for the rows `index` (int64; see `Rows.gather`). If the stored size
        differs, images are resized, bilinear with antialiasing."""
        images = self.rows.gather(index).permute(0, 3, 1, 2).float().div_(255.0)
        if images.shape[-1] != self.size:
            images = F.interpolate(images, self.size, mode="bilinear", antialias=True)
        return images

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Return (images - mean) / std."""
        return images.sub(self.mean).div_(self.std)

    def gather_normalised(self, index: torch.Tensor) -> torch.Tensor:
        """Return `normalise(gather(index))` up to rounding, without a pass for each step if the size is unchanged."""
        if self._stored_size != self.size:
            return self.normalise(self.gather(index))
        if self.rows.data.device.type == "cpu" and self.rows.resident:
            # In steps of their own, as only operands of one dtype are vectorised, the first into memory that is kept.
            if len(self._gathered) != len(index):
                with torch.inference_mode(False):  # a later call may be outside of that mode
                    self._gathered = self.rows.data.new_empty(len(index), *self.rows.data.shape[1:])
            lines = torch.index_select(self.rows.data, 0, index, out=self._gathered).flatten(2).float()
            torch.addcmul(self._shift, lines, self._scale, out=lines)
        else:
            lines = torch.addcmul(self._shift, self.rows.gather(index).flatten(2), self._scale)
        # The number of channels is stated, as -1 is ambiguous if there are no images.
        return lines.view(len(lines), self.size, self.size, self.mean.shape[1]).permute(0, 3, 1, 2)

    def chunks(self, n: int) -> Iterator[torch.Tensor]:
        """Yield all images in order, normalised, `n` at a time; nothing if there are none."""
        for index in torch.arange(len(self)).split(n) if len(self) else ():
            yield self.gather_normalised(index)


def _channels_innermost(images: torch.Tensor) -> torch.Tensor:
    """Convert [N,C,H,W] to contiguous [N,H,W,C], without a copy if memory already has this layout."""
    view = images.permute(0, 2, 3, 1)
    return (
        view if view.is_contiguous() else torch.stack(images.unbind(1), dim=-1)
    )  # twice as fast as a copied view


def _fits(data: torch.Tensor, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return data.nbytes <= ROOM * free
