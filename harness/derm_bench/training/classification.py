"""The one training loop of all classifiers, and prediction."""

from __future__ import annotations

import torch
from torch import nn

from derm_bench.images import ImageSet
from derm_bench.run import Batch, Run
from derm_bench.specs import ClassifierOptions
from derm_bench.training.checkpoints import TrainingState
from derm_bench.training.losses import CLASSIFICATION_LOSSES
from derm_bench.training.optim import make_optimizer, make_schedule
from derm_bench.training.precision import autocast

CHUNK = 256


def fit_classifier(
    net: nn.Module,
    train: ImageSet,
    val: ImageSet,
    run: Run,
    options: ClassifierOptions,
    head: nn.Module | None = None,
) -> None:
    """Trains `net` (images [N,3,S,S] -> logits [N,K], on the run's device) for the run's budget.

    Loss, optimizer and schedule are those of `options`; `freeze` trains `head` alone, the rest in eval mode.
    `val` is not read here: the run holds the validation images and, under `select: best`, the state that did
    best on them, which is restored at the end.
    """
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    _freeze(net, head if options.freeze else None)
    optimizer = make_optimizer(options, net.parameters())
    schedule = make_schedule(options.schedule, optimizer, options.lr, run.budget)
    live = TrainingState(net=net, optimizer=optimizer, schedule=schedule)
    live.load(run.resume())
    for batch in run.batches(train, options.batch_size):
        _set_mode(net, head if options.freeze else None)
        loss = _update(net, batch, run, options, optimizer)
        schedule(batch.step, loss)
        run.evaluate(batch.step, lambda images: predict_proba(net, images, options.loss), lambda: _copy(net))
        run.checkpoint(batch.step, live.state)
    best = run.selected()
    if best is not None:
        net.load_state_dict(best)


def _update(
    net: nn.Module, batch: Batch, run: Run, options: ClassifierOptions, optimizer: torch.optim.Optimizer
) -> torch.Tensor:
    with autocast(run.device, run.precision):
        logits = net(batch.images)
    fit = CLASSIFICATION_LOSSES[options.loss](logits, batch.targets, batch.weights)
    loss = fit + run.extra_loss(net, batch)
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    optimizer.step()
    correct = logits.detach().argmax(dim=1) == batch.targets.argmax(dim=1)
    run.log(batch.step, loss=loss.detach(), accuracy=correct.float().mean())
    return loss.detach()


@torch.inference_mode()
def predict_proba(net: nn.Module, images: torch.Tensor, loss: str = "ce") -> torch.Tensor:
    """float32 [N,K] probabilities of normalised images [N,3,S,S], in eval mode and fp32, 256 images at a
    time.

    Softmax of the logits; of a net trained with `bce`, the sigmoids divided by their sum. The mode is
    restored.
    """
    training = net.training
    net.eval()
    logits = torch.cat([net(chunk).float() for chunk in torch.split(images, CHUNK)])
    net.train(training)
    if loss == "bce":
        scores = logits.sigmoid().clamp(min=1e-12)
        return scores / scores.sum(dim=1, keepdim=True)
    return logits.softmax(dim=1)


def _freeze(net: nn.Module, head: nn.Module | None) -> None:
    if head is not None:
        net.requires_grad_(False)
        head.requires_grad_(True)


def _set_mode(net: nn.Module, head: nn.Module | None) -> None:
    """Frozen layers stay in eval mode: BatchNorm statistics that drift are training too."""
    if head is None:
        net.train()
    else:
        net.eval()
        head.train()


def _copy(net: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.detach().clone() for key, value in net.state_dict().items()}
