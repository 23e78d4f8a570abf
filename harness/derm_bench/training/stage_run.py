"""StageRun, the `run` that stages pass to `fit` of a plugin: data, budget, curves, selection, checkpoints."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from derm_bench.errors import Diverged
from derm_bench.images import ImageSet
from derm_bench.run import Batch, Precision
from derm_bench.training.checkpoints import SECONDS, Checkpoints, plain, rng_state, set_rng_state
from derm_bench.training.curves import Curves, Watch
from derm_bench.training.feed import Feed, FeedOptions
from derm_bench.training.pixels import Pixels
from derm_bench.training.seeding import child_seed, seed_everything
from derm_bench.training.selection import Selection, Selector, evaluation_steps, log_loss

__all__ = [
    "Checkpointing",
    "FeedOptions",
    "HistoryRow",
    "Selection",
    "Snapshots",
    "StageRun",
    "evaluation_steps",
    "seed_everything",
]

CHUNK = 256  # images per forward pass when predicting
REPORT_SECONDS = 0.2
SAVED = ("step", "feed", "call", "batch_sizes", "curves", "selection", "rng", "plugin")

Regulariser = Callable[[nn.Module, Batch], torch.Tensor]


@dataclass(frozen=True)
class Snapshots:
    """Options for snapshots: `save` is called with (update, state as CPU tensors) at every `every`-th update."""

    every: int | None = None
    save: Callable[[int, dict[str, torch.Tensor]], None] | None = None


@dataclass(frozen=True)
class Checkpointing:
    """Options for checkpoints: the folder (None if the stage cannot be resumed) and the seconds between checkpoints."""

    folder: Path | None = None
    seconds: float = SECONDS


class HistoryRow(NamedTuple):
    """One row of history.csv. Values of the split `train` are means over the updates since the previous row."""

    step: int
    images: int
    epoch: float
    split: str
    metric: str
    value: float


class StageRun:
    """Implements `derm_bench.run.Run` for one stage.

    seed: seed of the fit. budget: number of updates. device: a torch device string. precision: precision of forward
    passes. feed: options for batches. selection: the validation images and the selection of a state on them.
    regularisers: terms that `extra_loss` adds up; a method `normalised_with(mean, std)`, if a regulariser has one, is
    called with the values of the feed. epoch_images: images per epoch in the curves (default: the size of the set that
    is passed to `batches`, which may be larger than the set that the plugin received). report: called with `{"done",
    "total", "values"}` at most five times per second. watch: monitors the curves and may stop the training (default:
    only NaN and infinite values do).
    """

    def __init__(
        self,
        *,
        seed: int,
        budget: int,
        device: str = "cpu",
        precision: Precision = "fp32",
        feed: FeedOptions | None = None,
        selection: Selection | None = None,
        regularisers: Sequence[Regulariser] = (),
        epoch_images: int | None = None,
        snapshots: Snapshots | None = None,
        report: Callable[[dict[str, Any]], None] | None = None,
        checkpointing: Checkpointing | None = None,
        watch: Watch | None = None,
    ) -> None:
        self.seed, self.device, self.precision = seed, device, precision
        self._budget = budget
        self.feed_options, self.selection = feed or FeedOptions(), selection or Selection()
        self.regularisers, self.snapshots, self.report = regularisers, snapshots or Snapshots(), report
        for regulariser in regularisers:
            if hasattr(regulariser, "normalised_with"):
                regulariser.normalised_with(tuple(self.feed_options.mean), tuple(self.feed_options.std))
        val = self.selection.val
        self.val = val if val is not None and len(val) else None
        self.evaluation_steps = evaluation_steps(budget, self.selection.evaluations)
        self._selector = Selector(self.selection)
        self._watch, self._curves = watch, Curves(budget, watch)
        self._epoch_images, self._epoch_length = epoch_images, 0
        self._served, self._calls, self._whole_budget_taken = 0, 0, False
        self._batch_sizes: dict[int, int] = {}  # by the first update that has them
        self._val_pixels: Pixels | None = None
        self._reported_at = 0.0
        kept = checkpointing or Checkpointing()
        self._checkpoints = Checkpoints(kept.folder, kept.seconds) if kept.folder else None
        self._offered = False
        self._feed: Feed | None = None
        self._fed: tuple[Any, ...] = ()  # what `_feed` was made from
        self._resumed: Mapping[str, Any] | None = None
        self._asked_to_resume = False
        self.in_update = False

    @property
    def budget(self) -> int:
        """The number of updates. A fit cannot change it."""
        return self._budget

    @property
    def updates(self) -> int:
        """The number of updates so far: of batches that `batches` has yielded, before an interruption too."""
        return self._served

    @property
    def stopped_early(self) -> bool:
        """Whether the harness has ended the training before the budget, because `patience` was spent."""
        return self._selector.patience_is_spent

    @property
    def best_score(self) -> float:
        """The best validation score of the primary metric, or NaN."""
        return self._selector.best_score

    @property
    def selected_step(self) -> int:
        """The update whose state is the result of the fit: with `best`, the one with the best score; otherwise the
        last."""
        last = self._served if self.stopped_early else self.budget
        return self._selector.best_step if self._selector.kept is not None else last

    def batches(
        self,
        train: ImageSet,
        batch_size: int | None = None,
        masks: bool = False,
        until: int | None = None,
    ) -> Iterator[Batch]:
        """Yield the batches of the updates that are left, or of those up to the update `until`; fewer if `patience`
        ends the training. After `resume`, continue with the update after the checkpoint.

        Raises ValueError, at the first batch, if a call without `until` has already been served the whole budget, or if
        `until` is not between 0 and the budget, and RuntimeError if batches of two calls are taken alternately.
        """
        if self._whole_budget_taken and not self.stopped_early:
            raise ValueError(
                f"run.batches was called again after all {self.budget} updates of the budget; call it once, or give "
                "every phase but the last its end: run.batches(train, until=...)"
            )
        if until is not None and not 0 <= until <= self.budget:
            raise ValueError(f"run.batches(until={until}): expected an update from 0 to {self.budget}")
        self._calls += 1
        call = self._calls
        options = replace(self.feed_options, batch_size=batch_size or self.feed_options.batch_size)
        feed = self._feed_of(train, options, masks)
        self._continue(feed)
        end = self.budget if until is None else until
        self._batch_sizes[self._served + 1] = options.batch_size
        for batch in feed.batches(self._served if self.stopped_early else end, after=self._served):
            self._served, self.in_update = batch.step, True
            yield batch
            if call != self._calls:
                raise RuntimeError(
                    "batches of two calls of run.batches are taken alternately, but there is one budget: finish one "
                    "call before the next"
                )
            self.progress(batch.step, self.budget)
            if self.stopped_early:
                break
        self.in_update, self._whole_budget_taken = False, until is None
        if self._checkpoints is not None:
            self._checkpoints.wait()
        self._curves.read()
        self._report(self._served, self.budget)

    def log(self, step: int, **values: float | torch.Tensor) -> None:
        """Log values for the training curves. Raises Diverged, at most 50 updates late, for NaN or infinite values."""
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
        """Evaluate on the validation images if `step` is an evaluation step. Logs the primary metric and the log loss,
        and keeps `state()` if the metric is the best so far (of equal values, the first; NaN is never the best)."""
        if self.val is None or step not in self.evaluation_steps:
            return
        proba = self._predict(predict)
        if not np.isfinite(proba).all():
            message = f"a validation probability is not a number at update {step} of {self.budget}"
            raise Diverged(message, curve=self.curve())
        labels = self.val.labels.numpy()
        score = self.selection.metric(labels, proba, self.val.groups)
        self._curves.add_point(step, "val", self.selection.name, score)
        self._curves.add_point(step, "val", "loss", log_loss(labels, proba))
        self._selector.offer(step, score, state)

    def score(self, predict: Callable[[torch.Tensor], torch.Tensor]) -> float | None:
        """Return the primary metric on the validation images, negated if lower is better; None without them."""
        if self.val is None:
            return None
        proba = self._predict(predict)
        if not np.isfinite(proba).all():
            return -np.inf
        value = float(self.selection.metric(self.val.labels.numpy(), proba, self.val.groups))
        return value if self.selection.higher_is_better else -value

    def selected(self) -> Any | None:
        return self._selector.kept

    def snapshot(self, step: int, state: Callable[[], Mapping[str, torch.Tensor]]) -> None:
        every, save = self.snapshots.every, self.snapshots.save
        if every and save and step % every == 0:
            save(step, {k: v.detach().cpu().clone() for k, v in state().items()})

    def checkpoint(self, step: int, state: Callable[[], Mapping[str, Any]]) -> None:
        """Write `state()` and the state of the run if a checkpoint is due. Raises TypeError, already at the first
        update, if `state()` or the state kept by `evaluate` cannot be written."""
        if self._checkpoints is None:
            return
        if not self._offered:
            self._offered = True
            plain(state())
        if self._selector.best_step == step:
            plain(self._selector.kept, "the state given to run.evaluate")
        if self._checkpoints.due():
            self._curves.read()  # raises if training has diverged; such a state is not saved
            self._checkpoints.save(self._state(step) | {"plugin": state()})

    def resume(self) -> Mapping[str, Any] | None:
        """Return the state that was last passed to `checkpoint` for this stage, and restore curves, selection and
        random generators to that update. Raises RuntimeError if it is called again."""
        if self._asked_to_resume:
            raise RuntimeError(
                "run.resume was called twice: keep all networks of a fit in one Engine (or TrainingState), also if it "
                "has several phases, so that an interrupted fit finds them again"
            )
        self._asked_to_resume = True
        saved = self._checkpoints.load(SAVED) if self._checkpoints else None
        if saved is None:
            return None
        self._curves.load_state(saved["curves"])
        self._selector.load_state(saved["selection"])
        set_rng_state(saved["rng"], self.device)
        if saved["feed"] is not None:
            self._resumed, self._served = saved, int(saved["step"])
        plugin: Mapping[str, Any] = saved["plugin"]
        return plugin

    def finished(self) -> None:
        """Remove the checkpoint, as the fit has ended."""
        if self._checkpoints is not None:
            self._checkpoints.remove()

    @contextlib.contextmanager
    def guarded(self) -> Iterator[None]:
        """Attach the training curves to a Diverged that is raised within the block, and remove the checkpoint, since a
        resumed training would diverge again."""
        try:
            yield
        except Diverged as error:
            error.curve = error.curve or self.curve()
            self.finished()
            raise

    def curve(self) -> list[list[int | str | float]]:
        """Return the last 200 rows `[step, metric, value]` of the training curves, for the record of a failure."""
        return self._curves.tail()

    def health(self) -> dict[str, float]:
        """Return the figures of the watch at the end of training; empty without a watch."""
        return {} if self._watch is None else self._watch.summary()

    def history(self) -> list[HistoryRow]:
        """Return the rows of history.csv, sorted by step, validation last. Call this after `fit`. Raises Diverged if
        the watch returns a message at the end."""
        self._curves.close()
        # Sorted by split too, as the order in which they were read depends on timing.
        points = sorted(self._curves.points, key=lambda point: (point.step, point.split))
        return [
            HistoryRow(p.step, images, self._epochs(images), p.split, p.metric, p.value)
            for p, images in zip(points, map(self._images, (p.step for p in points)), strict=True)
        ]

    def _state(self, step: int) -> dict[str, Any]:
        return {
            "step": step,
            "feed": self._feed.state() if self._feed is not None else None,
            "call": self._calls,
            "batch_sizes": self._batch_sizes,
            "curves": self._curves.state(),
            "selection": self._selector.state(),
            "rng": rng_state(self.device),
        }

    def _feed_of(self, train: ImageSet, options: FeedOptions, masks: bool) -> Feed:
        """Return the feed of the call before if this call asks for the same, so that its epochs go on, or a new one."""
        fed = (train, options.batch_size, masks)
        same = self._feed is not None and self._fed[0] is train and self._fed[1:] == fed[1:]
        if self._feed is None or not same:
            self._feed = Feed(train, options, child_seed(self.seed, "feed"), device=self.device, masks=masks)
            self._fed = fed
        self._epoch_length = self._epoch_images or self._feed.epoch_length
        return self._feed

    def _continue(self, feed: Feed) -> None:
        """Set `feed` to the position of the checkpoint, if this is the call of `batches` that wrote it."""
        saved = self._resumed
        if saved is None or saved["call"] != self._calls:
            return
        self._resumed = None
        self._batch_sizes = dict(saved["batch_sizes"])
        feed.load_state(saved["feed"])
        # Restored again, as the plugin may have drawn numbers since `resume` that an uninterrupted run does not draw.
        set_rng_state(saved["rng"], self.device)

    @torch.inference_mode()
    def _predict(self, predict: Callable[[torch.Tensor], torch.Tensor]) -> np.ndarray:
        assert self.val is not None
        if self._val_pixels is None:
            options = self.feed_options
            size = options.size or self.val.size
            self._val_pixels = Pixels(self.val.images, self.device, size, options.mean, options.std)
        chunks = [predict(images).double().cpu() for images in self._val_pixels.chunks(CHUNK)]
        return torch.cat(chunks).numpy()

    def _report(self, done: float, total: float) -> None:
        if self.report is not None:
            self._reported_at = time.monotonic()
            self.report({"done": done, "total": total, "values": dict(self._curves.latest)})

    def _images(self, step: int) -> int:
        """The number of images in the first `step` updates. Calls of `batches` may have different batch sizes."""
        sizes = self._batch_sizes or {1: self.feed_options.batch_size}
        starts = sorted(sizes)
        ends = [*(start - 1 for start in starts[1:]), step]
        return sum(
            max(0, min(step, end) - start + 1) * sizes[start] for start, end in zip(starts, ends, strict=True)
        )

    def _epochs(self, images: int) -> float:
        return images / self._epoch_length if self._epoch_length else 0.0
