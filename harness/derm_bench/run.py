"""The `run` argument of a plugin's `fit`: its only access to batches, budget, seeds, logs and checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

Precision = Literal["fp32", "tf32", "bf16"]
"""`fp32`: float32 throughout. `tf32`: float32, but a CUDA device may round products to TF32. `bf16`: forward passes
under bfloat16 autocast; operations that stay in float32 are not rounded to TF32."""

if TYPE_CHECKING:
    import torch
    from torch import nn

    from derm_bench.images import ImageSet


@dataclass(frozen=True)
class Batch:
    """One training batch, on the stage's device.

    images: float32 [N,3,S,S], augmented, mixed and normalised; targets: float32 [N,K], rows sum to 1 (soft after mixing
    or smoothing); weights: float32 [N], by which a fit multiplies the loss of each row, 1 unless classes are weighted.
    With class weights, the targets of a row are the shares of the classes in its weighted loss, so that targets and
    weights together weight each label by its class. aux: soft targets float32 [N,K'] by auxiliary task, mixed like the
    targets, with a row of zeros for an image without a label; step: 1 for the first update; masks: float32 [N,1,S,S] in
    [0,1], if `batches` was called with `masks=True`: the masks of the training set, transformed like the images
    (fractions for pixels on an edge); data: the rows of `ImageSet.data` that belong to the images, by name, [N,...] of
    their own dtype. They are as stored: transforms do not change them, and after mixing they are those of the first
    image.
    """

    images: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    aux: Mapping[str, torch.Tensor] = field(default_factory=dict)
    step: int = 0
    masks: torch.Tensor | None = None
    data: Mapping[str, torch.Tensor] = field(default_factory=dict)


class Run(Protocol):
    """The second argument of `fit`. `seed` seeds everything random in it; `device` is the device of batches;
    `precision` is that of forward passes.

    **What an update is.** One batch that `batches` yields is one update, whatever the fit does with it: one optimizer
    step, one of D and one of G, several of D, one of each of five networks, or none if it drops the batch. So
    `budget: {updates: 1000}` gives every plugin a thousand batches, and a GAN with `d_steps: 5` a thousand steps of D
    and two hundred of G. A plugin whose D needs a new batch for each of five steps takes five updates per step of G.
    """

    seed: int
    device: str
    precision: Precision

    @property
    def budget(self) -> int:
        """The number of updates, which a fit cannot change."""
        ...

    def batches(
        self,
        train: ImageSet,
        batch_size: int | None = None,
        masks: bool = False,
        until: int | None = None,
    ) -> Iterator[Batch]:
        """Yields the training batches that are left of `budget`: all, or the rest of them after `resume`. For
        generators images are in [-1,1] (mean = std = 0.5). `batch_size` defaults to the plugin's option (`batch_option`
        of its spec). With `masks` each batch has the masks of its images, and `train` must have masks. Every batch has
        the named data of its images.

        There is one budget, and the harness counts it. A fit with several phases gives each phase but the last its end,
        as the number of an update; another call then goes on with the next one:

            for batch in run.batches(train, until=run.budget // 4):
                ...  # a VAE
            for batch in run.batches(train):
                ...  # then a GAN

        A phase that has nothing left, as in a resumed fit, yields nothing. Another call after a call without `until`
        has yielded the last update raises ValueError, as does an `until` that is not between 0 and `budget`; taking
        batches of two calls alternately raises RuntimeError. A fit that ends before its budget is spent has failed,
        unless the harness stopped it (`patience`); so has a fit that takes optimizer steps before its first batch or
        after its last.
        """
        ...

    def log(self, step: int, **values: float | torch.Tensor) -> None:
        """Adds points to the training curves. Tensors are read later, in bulk, so logging does not synchronise."""
        ...

    def progress(self, done: float, total: float) -> None:
        """Moves the progress bar of this stage."""
        ...

    def extra_loss(self, model: nn.Module, batch: Batch) -> torch.Tensor | float:
        """The sum of the strategy's regularisers for this batch; 0.0 if there are none."""
        ...

    def evaluate(
        self, step: int, predict: Callable[[torch.Tensor], torch.Tensor], state: Callable[[], Any]
    ) -> None:
        """Classifiers call this after every update. At fixed steps, equally many in every arm, it predicts the
        validation images, logs the primary metric, and keeps `state()` if that is the best so far."""
        ...

    def score(self, predict: Callable[[torch.Tensor], torch.Tensor]) -> float | None:
        """For a fit that chooses among settings of its own: the primary metric of the probabilities [N,K] that
        `predict` returns for the validation images, normalised, with the sign at which higher is better. None if there
        are no validation images. Nothing is logged or kept."""
        ...

    def selected(self) -> Any | None:
        """The state that `evaluate` has kept with `select: best`; None if the last state is to be used."""
        ...

    def snapshot(self, step: int, state: Callable[[], Mapping[str, torch.Tensor]]) -> None:
        """Generators call this after every update. The harness keeps the states at the steps of the matrix's
        `snapshots`."""
        ...

    def checkpoint(self, step: int, state: Callable[[], Mapping[str, Any]]) -> None:
        """Offers the training state for resuming after an interruption; the last call in the loop, after every
        update. The harness calls `state` when a checkpoint is due, once a minute, and stores with it the position in
        `batches`, the curves, the state that `evaluate` selected and all global random generators. `state` returns
        everything else that the loop changes: weights, optimizers, schedules, averages, its own `torch.Generator`s, as
        tensors, numbers, strings and lists, tuples, dicts of them. `derm_bench.training.checkpoints.TrainingState`
        collects it.
        """
        ...

    def resume(self) -> Mapping[str, Any] | None:
        """The last value of `state` from an interrupted attempt at the same stage, tensors on the CPU; None to start
        from the beginning. Call it once, after everything is built and before `batches`, which then continues with
        the next update:

            live = TrainingState(net=net, optimizer=optimizer)
            live.load(run.resume())
            for batch in run.batches(train):
                ...
                run.checkpoint(batch.step, live.state)

        On the CPU a resumed fit ends in bitwise the same state as an uninterrupted one.
        """
        ...
