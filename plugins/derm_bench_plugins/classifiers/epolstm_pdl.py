"""EPOLSTM-PDL, also EPL-OLSTM (JIFS 2023, doi 10.3233/JIFS-232172), which paper 000 compares with.

    image -> AlexNet, ResNet-50, GoogLeNet, each without its last layer -> 3 vectors, each projected to 512
          -> LSTM over the three -> last state -> dropout -> linear / T -> K logits

Its abstract names the parts: deep features of AlexNet, ResNet and InceptionNet, an LSTM "with hyper-parameters chosen
by Battle Royale Optimisation", and a "fuzzy softmax". The full text was not available, so the following are choices:

- The features are the inputs of the last layers: 4096, 2048 and 1024 numbers. With `weights` and `freeze: true` the
  networks stay as they are; otherwise they are trained with the LSTM.
- The search is over the LSTM's state (64 to 512), layers (1 or 2), dropout (0 to 0.5) and the learning rate (1e-4 to
  1e-2); state and rate on a logarithmic scale. It takes half of the budget of updates: each trial trains a new LSTM, on
  networks as they were at the start, for an equal number of updates, and is scored by the primary metric on the
  validation images; without validation images by the mean training loss. The other half trains the best settings from
  the start.
- The fuzzy softmax is a softmax with a temperature T, which is learned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import nn

from derm_bench.training.checkpoints import TrainingState
from derm_bench.training.classification import predict_proba
from derm_bench.training.engine import minimise
from derm_bench.training.losses import soft_cross_entropy
from derm_bench.training.module_classifier import ModuleClassifier
from derm_bench.training.optim import make_optimizer, make_schedule
from derm_bench.training.precision import autocast
from derm_bench.training.seeding import stream
from derm_bench.training.weights import load_network, origin_of, read_weights, without_prefix
from derm_bench_plugins.classifiers.battle_royale import BattleRoyale
from derm_bench_plugins.classifiers.smallest_size import check_size
from derm_bench_plugins.classifiers.torchvision_net import IMAGENET, WITH_AUXILIARY, headless

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.run import Batch, Run
    from derm_bench.specs import Task
    from derm_bench_plugins.classifiers.specs.epolstm_pdl import EpolstmPdlOptions

SETTINGS = "head.settings"


class Settings(NamedTuple):
    """What the search chooses."""

    hidden: int
    layers: int
    dropout: float
    lr: float

    @classmethod
    def at(cls, point: torch.Tensor, options: EpolstmPdlOptions) -> Settings:
        """Return the settings at a point of the unit cube [4]; state and rate are on a logarithmic scale."""
        u = [min(1.0, max(0.0, value)) for value in point.tolist()]
        layers, dropout = options.layers_range, options.dropout_range
        return cls(
            round(_logarithmic(u[0], *options.hidden_range)),
            min(layers[1], layers[0] + int(u[1] * (layers[1] - layers[0] + 1))),
            dropout[0] + u[2] * (dropout[1] - dropout[0]),
            _logarithmic(u[3], *options.lr_range),
        )


class Backbone(nn.Module):
    """A network of torchvision without its last layer: images [N,3,S,S], normalised to [-1,1] -> features [N,width]."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, model: str, task: Task, pretrained: bool) -> None:
        super().__init__()
        self.net, self.width = headless(model, task)
        mean, std = IMAGENET if pretrained and model not in WITH_AUXILIARY else ((0.5,) * 3, (0.5,) * 3)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.net(((images + 1) / 2 - self.mean) / self.std)).flatten(1)


class LstmHead(nn.Module):
    """Features [N,width] of each network -> logits [N,K] over a temperature. Its settings are part of its state."""

    settings: torch.Tensor

    def __init__(
        self, widths: list[int], settings: Settings, options: EpolstmPdlOptions, classes: int
    ) -> None:
        super().__init__()
        self.project = nn.ModuleList(nn.Linear(width, options.width) for width in widths)
        between = settings.dropout if settings.layers > 1 else 0.0
        self.lstm = nn.LSTM(
            options.width, settings.hidden, settings.layers, batch_first=True, dropout=between
        )
        self.dropout = nn.Dropout(settings.dropout)
        self.linear = nn.Linear(settings.hidden, classes)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(options.temperature)))
        self.register_buffer("settings", torch.tensor(list(settings), dtype=torch.float64))

    def forward(self, features: list[torch.Tensor]) -> torch.Tensor:
        steps = torch.stack(
            [project(one) for project, one in zip(self.project, features, strict=True)], dim=1
        )
        states, _ = self.lstm(steps)
        logits: torch.Tensor = self.linear(self.dropout(states[:, -1]))
        return logits / self.log_temperature.exp()


