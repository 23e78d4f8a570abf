"""The data feed: uint8 images resident on the device, gathered, augmented and normalised there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch.nn import functional as F

from derm_bench.images import ImageSet
from derm_bench.run import Batch
from derm_bench.training.augment import ImageTransform, compose, is_affine
from derm_bench.training.seeding import stream

BatchTransform = Callable[[torch.Tensor, torch.Tensor, torch.Generator], tuple[torch.Tensor, torch.Tensor]]
Balance = Literal["oversample", "class-weights"]


# The share of a GPU's free memory that images may take; more are kept in pinned host memory and sent as needed.
ROOM = 0.4


class Pixels:
    """Images as uint8, on the device where they fit, served as normalised float32 on the device.

    Stored as [N,H,W,3], so that a gathered batch is channels_last without a copy. resident: whether they lie on the
    device (default: where they take at most 40% of what it has free).
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
        data = torch.stack(images.unbind(1), dim=-1)  # twice as quick as a permuted copy
        self.device = torch.device(device)
        self.resident = _fits(data, self.device) if resident is None else resident
        self.pinned = not self.resident and self.device.type == "cuda"
        self.data = data.to(device) if self.resident else data.pin_memory() if self.pinned else data
        self.size = size
        self.mean = torch.tensor(mean, device=device).view(1, -1, 1, 1)
        self.std = torch.tensor(std, device=device).view(1, -1, 1, 1)
        # x / 255 normalised is scale x + shift. For a whole line of pixels: to spread three values over the innermost
        # axis takes twice as long.
        scale, shift = 1 / (255 * self.std), -self.mean / self.std
        self._scale, self._shift = (one.flatten().repeat(data.shape[2]) for one in (scale, shift))

    def __len__(self) -> int:
        return len(self.data)

    def gather(self, index: torch.Tensor) -> torch.Tensor:
        """float32 [n,3,size,size] in [0,1] of the rows `index` (int64, on the device or, which spares it a wait, not
        yet); bilinear with antialiasing where the stored size differs."""
        images = self._rows(index).permute(0, 3, 1, 2).float().div_(255.0)
        if images.shape[-1] != self.size:
            images = F.interpolate(images, self.size, mode="bilinear", antialias=True)
        return images

    def _rows(self, index: torch.Tensor) -> torch.Tensor:
        """uint8 [n,H,W,3] on the device."""
        index = index.to(self.data.device, non_blocking=True)
        if self.resident:
            return self.data.index_select(0, index)
        rows = torch.empty((len(index), *self.data.shape[1:]), dtype=torch.uint8, pin_memory=self.pinned)
        return torch.index_select(self.data, 0, index, out=rows).to(self.device, non_blocking=True)

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """(images - mean) / std."""
        return images.sub(self.mean).div_(self.std)

    def gather_normalised(self, index: torch.Tensor) -> torch.Tensor:
        """`normalise(gather(index))` up to rounding: where the size stays, in one pass over the pixels."""
        if self.data.shape[1] != self.size:
            return self.normalise(self.gather(index))
        lines = torch.addcmul(self._shift, self._rows(index).flatten(2), self._scale)
        return lines.unflatten(2, (self.size, -1)).permute(0, 3, 1, 2)

    def chunks(self, n: int) -> Iterator[torch.Tensor]:
        """All images once, in order, normalised, `n` at a time."""
        for index in torch.split(torch.arange(len(self)), n):
            yield self.gather_normalised(index)


