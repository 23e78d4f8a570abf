"""The data feed: shuffled, balanced, augmented, normalised and mixed training batches on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.nn import functional as F

from derm_bench.images import ImageSet
from derm_bench.run import Batch
from derm_bench.training.augment import ImageTransform, compose, is_affine
from derm_bench.training.pixels import Pixels, Rows
from derm_bench.training.seeding import stream

BatchTransform = Callable[[torch.Tensor, torch.Tensor, torch.Generator], tuple[torch.Tensor, torch.Tensor]]
Balance = Literal["oversample", "class-weights"]

HALF = (0.5, 0.5, 0.5)


@dataclass(frozen=True, eq=False)
class FeedOptions:
    """Options for how training batches are made.

    batch_size: images per update. size: side of the network's input in pixels (default: the stored size). mean, std:
    for normalising pixels in [0,1], one value per channel. image_transforms: augmentation, in order. batch_transforms:
    mixing, after normalisation. balance: `oversample` or `class-weights`, see `Feed`. label_smoothing: the share of a
    target that is spread evenly over the classes.
    """

    batch_size: int = 64
    size: int | None = None
    mean: Sequence[float] = HALF
    std: Sequence[float] = HALF
    image_transforms: Sequence[ImageTransform] = ()
    batch_transforms: Sequence[BatchTransform] = ()
    balance: Balance | None = None
    label_smoothing: float = 0.0


class Feed:
    """An endless sequence of training batches of `train`, the same for the same `seed`.

    Every batch is full: the last batch of an epoch is completed from the next epoch. An epoch contains each image once,
    or, with `balance: oversample`, each class as often as the largest class (whole copies, and the rest drawn without
    replacement). `class-weights` weights the targets, after mixing and smoothing (see `weighted`). The weight of a
    class is N / (K' n_class), where K' is the number of classes present, so that weights average 1 over the set. Order
    and augmentation draw from separate streams, so that arms with different augmentation see the images in the same
    order.

    masks: whether batches contain the masks of `train`. An affine transform (one with `matrices`) is applied to masks
    as to images; any other transform is assumed to leave geometry unchanged. Raises ValueError if `train` has no masks,
    and if images are mixed, since a mixed image has no mask. Named data of `train` is gathered for the same rows, and
    is neither augmented nor mixed.
    """

    def __init__(
        self, train: ImageSet, options: FeedOptions, seed: int, *, device: str = "cpu", masks: bool = False
    ) -> None:
        if not len(train):
            raise ValueError("there is no image to train on")
        if masks and (train.masks is None or options.batch_transforms):
            why = "images are mixed" if options.batch_transforms else "the training set has none"
            raise ValueError(f"batches with masks are not possible: {why}")
        self.options, self.device = options, device
        size = options.size or train.size
        self.pixels = Pixels(train.images, device, size, options.mean, options.std)
        self.masks: Pixels | None = None
        if masks and train.masks is not None:
            self.masks = Pixels(train.masks, device, size, (0.0,), (1.0,))
        self.data = {name: Rows(values, device) for name, values in train.data.items()}
        self.labels, self.n_classes = train.labels, len(train.classes)
        self.onehot = _onehot(train.labels, self.n_classes).to(device)
        self.class_weights = self._class_weights().to(device)
        # Of unmixed images, the same in every epoch.
        self._final = None if options.batch_transforms else self._finished(self.onehot)
        self.aux = {task: _onehot(column).to(device) for task, column in train.aux_labels.items()}
        self.image_transforms = compose(options.image_transforms)
        self.order, self.augmentation = stream(seed, "order"), stream(seed, "augment", device)
        self._waiting = torch.empty(0, dtype=torch.int64)  # remaining rows of the epoch

    @property
    def epoch_length(self) -> int:
        """The number of images per epoch."""
        return len(self._epoch_rows(torch.Generator()))

    def indices(self) -> Iterator[torch.Tensor]:
        """Yield the rows of each batch, int64 [batch_size] on the CPU."""
        while True:
            while len(self._waiting) < self.options.batch_size:
                rows = self._epoch_rows(self.order)
                shuffled = rows[torch.randperm(len(rows), generator=self.order)]
                self._waiting = torch.cat([self._waiting, shuffled])
            # Rows are removed before the yield, so that `state` between two batches describes the next batch.
            size = self.options.batch_size
            shown, self._waiting = self._waiting[:size], self._waiting[size:]
            yield shown

    def batches(self, updates: int, after: int = 0) -> Iterator[Batch]:
        """Yield the batches of the updates `after` + 1 to `updates`. Steps are counted from 1."""
        for step, index in zip(range(after + 1, updates + 1), self.indices(), strict=False):
            yield self.batch(index, step)

    def state(self) -> dict[str, Any]:
        """Return the position of the feed: the remaining rows of the epoch, and its random streams."""
        return {
            "waiting": self._waiting,
            "order": self.order.get_state(),
            "augmentation": self.augmentation.get_state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Restore the output of `state`."""
        self._waiting = state["waiting"]
        self.order.set_state(state["order"])
        self.augmentation.set_state(state["augmentation"])

    def batch(self, index: torch.Tensor, step: int = 0) -> Batch:
        """Return the batch of the rows `index` (int64, on the CPU), augmented, normalised, then mixed."""
        rows, index = index, index.to(self.device, non_blocking=True)
        images = self.pixels.gather(rows) if self.image_transforms else self.pixels.gather_normalised(rows)
        masks = None
        if self.masks is not None:
            masks = self.masks.gather(index if self.masks.rows.resident else rows)
        data = {name: kept.gather(index if kept.resident else rows) for name, kept in self.data.items()}
        for transform in self.image_transforms:
            if masks is not None and is_affine(transform):
                masks = self._along(transform, masks)
            images = transform(images, self.augmentation)
        if self.image_transforms:
            images = self.pixels.normalise(images)
        aux = {task: columns.index_select(0, index) for task, columns in self.aux.items()}
        if self._final is not None:
            targets, weights = (kept.index_select(0, index) for kept in self._final)
        else:
            images, targets, aux = self._mixed(images, self.onehot.index_select(0, index), aux)
            targets, weights = self._finished(targets)
        images = images.contiguous(memory_format=torch.channels_last)
        return Batch(images, targets, weights, aux, step, masks, data)

    def _finished(self, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Smooth targets [N,K] and weight them; return them with the weight of each row."""
        weights = targets @ self.class_weights
        smoothing = self.options.label_smoothing
        targets = targets * (1 - smoothing) + smoothing / self.n_classes
        if self.options.balance == "class-weights":
            return weighted(targets, self.class_weights)
        return targets, weights

    def _mixed(
        self, images: torch.Tensor, targets: torch.Tensor, aux: Mapping[str, torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
        """Mix images, and the labels of every task by the same shares; labels are concatenated for this."""
        columns = torch.cat([targets, *aux.values()], dim=1)
        for mix in self.options.batch_transforms:
            images, columns = mix(images, columns, self.augmentation)
        widths = [part.shape[1] for part in (targets, *aux.values())]
        targets, *mixed = columns.split(widths, dim=1)
        return images, targets, dict(zip(aux, mixed, strict=True))

    def _along(self, transform: ImageTransform, masks: torch.Tensor) -> torch.Tensor:
        """Apply a transform to masks [N,1,S,S], with the parameters that it will draw for their images."""
        ahead = torch.Generator(self.device)
        ahead.set_state(self.augmentation.get_state())
        # Transforms may rely on three channels.
        return transform(masks.expand(-1, 3, -1, -1), ahead)[:, :1].clamp(0, 1)

    def _epoch_rows(self, generator: torch.Generator) -> torch.Tensor:
        if self.options.balance != "oversample":
            return torch.arange(len(self.labels))
        members = [torch.nonzero(self.labels == k).flatten() for k in range(self.n_classes)]
        most = max(map(len, members))
        return torch.cat([_repeat_to(rows, most, generator) for rows in members if len(rows)])

    def _class_weights(self) -> torch.Tensor:
        counts = torch.bincount(self.labels[self.labels >= 0], minlength=self.n_classes).float()
        if self.options.balance != "class-weights":
            return torch.ones(self.n_classes)
        present = int((counts > 0).sum())
        return torch.where(counts > 0, counts.sum() / (present * counts.clamp(min=1)), 0.0)


def weighted(targets: torch.Tensor, class_weights: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (targets [N,K], weights [N]) that give each target t_ic of `targets` [N,K] the weight w_c of its class.

    The weight of row i is r_i = sum_c w_c t_ic, and its targets are w_c t_ic / r_i, which sum to 1. Any loss that is
    linear in the targets then satisfies r_i loss(w t_i / r_i) = sum_c w_c t_ic loss(c). For cross-entropy this is
    `torch.nn.functional.cross_entropy(logits, targets, weight=class_weights)`. Targets of a single class do not change.
    """
    products = targets * class_weights
    weights = products.sum(dim=1)
    return products / weights.unsqueeze(1), weights


def _repeat_to(rows: torch.Tensor, n: int, generator: torch.Generator) -> torch.Tensor:
    copies, rest = divmod(n, len(rows))
    extra = rows[torch.randperm(len(rows), generator=generator)[:rest]]
    return torch.cat([rows.repeat(copies), extra])


def _onehot(labels: torch.Tensor, n_classes: int | None = None) -> torch.Tensor:
    """Return one-hot rows, float32 [N,K]. An unknown label (-1) gives a row of zeros."""
    width = n_classes or int(labels.max()) + 1
    rows = F.one_hot(labels.clamp(min=0), max(width, 1)).float()
    return rows * (labels >= 0).unsqueeze(1)
