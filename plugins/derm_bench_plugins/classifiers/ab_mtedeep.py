"""AB-MTEDeep, the classifier of paper 000 (Saraswathi and Pushpa 2023): an "attention-based balanced multi-tasking
ensembling deep" network.

    image -> residual branch: stem 7x7/2, max pool, 4 stages of 2 blocks of depthwise-separable 3x3s, attention -> r_t
          -> LSTM branch: patches of 16x16 px, embedded by 2 convolutions, in raster order -> bidirectional LSTM
             -> attention over steps -> l_t
    for each task t: r_t and l_t with cross-residual connections -> heads on r_t, on l_t, and on both
    prediction: the mean of the softmax of the three heads of the first task

The paper names these parts and states no layer, loss or setting, so the following are choices:

- "FRCNN", the local encoder, is a light residual network, not the detector Faster R-CNN: its source calls it "Faster
  Residual CNN". Widths are 64, 128, 256 and 512.
- Cross-residual connections are those of Jou and Chang (2016): y_t = F_t(x_t) + x_t + sum of lambda_ts x_s, with
  learned lambdas that begin at 0.1. They lie in the last stage of the residual branch and in all layers of the LSTM, of
  which each task has its own, and between the vectors of both branches.
- The first task are the classes. The second is `auxiliary`, `derived`, or healthy against diseased; without any of them
  the network learns the classes alone.
- The loss of a task is the mean over its heads of the cross-entropy with class weights by the effective number of
  images (Cui et al. 2019). Tasks are weighted by Dynamic Weight Averaging (Liu et al. 2019) with T = 2, over epochs.
- Adam with 1e-3 (weights from scratch), weight decay 1e-4, batches of 32, a cosine schedule.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from derm_bench.training.classification import fit_classifier
from derm_bench.training.module_classifier import ModuleClassifier
from derm_bench_plugins.classifiers.ab_mtedeep_nets import AbMtedeep, Heads, log_mean_softmax
from derm_bench_plugins.classifiers.derived_task import derived_labels
from derm_bench_plugins.classifiers.multi_task import (
    DynamicWeights,
    Uncertainty,
    balanced_cross_entropy,
    class_weights,
)

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.run import Batch, Run
    from derm_bench.specs import Task
    from derm_bench_plugins.classifiers.specs.ab_mtedeep import AbMtedeepOptions


def make(options: AbMtedeepOptions, task: Task) -> AbMtedeepClassifier:
    return AbMtedeepClassifier(options, task)


class AbMtedeepClassifier(ModuleClassifier):
    """The network, trained with the loss of one or two tasks."""

    def __init__(self, options: AbMtedeepOptions, task: Task) -> None:
        self.derived: dict[str, tuple[str, ...]] | None = None
        if options.auxiliary is None and not options.single_task:
            self.derived = derived_labels(options.derived, task.classes)
        second = not options.single_task and (options.auxiliary is not None or self.derived is not None)
        net = AbMtedeep(options, len(task.classes), 2 if second else 1)
        super().__init__(net, net.heads, options, task)
        self.method, self.network = options, net

    def fit(self, train: ImageSet, val: ImageSet, run: Run) -> None:
        objective = MultiTaskLoss(
            self.method, self.network.widths, self._tasks(train), len(train), run.device
        )
        fit_classifier(self.net, train, val, run, self.options, head=self.head, objective=objective)

    def _tasks(self, train: ImageSet) -> list[LearnedTask]:
        """The tasks, with the number of training images of each label."""
        classes = LearnedTask("classes", _counts(train.labels, len(train.classes)))
        if self.network.tasks == 1:
            return [classes]
        name = self.method.auxiliary
        if name is not None:
            # The harness gives no labels for a task that the data set of an `init` training does not have.
            labels = train.aux_labels.get(name, torch.full_like(train.labels, -1))
            return [classes, LearnedTask(name, _counts(labels, max(1, int(labels.max()) + 1)))]
        assert self.derived is not None
        member = torch.tensor(
            [[float(label in group) for group in self.derived.values()] for label in train.classes]
        )
        return [classes, LearnedTask("derived", (classes.counts.float() @ member).long(), member)]


class LearnedTask:
    """A task: `counts` int64 [K], the training images of each label. `member`, float32 [classes,K], is given for a
    task that is made of the classes, and says which label each class has."""

    def __init__(self, name: str, counts: torch.Tensor, member: torch.Tensor | None = None) -> None:
        self.name, self.counts, self.member = name, counts, member

    def targets(self, batch: Batch) -> torch.Tensor:
        """Return soft targets [N,K]; a row of zeros for an image without a label."""
        if self.member is not None:
            return (batch.targets.unsqueeze(2) * self.member.to(batch.targets)).sum(dim=1)
        if self.name in batch.aux:
            return batch.aux[self.name]
        return batch.targets.new_zeros(len(batch.targets), len(self.counts))


class MultiTaskLoss:
    """The balanced multi-task loss, as an `Objective` of `fit_classifier`. It holds the heads of auxiliary tasks.

    widths: those of the vectors of the network. images: training images, for the number of updates per epoch.
    """

    def __init__(
        self,
        options: AbMtedeepOptions,
        widths: Sequence[int],
        tasks: Sequence[LearnedTask],
        images: int,
        device: str,
    ) -> None:
        self.tasks = tasks
        self.weights = [
            class_weights(task.counts, options.class_balance, options.beta).to(device) for task in tasks
        ]
        for task in tasks:
            task.member = None if task.member is None else task.member.to(device)
        heads = [Heads(options, widths, len(task.counts)) for task in tasks[1:]]
        self.heads = nn.ModuleList(heads).to(device)
        self.modules: dict[str, nn.Module] = {"auxiliary heads": self.heads} if heads else {}
        self.kept: dict[str, Any] = {}
        self.uncertainty: Uncertainty | None = None
        self.dynamic: DynamicWeights | None = None
        if len(tasks) > 1 and options.task_balance == "uncertainty":
            self.uncertainty = Uncertainty(len(tasks)).to(device)
            self.modules["uncertainty"] = self.uncertainty
        elif len(tasks) > 1 and options.task_balance == "dwa":
            period = options.period or max(1, -(-images // options.batch_size))
            self.dynamic = DynamicWeights(len(tasks), period, options.temperature, device)
            self.kept["dynamic weights"] = self.dynamic

    def forward(self, net: nn.Module, images: torch.Tensor) -> list[list[torch.Tensor]]:
        """Return the logits of all heads of each task."""
        assert isinstance(net, AbMtedeep)
        features = net.features(images)
        return [
            net.heads(features[0]),
            *(head(one) for head, one in zip(self.heads, features[1:], strict=True)),
        ]

    def loss(
        self, outputs: Sequence[Sequence[torch.Tensor]], batch: Batch
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, torch.Tensor]]:
        """Return the loss, the logits [N,K] of the classes, and what is logged."""
        losses = torch.stack(
            [
                _mean(
                    balanced_cross_entropy(logits, task.targets(batch), weights, batch.weights)
                    for logits in heads
                )
                for task, heads, weights in zip(self.tasks, outputs, self.weights, strict=True)
            ]
        )
        if self.uncertainty is not None:
            total = self.uncertainty(losses)
        elif self.dynamic is not None:
            total = (self.dynamic.weights * losses).sum()
        else:
            total = losses.sum()
        logs: dict[str, torch.Tensor] = {}
        if len(self.tasks) > 1:
            logs = {"loss_classes": losses[0], "loss_auxiliary": losses[1]}
        return total, log_mean_softmax(outputs[0]), logs

    def after(self, logs: Mapping[str, torch.Tensor]) -> None:
        """Update the weights of the tasks after an update."""
        if self.dynamic is not None:
            self.dynamic.add(torch.stack([logs["loss_classes"], logs["loss_auxiliary"]]).float())


def _mean(values: Any) -> torch.Tensor:
    return torch.stack(list(values)).mean()


def _counts(labels: torch.Tensor, classes: int) -> torch.Tensor:
    return torch.bincount(labels[labels >= 0], minlength=classes)
