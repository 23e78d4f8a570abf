"""ImageSet and Samples, the images that plugins get and return. Imports torch, so only workers import it.

Images are tensors [N,C,H,W]. On disk their layout is [N,H,W,C], in which they are consumed, and a tensor that is read
is a view of such an array (channels_last in torch). Both layouts are valid everywhere; code whose rounding depends on
the layout calls `.contiguous()` first.
"""

from __future__ import annotations

import contextlib
import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

AT_ONCE_BYTES = 2**30
"""Size of the images up to which the pages of their file are mapped at once."""
MADV_POPULATE_READ = 22  # of Linux 5.14


@dataclass(frozen=True)
class ImageSet:
    """Labelled images in memory.

    images: uint8 [N,3,H,W]; labels: int64 [N], indices into `classes`; ids: unique names, in order;
    groups: lesion or patient of each image; attributes: columns by name (age, sex, site, tone, source, licence);
    masks: uint8 [N,1,H,W], 0 or 255; aux_labels: int64 [N] by task, -1 for an image without a label;
    ordinal: the classes are ordered grades;
    data: tensors [N,...] of any other shape and dtype by name, one row per image (hair maps, volumes), which
    `run.batches` serves as `Batch.data`. Resizing the images leaves `data` unchanged.
    Raises ValueError if shapes or lengths differ from this.
    """

    images: torch.Tensor
    labels: torch.Tensor
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    groups: tuple[str, ...]
    attributes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    masks: torch.Tensor | None = None
    aux_labels: Mapping[str, torch.Tensor] = field(default_factory=dict)
    ordinal: bool = False
    data: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.ids)
        if self.images.dtype != torch.uint8 or self.images.ndim != 4 or self.images.shape[1] != 3:
            raise ValueError(
                f"images must be uint8 [N,3,H,W], not {self.images.dtype} {tuple(self.images.shape)}"
            )
        if len(self.images) != n or len(self.labels) != n or len(self.groups) != n:
            raise ValueError("images, labels, ids and groups must have equal lengths")
        for name, values in self.data.items():
            if values.ndim < 1 or len(values) != n:
                raise ValueError(
                    f"data '{name}' must have {n} rows, one per image, not {tuple(values.shape)}"
                )

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def size(self) -> int:
        """Side of the square images, in pixels."""
        return int(self.images.shape[-1])

    def subset(self, indices: Sequence[int] | torch.Tensor) -> ImageSet:
        """The images at `indices`, in that order, with their labels, groups, masks and other columns."""
        index = torch.as_tensor(indices, dtype=torch.int64)
        where = index.tolist()
        return replace(
            self,
            images=rows_of(self.images, index),
            labels=self.labels[index],
            ids=tuple(self.ids[i] for i in where),
            groups=tuple(self.groups[i] for i in where),
            attributes={name: [column[i] for i in where] for name, column in self.attributes.items()},
            masks=None if self.masks is None else rows_of(self.masks, index),
            aux_labels={name: column[index] for name, column in self.aux_labels.items()},
            data={name: values[index] for name, values in self.data.items()},
        )

    def of_classes(self, names: Sequence[str]) -> ImageSet:
        """Only the images of `names`, relabelled to that list of classes."""
        position = {self.classes.index(name): k for k, name in enumerate(names)}
        keep = [i for i, label in enumerate(self.labels.tolist()) if label in position]
        chosen = self.subset(keep)
        labels = torch.tensor([position[label] for label in chosen.labels.tolist()], dtype=torch.int64)
        return replace(chosen, labels=labels, classes=tuple(names))


@dataclass(frozen=True)
class Samples:
    """The images that a generator returns: `images` uint8 [n,3,S,S]; `source_ids`, the id of the real image that each
    was made from, if there is one; `attributes`, columns by name."""

    images: torch.Tensor
    source_ids: Sequence[str] | None = None
    attributes: Mapping[str, Sequence[Any]] = field(default_factory=dict)


def load_images(path: Path, rows: Sequence[int] | slice | None = None) -> torch.Tensor:
    """Loads images or masks of an .npy file uint8 [N,H,W,C], C = 3 or 1, as a view uint8 [n,C,H,W] of memory in that
    order.

    rows: the rows to read, in this order (default all). They are gathered once through a memory map, so that the rest
    of the file is not read. Consecutive rows are not copied: they are a private map of the file, which reads them when
    they are used and shares them with other processes; writing to them does not change the file. Raises ValueError for
    an array of another kind, OSError for a file that cannot be read.
    """
    array = np.load(path, mmap_mode="c", allow_pickle=False)
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[-1] not in (1, 3):
        raise ValueError(f"{path} must contain uint8 [N,H,W,3] or [N,H,W,1], not {array.dtype} {array.shape}")
    if isinstance(rows, slice):
        array = array[rows].copy()
    elif rows is not None:
        where = np.asarray(rows, dtype=np.int64)
        consecutive = len(where) > 0 and where[0] >= 0 and bool((np.diff(where) == 1).all())
        if len(where):
            _map_at_once(array, where)
        array = array[where[0] : where[-1] + 1] if consecutive else np.take(array, where, axis=0)
    return torch.from_numpy(np.ascontiguousarray(array)).permute(0, 3, 1, 2)


def _map_at_once(array: np.memmap[Any, Any], rows: np.ndarray) -> None:
    """Maps the pages of the rows in one call, if nearly all of what lies between the first and the last is used. Each
    page would cause an interrupt of its own when it is first used, which takes several times as long."""
    first, last, size = int(rows.min()), int(rows.max()) + 1, array[:1].nbytes
    pages = array.base
    if first < 0 or (last - first) * size > AT_ONCE_BYTES or last - first > 2 * len(rows):
        return
    start = array.offset + first * size
    start -= start % mmap.PAGESIZE
    if isinstance(pages, mmap.mmap):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # an older kernel, or another system
            pages.madvise(MADV_POPULATE_READ, start, array.offset + last * size - start)


def load_rows(path: Path, rows: Sequence[int]) -> torch.Tensor:
    """Loads some rows of an .npy file [N,...] of numbers, in this order, as a tensor [n,...] of the same dtype. They
    are gathered once through a memory map."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    return torch.from_numpy(np.ascontiguousarray(np.take(array, np.asarray(rows, dtype=np.int64), axis=0)))


def save_images(path: Path, images: torch.Tensor) -> None:
    """Writes images or masks uint8 [N,C,H,W] as the .npy file [N,H,W,C] that `load_images` reads."""
    np.save(path, np.ascontiguousarray(images.cpu().permute(0, 2, 3, 1).numpy()), allow_pickle=False)


def rows_of(images: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
    """Returns `images[index]` for images [N,C,H,W] and index int64 [n], as a copy in the layout of `images`."""
    interleaved = images.permute(0, 2, 3, 1)
    if images.is_contiguous() or not interleaved.is_contiguous():
        return images[index]
    return interleaved[index].permute(0, 3, 1, 2)