class Epolstm(nn.Module):
    """Images [N,3,S,S] in [-1,1] -> logits [N,K]. `rebuild` makes a new head for other settings."""

    def __init__(self, options: EpolstmPdlOptions, task: Task, settings: Settings) -> None:
        super().__init__()
        given = options.weights or {}
        self.backbones = nn.ModuleDict(
            {name: Backbone(name, task, name in given) for name in options.networks}
        )
        self.options, self.classes = options, len(task.classes)
        self.rebuild(settings)

    def rebuild(self, settings: Settings) -> None:
        where = next(self.backbones.parameters()).device
        widths = [int(backbone.width) for backbone in self.backbones.values()]  # type: ignore[arg-type]
        self.head = LstmHead(widths, settings, self.options, self.classes).to(where)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.head([backbone(images) for backbone in self.backbones.values()]))

    def set_mode(self) -> None:
        """Set train mode; frozen networks stay in eval mode and get no gradients."""
        self.train()
        if self.options.freeze:
            self.backbones.eval().requires_grad_(False)


def make(options: EpolstmPdlOptions, task: Task) -> EpolstmClassifier:
    return EpolstmClassifier(options, task)


class EpolstmClassifier(ModuleClassifier):
    """The network and its search. Raises UserError if the side is too small for a network, or weights do not fit."""

    def __init__(self, options: EpolstmPdlOptions, task: Task) -> None:
        start = Settings(options.hidden, options.layers, options.dropout, options.lr)
        if options.search:
            start = Settings.at(torch.full((4,), 0.5), options)
        net = Epolstm(options, task, start)
        for name, backbone in net.backbones.items():
            check_size(backbone, name, task.size)
        without = options.model_copy(update={"weights": None})  # loaded here, into each network
        super().__init__(net, net.head, without, task)
        self.network, self.given = net, options
        for name, file in (options.weights or {}).items():
            inner = net.backbones[name].net
            assert isinstance(inner, nn.Module)
            load_network(inner, None, file, unused=(*WITH_AUXILIARY.get(name, ()), *_heads_of(inner, file)))
            origin = origin_of(file)
            self.weights_from |= {f"{name} {key}": value for key, value in origin.items()}

    def fit(self, train: ImageSet, val: ImageSet, run: Run) -> None:
        """Train within the budget of the run: first the trials of the search, then the best settings."""
        search = Search(self.network, run, self.given)
        live = TrainingState(search=search)
        live.load(run.resume())
        for batch in run.batches(train):
            search.begin(batch.step)
            run.log(batch.step, **search.update(batch))
            search.end(batch.step)
            run.evaluate(
                batch.step, lambda images: predict_proba(self.network, images), lambda: _copy(self.network)
            )
            run.checkpoint(batch.step, live.state)
        best = run.selected()
        if best is not None:
            _load(self.network, best)
        self.head = self.network.head

    def load_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """Restore the output of `state`, with a head of its settings."""
        if f"net.{SETTINGS}" in state:
            self.network.rebuild(_settings(state[f"net.{SETTINGS}"]))
            self.head = self.network.head
        super().load_state(state)


