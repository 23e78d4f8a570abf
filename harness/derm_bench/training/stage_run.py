"""StageRun: the `run` that stages hand to a plugin's `fit`: data, budget, curves and selection."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import nn

from derm_bench.errors import Diverged
from derm_bench.images import ImageSet
from derm_bench.run import Batch
from derm_bench.training.augment import ImageTransform
from derm_bench.training.checkpoints import SECONDS, Checkpoints, plain, rng_state, set_rng_state
from derm_bench.training.curves import Curves
from derm_bench.training.feed import Balance, BatchTransform, Feed, Pixels
from derm_bench.training.seeding import child_seed, seed_everything

__all__ = ["HistoryRow", "StageRun", "evaluation_steps", "seed_everything"]

CHUNK = 256  # images a forward pass when predicting
REPORT_SECONDS = 0.2
SAVED = ("step", "feed", "curves", "best", "best_score", "best_step", "stale", "rng", "plugin")

Score = Callable[[np.ndarray, np.ndarray], float]
Regulariser = Callable[[nn.Module, Batch], torch.Tensor]


class HistoryRow(NamedTuple):
    """A row of history.csv; values of the split `train` are means over the updates since the row before."""

    step: int
    images: int
    epoch: float
    split: str
    metric: str
    value: float


class StageRun:
    """Implements `derm_bench.run.Run` for one stage.

    budget: updates; device: a torch device string; precision: `fp32` or `bf16`; batch_size: what `batches`
    takes unless told; input_size: side the network sees (default the stored size); mean, std: of pixels in
    [0,1]. primary: (labels int64 [N], probabilities float64 [N,K]) -> score, the higher the better (default
    balanced accuracy); its name in the curves is `primary_name`. evaluations: how often the budget is cut,
    evenly, the last update included. patience: evaluations without gain after which the batches end
    (unmatched budgets only). epoch_images: images an epoch in the curves, where the plugin may multiply them
    (default those that it asks batches of). on_snapshot: gets (step, CPU tensors) every `snapshot_every`
    updates. report: gets `{"done", "total", "values"}` at most five times a second. checkpoints: the folder
    of this very stage's checkpoint (None: it is not interruptible), written every `checkpoint_seconds`.
    """

    def __init__(
        self,
        *,
        seed: int,
        budget: int,
        device: str = "cpu",
        precision: Literal["fp32", "bf16"] = "fp32",
        batch_size: int = 64,
        input_size: int | None = None,
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        image_transforms: Sequence[ImageTransform] = (),
        batch_transforms: Sequence[BatchTransform] = (),
        regularisers: Sequence[Regulariser] = (),
        balance: Balance | None = None,
        label_smoothing: float = 0.0,
        primary: Score | None = None,
        primary_name: str = "balanced_accuracy",
        select: Literal["best", "last"] = "best",
        evaluations: int = 10,
        patience: int | None = None,
        val: ImageSet | None = None,
        epoch_images: int | None = None,
        snapshot_every: int | None = None,
        on_snapshot: Callable[[int, dict[str, torch.Tensor]], None] | None = None,
        report: Callable[[dict[str, Any]], None] | None = None,
        checkpoints: Path | None = None,
        checkpoint_seconds: float = SECONDS,
    ) -> None:
        self.seed, self.budget, self.device, self.precision = seed, budget, device, precision
        self.batch_size, self.input_size = batch_size, input_size
        self.mean, self.std = tuple(mean), tuple(std)
        self.image_transforms, self.batch_transforms = image_transforms, batch_transforms
        self.regularisers, self.balance, self.label_smoothing = regularisers, balance, label_smoothing
        for regulariser in regularisers:
            if hasattr(regulariser, "normalised_with"):
                regulariser.normalised_with(self.mean, self.std)
        self.primary, self.primary_name, self.select = primary or _balanced_accuracy, primary_name, select
        self.val = val if val is not None and len(val) else None
        self.evaluation_steps = evaluation_steps(budget, evaluations)
        self.snapshot_every, self.on_snapshot, self.report = snapshot_every, on_snapshot, report
        self.patience, self.best_score, self.best_step = patience, -float("inf"), 0
        self._best: Any | None = None
        self._stale = 0
        self._curves = Curves(budget)
        self._batch_size, self._epoch_images, self._epoch_length = batch_size, epoch_images, 0
        self._val_pixels: Pixels | None = None
        self._reported_at = 0.0
        self._checkpoints = Checkpoints(checkpoints, checkpoint_seconds) if checkpoints else None
        self._offered = False
        self._feed: Feed | None = None
        self._resumed: Mapping[str, Any] | None = None

    def batches(self, train: ImageSet, batch_size: int | None = None, masks: bool = False) -> Iterator[Batch]:
        """Exactly `budget` batches of `train`; fewer only once `patience` is spent. The first call after a
        checkpoint was resumed goes on with the update after it."""
        feed = self._make_feed(train, batch_size or self.batch_size, masks)
        self._batch_size, self._epoch_length = feed.batch_size, self._epoch_images or feed.epoch_length
        self._feed, done = feed, self._go_on(feed)
        for batch in feed.batches(done if self._impatient() else self.budget, after=done):
            yield batch
            done = batch.step
            self.progress(done, self.budget)
            if self._impatient():
                break
        if self._checkpoints is not None:
            self._checkpoints.wait()
        self._curves.read()
        self._report(done, self.budget)

    def log(self, step: int, **values: float | torch.Tensor) -> None:
        """Buffers training curves. Raises Diverged, at most 50 updates late, at a NaN or infinity."""
        self._curves.add(step, values)

    def progress(self, done: float, total: float) -> None:
        if self.report is not None and time.monotonic() - self._reported_at >= REPORT_SECONDS:
            self._curves.read()
            self._report(done, total)

    def extra_loss(self, model: nn.Module, batch: Batch) -> torch.Tensor | float:
        return sum((regulariser(model, batch) for regulariser in self.regularisers), 0.0)

    def evaluate(
        self, step: int, predict: Callable[[torch.Tensor], torch.Tensor], state: Callable[[], Any]
    ) -> None:
        """At the fixed steps: predicts the validation images, logs the primary score and the log loss, and
        keeps `state()` when the score is the best so far (of equal scores, the first)."""
        if self.val is None or step not in self.evaluation_steps:
            return
        proba = self._predict(predict)
        if not np.isfinite(proba).all():
            message = f"a validation probability is not a number at update {step} of {self.budget}"
            raise Diverged(message, curve=self.curve())
        labels = self.val.labels.numpy()
        score = self.primary(labels, proba)
        self._curves.add_point(step, "val", self.primary_name, score)
        self._curves.add_point(step, "val", "loss", _log_loss(labels, proba))
        self._stale += 1
        if score > self.best_score:
            self.best_score, self.best_step, self._stale = score, step, 0
            if self.select == "best":
                self._best = state()

    def selected(self) -> Any | None:
        return self._best

    def snapshot(self, step: int, state: Callable[[], Mapping[str, torch.Tensor]]) -> None:
        if self.snapshot_every and self.on_snapshot and step % self.snapshot_every == 0:
            self.on_snapshot(step, {k: v.detach().cpu().clone() for k, v in state().items()})

    def checkpoint(self, step: int, state: Callable[[], Mapping[str, Any]]) -> None:
        """Writes `state()` and all that the run itself changes, where a checkpoint is due. Raises TypeError where
        `state()`, or what `evaluate` keeps, cannot be written: at the first update, not after the first minute."""
        if self._checkpoints is None:
            return
        if not self._offered:
            self._offered = True
            plain(state())
        if self.best_step == step:
            plain(self._best, "the state given to run.evaluate")
        if self._checkpoints.due():
            self._curves.read()  # raises where training has diverged: such a state is not worth keeping
            self._checkpoints.save(self._state(step) | {"plugin": state()})

    def resume(self) -> Mapping[str, Any] | None:
        """What `checkpoint` was last given for this stage; curves, selection and random generators are set back
        to that update."""
        saved = self._checkpoints.load(SAVED) if self._checkpoints else None
        if saved is None:
            return None
        self._curves.load_state(saved["curves"])
        self._best, self._stale = saved["best"], saved["stale"]
        self.best_score, self.best_step = saved["best_score"], saved["best_step"]
        set_rng_state(saved["rng"], self.device)
        self._resumed = saved
        plugin: Mapping[str, Any] = saved["plugin"]
        return plugin

    def finished(self) -> None:
        """Removes the checkpoint: nothing is left to resume."""
        if self._checkpoints is not None:
            self._checkpoints.remove()

    @contextlib.contextmanager
    def judged(self) -> Iterator[None]:
        """What raises Diverged inside takes the curves along, and leaves no checkpoint: the same would come of it."""
        try:
            yield
        except Diverged as error:
            error.curve = error.curve or self.curve()
            self.finished()
            raise

    def curve(self) -> list[list[int | str | float]]:
        """The last 200 rows `[step, metric, value]` of the training curves, for the record of a failure."""
        return self._curves.tail()

    def health(self) -> dict[str, float]:
        """d_real and d_fake at the end of training, where they were logged as probabilities."""
        return self._curves.watch.summary()

    def history(self) -> list[HistoryRow]:
        """The rows of history.csv, by step, validation last. Call it when `fit` has returned. Raises Diverged
        where the discriminator overpowers at the end."""
        self._curves.close()
        # By split too: which of them was read first depends on the clock.
        points = sorted(self._curves.points, key=lambda point: (point.step, point.split))
        return [
            HistoryRow(p.step, p.step * self._batch_size, self._epoch(p.step), p.split, p.metric, p.value)
            for p in points
        ]

    def _state(self, step: int) -> dict[str, Any]:
        return {
            "step": step,
            "feed": self._feed.state() if self._feed is not None else None,
            "curves": self._curves.state(),
            "best": self._best,
            "best_score": self.best_score,
            "best_step": self.best_step,
            "stale": self._stale,
            "rng": rng_state(self.device),
        }

    def _go_on(self, feed: Feed) -> int:
        """The update that `feed` stands after: 0, or that of the checkpoint, from which it goes on."""
        saved, self._resumed = self._resumed, None
        if saved is None or saved["feed"] is None:
            return 0
        feed.load_state(saved["feed"])
        # Again: whatever the plugin has drawn since `resume`, the uninterrupted run had not.
        set_rng_state(saved["rng"], self.device)
        return int(saved["step"])

    def _impatient(self) -> bool:
        return self.patience is not None and self._stale >= self.patience

    def _make_feed(self, train: ImageSet, batch_size: int, masks: bool) -> Feed:
        return Feed(
            train,
            batch_size,
            child_seed(self.seed, "feed"),
            device=self.device,
            size=self.input_size,
            mean=self.mean,
            std=self.std,
            image_transforms=self.image_transforms,
            batch_transforms=self.batch_transforms,
            balance=self.balance,
            label_smoothing=self.label_smoothing,
            masks=masks,
        )

    @torch.inference_mode()
    def _predict(self, predict: Callable[[torch.Tensor], torch.Tensor]) -> np.ndarray:
        assert self.val is not None
        if self._val_pixels is None:
            size = self.input_size or self.val.size
            self._val_pixels = Pixels(self.val.images, self.device, size, self.mean, self.std)
        chunks = [predict(images).double().cpu() for images in self._val_pixels.chunks(CHUNK)]
        return torch.cat(chunks).numpy()

    def _report(self, done: float, total: float) -> None:
        if self.report is not None:
            self._reported_at = time.monotonic()
            self.report({"done": done, "total": total, "values": dict(self._curves.latest)})

    def _epoch(self, step: int) -> float:
        return step * self._batch_size / self._epoch_length if self._epoch_length else 0.0


def evaluation_steps(budget: int, evaluations: int) -> frozenset[int]:
    """`evaluations` updates spread evenly over the budget, the last included; all if there are fewer."""
    return frozenset(max(1, round(budget * k / evaluations)) for k in range(1, evaluations + 1))


def _balanced_accuracy(labels: np.ndarray, proba: np.ndarray) -> float:
    predicted = proba.argmax(axis=1)
    return float(np.mean([np.mean(predicted[labels == k] == k) for k in np.unique(labels)]))


def _log_loss(labels: np.ndarray, proba: np.ndarray) -> float:
    return float(-np.log(np.clip(proba[np.arange(len(labels)), labels], 1e-12, 1.0)).mean())
