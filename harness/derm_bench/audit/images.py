"""The images that an audit looks at: decoded pixels beside the columns that are known of each image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

CHUNK = 512
"""The number of images that are in memory at once."""


@dataclass(frozen=True)
class AuditedImages:
    """The readable images of a split that cleaning has left, as parallel columns.

    pixels: uint8 [M,S,S,3], usually a memory map; rows: int64 [N], the row of each image in it. groups: the lesion or
    patient of each image as the data set knows it, even if the split does not keep groups together. parts: train, val,
    test or reserve. pixel_digests, file_digests: digests of the decoded pixels and of the file. attributes: columns of
    the data set. files: columns of what is known of each file (codec, width, height, bytes, quality); empty for images
    that are not files.
    """

    ids: Sequence[str]
    labels: Sequence[str]
    groups: Sequence[str]
    parts: Sequence[str]
    classes: Sequence[str]
    pixels: np.ndarray
    rows: np.ndarray
    pixel_digests: Sequence[str]
    file_digests: Sequence[str]
    attributes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    files: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def chunks(self) -> Iterator[np.ndarray]:
        """The pixels in order, uint8 [n,S,S,3], a few hundred images at a time."""
        for start in range(0, len(self.rows), CHUNK):
            yield np.asarray(self.pixels[self.rows[start : start + CHUNK]])

    def names(self, where: Sequence[int]) -> list[str]:
        """The ids at some positions."""
        return [self.ids[i] for i in where]