class Feed:
    """Training batches of `train`, without end; the same for the same `seed`.

    Every batch is full: the last of an epoch is filled from the next. An epoch shows each image once, or,
    under `balance: oversample`, each class as often as the largest (whole copies, the rest drawn without
    replacement). `class-weights` weighs a row by N / (K' n_class), K' the classes present, so that weights
    average 1 over the set. Order and augmentation draw from separate streams: arms that differ in
    augmentation see the same order.

    masks: batches bring the masks of `train` as well. An affine transform (one with `matrices`) moves them as it does
    the images; any other is taken to leave geometry alone. Raises ValueError where `train` has none, and where images
    are mixed, since two masks on one image say nothing.
    """

    def __init__(
        self,
        train: ImageSet,
        batch_size: int,
        seed: int,
        *,
        device: str = "cpu",
        size: int | None = None,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        image_transforms: Sequence[ImageTransform] = (),
        batch_transforms: Sequence[BatchTransform] = (),
        balance: Balance | None = None,
        label_smoothing: float = 0.0,
        masks: bool = False,
    ) -> None:
        if not len(train):
            raise ValueError("there is no image to train on")
        if masks and (train.masks is None or batch_transforms):
            why = "images are mixed" if batch_transforms else "the training set has none"
            raise ValueError(f"masks are asked for, but {why}")
        self.batch_size, self.device, self.balance = batch_size, device, balance
        self.pixels = Pixels(train.images, device, size or train.size, mean, std)
        self.masks: Pixels | None = None
        if masks and train.masks is not None:
            self.masks = Pixels(train.masks, device, size or train.size, (0.0,), (1.0,))
        self.labels, self.n_classes = train.labels, len(train.classes)
        self.onehot = _onehot(train.labels, self.n_classes).to(device)
        self.class_weights = self._class_weights().to(device)
        self.aux = {task: _onehot(column).to(device) for task, column in train.aux_labels.items()}
        self.image_transforms = compose(image_transforms)
        self.batch_transforms = list(batch_transforms)
        self.label_smoothing = label_smoothing
        self.order, self.augmentation = stream(seed, "order"), stream(seed, "augment", device)
        self._waiting = torch.empty(0, dtype=torch.int64)  # rows of the epoch that are still to be shown

    @property
    def epoch_length(self) -> int:
        """Images an epoch."""
        return len(self._epoch_rows(torch.Generator()))

    def indices(self) -> Iterator[torch.Tensor]:
        """int64 [batch_size] on the CPU: which rows each batch shows."""
        while True:
            while len(self._waiting) < self.batch_size:
                rows = self._epoch_rows(self.order)
                shuffled = rows[torch.randperm(len(rows), generator=self.order)]
                self._waiting = torch.cat([self._waiting, shuffled])
            # Taken before it is shown, so that `state` between two batches is that of the next one.
            shown, self._waiting = self._waiting.split(
                [self.batch_size, len(self._waiting) - self.batch_size]
            )
            yield shown

    def batches(self, updates: int, after: int = 0) -> Iterator[Batch]:
        """The batches of the updates `after` + 1 to `updates`, steps counted from 1."""
        for step, index in zip(range(after + 1, updates + 1), self.indices(), strict=False):
            yield self.batch(index, step)

    def state(self) -> dict[str, Any]:
        """Where the feed stands: what is left of the epoch, and its random streams."""
        return {
            "waiting": self._waiting,
            "order": self.order.get_state(),
            "augmentation": self.augmentation.get_state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes on where `state` was taken."""
        self._waiting = state["waiting"]
        self.order.set_state(state["order"])
        self.augmentation.set_state(state["augmentation"])

    def batch(self, index: torch.Tensor, step: int = 0) -> Batch:
        """The batch of the rows `index` (int64, on the CPU), augmented, normalised, then mixed."""
        images = self.pixels.gather(index) if self.image_transforms else self.pixels.gather_normalised(index)
        index = index.to(self.device, non_blocking=True)
        targets = self.onehot.index_select(0, index)
        masks = self.masks.gather(index) if self.masks is not None else None
        for transform in self.image_transforms:
            if masks is not None and is_affine(transform):
                masks = self._along(transform, masks)
            images = transform(images, self.augmentation)
        if self.image_transforms:
            images = self.pixels.normalise(images)
        aux = {task: rows.index_select(0, index) for task, rows in self.aux.items()}
        if self.batch_transforms:
            # Side by side: the labels of every task are mixed by the same shares.
            columns = torch.cat([targets, *aux.values()], dim=1)
            for mix in self.batch_transforms:
                images, columns = mix(images, columns, self.augmentation)
            widths = [part.shape[1] for part in (targets, *aux.values())]
            targets, *mixed = columns.split(widths, dim=1)
            aux = dict(zip(aux, mixed, strict=True))
        weights = targets @ self.class_weights
        targets = targets * (1 - self.label_smoothing) + self.label_smoothing / self.n_classes
        return Batch(images.contiguous(memory_format=torch.channels_last), targets, weights, aux, step, masks)

    def _along(self, transform: ImageTransform, masks: torch.Tensor) -> torch.Tensor:
        """Masks [N,1,S,S] through a transform with the parameters that it will draw for their images."""
        ahead = torch.Generator(self.device)
        ahead.set_state(self.augmentation.get_state())
        # Three channels: that is what a transform is promised.
        return transform(masks.expand(-1, 3, -1, -1), ahead)[:, :1].clamp(0, 1)

    def _epoch_rows(self, generator: torch.Generator) -> torch.Tensor:
        if self.balance != "oversample":
            return torch.arange(len(self.labels))
        members = [torch.nonzero(self.labels == k).flatten() for k in range(self.n_classes)]
        most = max(map(len, members))
        return torch.cat([_repeat_to(rows, most, generator) for rows in members if len(rows)])

    def _class_weights(self) -> torch.Tensor:
        counts = torch.bincount(self.labels, minlength=self.n_classes).float()
        if self.balance != "class-weights":
            return torch.ones(self.n_classes)
        present = int((counts > 0).sum())
        return torch.where(counts > 0, counts.sum() / (present * counts.clamp(min=1)), 0.0)


def _fits(data: torch.Tensor, device: torch.device) -> bool:
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return data.nbytes <= ROOM * free


def _repeat_to(rows: torch.Tensor, n: int, generator: torch.Generator) -> torch.Tensor:
    copies, rest = divmod(n, len(rows))
    extra = rows[torch.randperm(len(rows), generator=generator)[:rest]]
    return torch.cat([rows.repeat(copies), extra])


def _onehot(labels: torch.Tensor, n_classes: int | None = None) -> torch.Tensor:
    """float32 [N,K]; an unknown label (-1) gives a row of zeros."""
    width = n_classes or int(labels.max()) + 1
    rows = F.one_hot(labels.clamp(min=0), max(width, 1)).float()
    return rows * (labels >= 0).unsqueeze(1)
