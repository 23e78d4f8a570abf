"""The training loop of all classifiers, and prediction."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn import functional as F

from derm_bench.images import ImageSet
from derm_bench.run import Batch, Run
from derm_bench.specs import ClassifierOptions
from derm_bench.training.engine import Engine, frozen, minimise
from derm_bench.training.losses import CLASSIFICATION_LOSSES
from derm_bench.training.optim import make_optimizer, make_schedule

CHUNK = 256


class Objective(Protocol):
    """What `fit_classifier` minimises instead of `options.loss`.

    `modules` are trained with the network, by name, and `kept` are other objects with `state_dict` and
    `load_state_dict`; both are saved in checkpoints. `forward` is called under autocast and `loss` outside of it, and
    both may be recorded as a CUDA graph; `after` is called after every update, outside of the recording.
    """

    @property
    def modules(self) -> Mapping[str, nn.Module]: ...

    @property
    def kept(self) -> Mapping[str, Any]: ...

    def forward(self, net: nn.Module, images: torch.Tensor) -> Any:
        """The outputs of the network for images [N,3,S,S] that `loss` needs."""
        ...

    def loss(
        self, outputs: Any, batch: Batch
    ) -> tuple[torch.Tensor, torch.Tensor, Mapping[str, torch.Tensor]]:
        """The loss, logits [N,K] of the classes, and further values to log, by name."""
        ...

    def after(self, logs: Mapping[str, torch.Tensor]) -> None:
        """Called with everything that was logged of an update."""
        ...


def fit_classifier(
    net: nn.Module,
    train: ImageSet,
    val: ImageSet,
    run: Run,
    options: ClassifierOptions,
    head: nn.Module | None = None,
    feature_loss: nn.Module | None = None,
    objective: Objective | None = None,
) -> None:
    """Train `net` (images [N,3,S,S] -> logits [N,K], on the run's device) for the run's budget.

    `options` sets loss, optimizer and schedule; with `freeze`, only `head` is trained and the rest stays in eval mode.
    `feature_loss` is called with the input of `head` and the soft targets and is added to the loss; its parameters are
    trained too. An `objective` takes the place of the loss, as for several tasks. `val` is not read here: the run holds
    the validation images and, under `select: best`, keeps the state with the best score on them, which is restored at
    the end.
    """
    extra = {} if feature_loss is None else {"feature_loss": feature_loss}
    extra |= {} if objective is None else dict(objective.modules)
    engine = Engine(run, net=net, **extra)
    for name, part in ({} if objective is None else objective.kept).items():
        engine.keep(name, part)
    _freeze(net, head if options.freeze else None)
    optimizer = make_optimizer(options, [p for part in (net, *extra.values()) for p in part.parameters()])
    schedule = make_schedule(options.schedule, optimizer, options.lr, run.budget)
    engine.keep("optimizer", optimizer)
    engine.keep("schedule", schedule)
    loss_of = CLASSIFICATION_LOSSES[options.loss]

    def step(batch: Batch) -> dict[str, torch.Tensor]:
        _set_mode(net, head if options.freeze else None)
        logs: Mapping[str, torch.Tensor] = {}
        with engine.autocast(), _inputs_of(head if feature_loss else None) as features:
            outputs = net(batch.images) if objective is None else objective.forward(net, batch.images)
        if objective is None:
            logits, loss = outputs, loss_of(outputs, batch.targets, batch.weights)
        else:
            loss, logits, logs = objective.loss(outputs, batch)
        loss = loss + run.extra_loss(net, batch)
        if feature_loss is not None:
            loss = loss + feature_loss(features[0], batch.targets)
        minimise(loss, optimizer)
        correct = logits.detach().argmax(dim=1) == batch.targets.argmax(dim=1)
        return {"loss": loss, "accuracy": correct.float().mean(), **logs}

    def after(batch: Batch, logs: Mapping[str, torch.Tensor]) -> None:
        if objective is not None:
            objective.after(logs)
        schedule(batch.step, logs["loss"])
        run.evaluate(batch.step, lambda images: predict_proba(net, images, options.loss), lambda: _copy(net))

    engine.fit(step, train, options.batch_size, after=after)
    best = run.selected()
    if best is not None:
        net.load_state_dict(best)


@torch.inference_mode()
def predict_proba(net: nn.Module, images: torch.Tensor, loss: str = "ce") -> torch.Tensor:
    """Return probabilities float32 [N,K] of normalised images [N,3,S,S], computed in eval mode without autocast, 256
    images at a time.

    The probabilities are the softmax of the logits, or, for a net trained with `bce`, the sigmoids divided by their
    sum. The mode of the net is restored.
    """
    training = net.training
    net.eval()
    logits = torch.cat([net(chunk).float() for chunk in torch.split(images, CHUNK)])
    net.train(training)
    if loss == "bce":
        scores = logits.sigmoid().clamp(min=1e-12)
        return scores / scores.sum(dim=1, keepdim=True)
    return logits.softmax(dim=1)


def logits_with_gradient(net: nn.Module, images: torch.Tensor, loss: str = "ce") -> torch.Tensor:
    """Return logits float32 [N,K] of normalised images [N,3,S,S], which can be differentiated with respect to the
    images. Their softmax are the probabilities that `predict_proba` returns for the same `loss`.

    Computed in eval mode without autocast. The parameters of `net` get no gradients, and its mode is restored.
    """
    training = net.training
    net.eval()
    device = images.device.type
    # cuDNN computes gradients of recurrent layers in train mode only.
    recurrent = any(isinstance(module, nn.RNNBase) for module in net.modules())
    with (
        frozen(net),
        torch.autocast(device, enabled=False),
        torch.backends.cudnn.flags(
            enabled=torch.backends.cudnn.enabled and not recurrent,
            benchmark=torch.backends.cudnn.benchmark,
            deterministic=torch.backends.cudnn.deterministic,
            allow_tf32=torch.backends.cudnn.allow_tf32,
        ),
    ):
        logits: torch.Tensor = net(images.float()).float()
    net.train(training)
    return F.logsigmoid(logits) if loss == "bce" else logits


@contextlib.contextmanager
def _inputs_of(head: nn.Module | None) -> Iterator[list[torch.Tensor]]:
    """Collect the inputs of `head` within the block, one tensor per forward pass."""
    seen: list[torch.Tensor] = []
    if head is None:
        yield seen
        return
    hook = head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        yield seen
    finally:
        hook.remove()


def _freeze(net: nn.Module, head: nn.Module | None) -> None:
    if head is not None:
        net.requires_grad_(False)
        head.requires_grad_(True)


def _set_mode(net: nn.Module, head: nn.Module | None) -> None:
    """Set train mode, except for frozen layers, whose BatchNorm statistics must not change."""
    if head is None:
        net.train()
    else:
        net.eval()
        head.train()


def _copy(net: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.detach().clone() for key, value in net.state_dict().items()}
