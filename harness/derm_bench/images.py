"""ImageSet and Samples: what generators and classifiers are given and what they give. Imports torch: workers only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch


@dataclass(frozen=True)
class ImageSet:
    """Labelled images in memory.

    images: uint8 [N,3,H,W]; labels: int64 [N], indices into `classes`; ids: unique names, in order;
    groups: lesion or patient of each image; attributes: columns by name (age, sex, site, tone, source, licence);
    masks: uint8 [N,1,H,W], 0 or 255; aux_labels: int64 [N] by task; ordinal: the classes are ordered grades.
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

    def __post_init__(self) -> None:
        n = len(self.ids)
        if self.images.dtype != torch.uint8 or self.images.ndim != 4 or self.images.shape[1] != 3:
            raise ValueError(
                f"images must be uint8 [N,3,H,W], not {self.images.dtype} {tuple(self.images.shape)}"
            )
        if len(self.images) != n or len(self.labels) != n or len(self.groups) != n:
            raise ValueError("images, labels, ids and groups must be equally many")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def size(self) -> int:
        """Side of the square images, in pixels."""
        return int(self.images.shape[-1])

    def subset(self, indices: Sequence[int] | torch.Tensor) -> ImageSet:
        """The images at `indices`, in that order, with everything that belongs to them."""
        index = torch.as_tensor(indices, dtype=torch.int64)
        where = index.tolist()
        return replace(
            self,
            images=self.images[index],
            labels=self.labels[index],
            ids=tuple(self.ids[i] for i in where),
            groups=tuple(self.groups[i] for i in where),
            attributes={name: [column[i] for i in where] for name, column in self.attributes.items()},
            masks=None if self.masks is None else self.masks[index],
            aux_labels={name: column[index] for name, column in self.aux_labels.items()},
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
    """What a generator returns: `images` uint8 [n,3,S,S]; `source_ids` name the real image each was made from, where
    one was; `attributes` are columns by name."""

    images: torch.Tensor
    source_ids: Sequence[str] | None = None
    attributes: Mapping[str, Sequence[Any]] = field(default_factory=dict)
