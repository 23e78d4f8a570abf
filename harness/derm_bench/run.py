"""The `run` argument of a plugin's `fit`: its only access to data, budget, seeds, logs and checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

Precision = Literal["fp32", "tf32", "bf16"]
"""`fp32`: float32 throughout. `tf32`: float32, with products that a CUDA device may round to TF32. `bf16`: forward
passes under bfloat16 autocast; operations that stay in float32 are not rounded to TF32."""

if TYPE_CHECKING:
    import torch
    from torch import nn

    from derm_bench.images import ImageSet


@dataclass(frozen=True)
class Batch:
    """One training batch, on the stage's device.

    images: float32 [N,3,S,S], augmented, mixed and normalised; targets: float32 [N,K], rows sum to 1 (soft after
    mixing or smoothing); weights: float32 [N], 1 unless classes are weighted; aux: soft targets by task;
    step: 1 for the first update; masks: float32 [N,1,S,S] in [0,1], if `batches` was called with `masks=True`: the
    masks of the training set, moved, rotated and scaled like the images (with fractions for pixels on an edge);
    data: the rows of `ImageSet.data` for the images, by name, [N,...] with the stored dtype. No transform changes them,
    and after mixing they are those of the first image.
    """

    images: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor
    aux: Mapping[str, torch.Tensor] = field(default_factory=dict)
    step: int = 0
    masks: torch.Tensor | None = None
    data: Mapping[str, torch.Tensor] = field(default_factory=dict)


class Run(Protocol):
    """The run of a `fit`, which it receives besides its data. `seed` is the seed for all randomness in the fit;
    `budget` is the number of updates; `device` is the device of the batches; `precision` is the precision of forward
    passes."""

    seed: int
    budget: int
    device: str
    precision: Precision

    def batches(self, train: ImageSet, batch_size: int | None = None, masks: bool = False) -> Iterator[Batch]:
        """Yields exactly `budget` training batches, or the remaining ones after `resume`. For generators images are in
        [-1,1] (mean = std = 0.5). With `masks`, each batch has the masks of its images, and `train` must have masks.
        Every batch has the named data of `train`."""
        ...

    def log(self, step: int, **values: float | torch.Tensor) -> None:
        """Adds points to the training curves. Tensors are read later, in bulk, so logging does not synchronise the
        device."""
        ...

    def progress(self, done: float, total: float) -> None:
        """Moves the progress bar of this stage."""
        ...

    def extra_loss(self, model: nn.Module, batch: Batch) -> torch.Tensor | float:
        """The sum of the strategy's regularisers for this batch; 0.0 if it has none."""
        ...

    def evaluate(
        self, step: int, predict: Callable[[torch.Tensor], torch.Tensor], state: Callable[[], Any]
    ) -> None:
        """Classifiers call this after every update. At steps chosen by the harness, equally many in every arm, it
        predicts the validation images, logs the primary metric, and keeps `state()` if the metric is the best so
        far."""
        ...

    def selected(self) -> Any | None:
        """The state kept by `evaluate` under `select: best`; None if the last state is to be used."""
        ...

    def snapshot(self, step: int, state: Callable[[], Mapping[str, torch.Tensor]]) -> None:
        """Generators call this after every update. The harness keeps the states at the steps that the matrix
        specifies."""
        ...

    def checkpoint(self, step: int, state: Callable[[], Mapping[str, Any]]) -> None:
        """Provides the training state for resuming after an interruption. Call it after every update, as the last call
        in the loop. The harness calls `state` when a checkpoint is due, once a minute, and stores its value with the
        position in `batches`, the curves, the state that `evaluate` selected and all global random generators. `state`
        returns everything else that the loop changes: weights, optimizers, schedules, averages and its own
        `torch.Generator`s, as tensors, numbers, strings, and lists, tuples and dicts of them.
        `derm_bench.training.checkpoints.TrainingState` collects it."""
        ...

    def resume(self) -> Mapping[str, Any] | None:
        """The last value of `state` from an interrupted attempt at the same stage, with tensors on the CPU; None to
        start from the beginning. Call it once, after all objects are created and before `batches`, which then continues
        with the next update:

            live = TrainingState(net=net, optimizer=optimizer)
            live.load(run.resume())
            for batch in run.batches(train):
                ...
                run.checkpoint(batch.step, live.state)

        On the CPU a resumed fit ends in a state that is bitwise equal to that of an uninterrupted one.
        """
        ...