class Search:
    """The state of a fit: the search, and the training of the present settings. It trains `net` in place.

    The first `trials` times `of_trial` updates are those of the trials, all others train the best settings.
    """

    def __init__(self, net: Epolstm, run: Run, options: EpolstmPdlOptions) -> None:
        self.net, self.run, self.options = net.train().to(memory_format=torch.channels_last), run, options  # type: ignore[call-overload]
        share = int(run.budget * options.search_share) if options.search else 0
        self.of_trial = max(1, share // options.trials)
        self.trials = min(options.trials, share // self.of_trial)
        if self.trials < 2:
            self.trials = 0
        soldiers = max(2, min(options.soldiers, self.trials))
        rounds = max(1, (self.trials - soldiers) // soldiers)
        draws = stream(run.seed, "battle royale")
        self.royale = BattleRoyale(torch.zeros(4), torch.ones(4), soldiers, rounds, draws)
        self.losses: list[torch.Tensor] = []
        frozen = options.freeze
        self.at_start = {} if frozen or not self.trials else _copy(net.backbones)
        self._optimise(_settings(net.head.settings), 1)

    @property
    def searched(self) -> int:
        """The number of updates of the trials."""
        return self.trials * self.of_trial

    def begin(self, step: int) -> None:
        """Start a trial, or the last training, if `step` is the first update of it."""
        if not self.trials or step > self.searched + 1 or (step - 1) % self.of_trial:
            return
        last = step == self.searched + 1
        point = self.royale.best if last else self.royale.ask()
        if self.at_start:
            self.net.backbones.load_state_dict(self.at_start)
        settings = Settings.at(point, self.options)
        self.net.rebuild(settings)
        self.losses.clear()
        self._optimise(settings, step)

    def update(self, batch: Batch) -> dict[str, torch.Tensor]:
        """Perform one update and return what is logged."""
        self.net.set_mode()
        with autocast(self.run.device, self.run.precision):
            logits = self.net(batch.images)
        loss = soft_cross_entropy(logits, batch.targets, batch.weights) + self.run.extra_loss(self.net, batch)
        minimise(loss, self.optimizer)
        self.losses.append(loss.detach())
        correct = logits.detach().argmax(dim=1) == batch.targets.argmax(dim=1)
        return {"loss": loss.detach(), "accuracy": correct.float().mean()}

    def end(self, step: int) -> None:
        """Score a trial after its last update; elsewhere, set the learning rate."""
        if step > self.searched:
            self.schedule(step - self.searched, self.losses[-1])
            del self.losses[:-1]
        elif step % self.of_trial == 0:
            score = self.run.score(lambda images: predict_proba(self.net, images))
            self.royale.tell(float(torch.stack(self.losses).mean()) if score is None else -score)

    def _optimise(self, settings: Settings, step: int) -> None:
        """Make the optimizer of the present network."""
        self.net.set_mode()
        given = self.options.model_copy(update={"lr": settings.lr})
        self.optimizer = make_optimizer(given, self.net.parameters())
        name = self.options.schedule if step > self.searched else "none"
        self.schedule = make_schedule(name, self.optimizer, settings.lr, self.run.budget - self.searched)
        self.step = step

    def state_dict(self) -> dict[str, Any]:
        return {
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "royale": self.royale.state_dict(),
            "losses": list(self.losses),
            "step": self.step,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        where = next(self.net.parameters()).device
        _load(self.net, state["net"])
        self._optimise(_settings(state["net"][SETTINGS]), int(state["step"]))
        self.optimizer.load_state_dict(dict(state["optimizer"]))
        self.schedule.load_state_dict(state["schedule"])
        self.royale.load_state_dict(state["royale"])
        self.losses = [loss.to(where) for loss in state["losses"]]


def _logarithmic(share: float, low: float, high: float) -> float:
    return float(low * (high / low) ** share)


def _settings(values: torch.Tensor) -> Settings:
    hidden, layers, dropout, lr = values.tolist()
    return Settings(int(hidden), int(layers), dropout, lr)


def _copy(net: nn.Module) -> dict[str, torch.Tensor]:
    return {key: value.detach().clone() for key, value in net.state_dict().items()}


def _load(net: Epolstm, state: Mapping[str, torch.Tensor]) -> None:
    """Load a state of the whole network, whose head may have other settings."""
    net.rebuild(_settings(state[SETTINGS]))
    net.load_state_dict(dict(state))


def _heads_of(net: nn.Module, file: Any) -> tuple[str, ...]:
    """The entries of a weights file that a network without its last layer does not have."""
    own = net.state_dict()
    return tuple(key for key in without_prefix(read_weights(file), own) if key not in own)
