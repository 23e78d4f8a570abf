"""Optimizers and learning-rate schedules, by their names in the common classifier options."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import nn


class OptimizerOptions(Protocol):
    """The fields of ClassifierOptions that an optimizer reads."""

    @property
    def optimizer(self) -> str: ...
    @property
    def lr(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...
    @property
    def betas(self) -> tuple[float, float]: ...


def make_adam(
    params: Iterable[nn.Parameter], lr: float, betas: tuple[float, float] = (0.9, 0.999)
) -> torch.optim.Adam:
    """Return a fused Adam (one kernel for all parameters, also on the CPU) that a CUDA graph can record."""
    params = list(params)
    rate, graphs = _for_graphs(params, lr)
    return torch.optim.Adam(params, lr=rate, betas=betas, fused=True, capturable=graphs)


def _for_graphs(params: Sequence[nn.Parameter], lr: float) -> tuple[float | torch.Tensor, bool]:
    """Return the learning rate as a tensor on a CUDA device, where a recorded graph reads it, or else as a number; and
    whether the optimizer must be capturable."""
    on_gpu = bool(params) and params[0].is_cuda
    return (torch.tensor(lr, device=params[0].device), True) if on_gpu else (lr, False)


def make_optimizer(options: OptimizerOptions, params: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the optimizer `options.optimizer` (adam, adamw, sgd, adagrad) over the trainable parameters in `params`.

    It is fused except for Adagrad, which has no fused GPU kernel in all supported versions of torch.
    """
    trainable = [p for p in params if p.requires_grad]
    decay, betas = options.weight_decay, options.betas
    lr, graphs = _for_graphs(trainable, options.lr)
    match options.optimizer:
        case "adam":
            return torch.optim.Adam(
                trainable, lr=lr, betas=betas, weight_decay=decay, fused=True, capturable=graphs
            )
        case "adamw":
            return torch.optim.AdamW(
                trainable, lr=lr, betas=betas, weight_decay=decay, fused=True, capturable=graphs
            )
        case "sgd":
            return torch.optim.SGD(trainable, lr=lr, momentum=betas[0], weight_decay=decay, fused=True)
        case "adagrad":
            return torch.optim.Adagrad(trainable, lr=options.lr, weight_decay=decay)
        case other:
            raise ValueError(f"there is no optimizer named '{other}'")


class Schedule(Protocol):
    """A schedule is called after every update with the step (from 1) and the training loss, and sets the learning
    rate."""

    def __call__(self, step: int, loss: torch.Tensor) -> None: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


def make_schedule(name: str, optimizer: torch.optim.Optimizer, lr: float, budget: int) -> Schedule:
    """Return the schedule `name` over `budget` updates, starting from `lr`:

    none     constant
    cosine   lr (1 + cos(pi step / budget)) / 2
    step     multiplied by 0.1 after one half and again after three quarters of the budget
    plateau  halved when the training loss, averaged over twentieths of the budget, has not fallen
             for two of them; the validation set is not used
    """
    if name == "plateau":
        return _Plateau(optimizer, budget)
    factors: dict[str, Callable[[float], float]] = {
        "none": lambda t: 1.0,
        "cosine": lambda t: (1 + math.cos(math.pi * t)) / 2,
        "step": lambda t: 1.0 if t < 0.5 else 0.1 if t < 0.75 else 0.01,
    }
    return _Factor(optimizer, lr, budget, factors[name])


class _Factor:
    """A learning rate that depends on the step alone."""

    def __init__(
        self, optimizer: torch.optim.Optimizer, lr: float, budget: int, factor: Callable[[float], float]
    ) -> None:
        self.optimizer, self.lr, self.budget, self.factor = optimizer, lr, budget, factor

    def __call__(self, step: int, loss: torch.Tensor) -> None:
        for group in self.optimizer.param_groups:
            rate = self.lr * self.factor(step / self.budget)
            if isinstance(group["lr"], torch.Tensor):  # read by a CUDA graph
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Do nothing, as there is no state."""


class _Plateau:
    def __init__(self, optimizer: torch.optim.Optimizer, budget: int) -> None:
        self.inner = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
        self.window = max(1, budget // 20)
        self.losses: list[torch.Tensor] = []

    def __call__(self, step: int, loss: torch.Tensor) -> None:
        self.losses.append(loss.detach().clone())
        if step % self.window == 0:
            self.inner.step(float(torch.stack(self.losses).mean()))
            self.losses.clear()

    def state_dict(self) -> dict[str, Any]:
        return {"inner": self.inner.state_dict(), "losses": list(self.losses)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.inner.load_state_dict(dict(state["inner"]))
        device = self.inner.optimizer.param_groups[0]["params"][0].device
        self.losses = [loss.to(device) for loss in state["losses"]]
