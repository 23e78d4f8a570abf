"""The training engine: the one loop under all fits. A fit defines its networks, its optimizers and a step of plain
tensor code; data, precision, averages, graph capture, curves and checkpoints are handled here, the same for all.

    engine = Engine(run, generator=g, discriminator=d)
    adam_g, adam_d = engine.adam(g, lr, betas), engine.adam(d, lr, betas)
    z_stream = engine.stream("z")

    def step(batch):
        with engine.autocast():
            fake = g(torch.randn(len(batch.images), 100, generator=z_stream, device=z_stream.device))
            real_logits, fake_logits = d(batch.images), d(fake.detach())
        loss_d = discriminator_loss(real_logits, fake_logits)
        minimise(loss_d, adam_d)
        with frozen(d), engine.autocast():
            logits = d(fake)
        loss_g = generator_loss(logits)
        minimise(loss_g, adam_g)
        return {"loss_d": loss_d, "loss_g": loss_g}

    engine.fit(step, train, batch_size)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from derm_bench.images import ImageSet
from derm_bench.run import Batch, Run
from derm_bench.training.capture import CapturedStep, PlainStep, Step
from derm_bench.training.checkpoints import TrainingState
from derm_bench.training.ema import Ema
from derm_bench.training.optim import make_adam
from derm_bench.training.precision import autocast
from derm_bench.training.seeding import stream

After = Callable[[Batch, Mapping[str, torch.Tensor]], None]
Before = Callable[[int], Mapping[str, Hashable]]


class Engine:
    """The loop of one fit. `networks` (by name) are set to train mode and channels_last, on the run's device.

    Everything that `adam`, `keep`, `stream` and `average` return or take is part of the training state: it is in every
    checkpoint, and a resumed fit continues with it.
    """

    def __init__(self, run: Run, **networks: nn.Module) -> None:
        self.run = run
        self._state = TrainingState()
        self._averages: list[Ema] = []
        for name, net in networks.items():
            net.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.keep(name, net)

    def keep(self, name: str, part: Any) -> None:
        """Makes `part` (with `state_dict` and `load_state_dict`, or a torch.Generator) part of the training state."""
        if name in self._state.parts:
            raise ValueError(f"two parts of the training state are called '{name}'")
        self._state.parts[name] = part

    def adam(
        self, nets: nn.Module | Iterable[nn.Module], lr: float, betas: tuple[float, float] = (0.9, 0.999)
    ) -> torch.optim.Adam:
        """Fused Adam over all parameters of one network or several."""
        modules = [nets] if isinstance(nets, nn.Module) else list(nets)
        optimizer = make_adam([p for net in modules for p in net.parameters()], lr, betas)
        self.keep(f"adam {len(self._state.parts)}", optimizer)
        return optimizer

    def stream(self, name: str) -> torch.Generator:
        """A random generator on the device, seeded by the run's seed and the name; noise is drawn from it."""
        generator = stream(self.run.seed, name, self.run.device)
        self.keep(f"stream {name}", generator)
        return generator

    def average(self, net: nn.Module, decay: float, warm_up: bool = False) -> Ema:
        """An exponential moving average of `net`, updated after every step; `.net` is the average."""
        average = Ema(net, decay, warm_up=warm_up)
        self.keep(f"average {len(self._averages)}", average)
        self._averages.append(average)
        return average

    def autocast(self) -> torch.autocast:
        """The context of forward passes in the run's precision. Losses belong outside of it, in float32."""
        return autocast(self.run.device, self.run.precision)

    def fit(
        self,
        step: Step,
        train: ImageSet,
        batch_size: int | None = None,
        *,
        lazily: Mapping[str, int] | None = None,
        before: Before | None = None,
        after: After | None = None,
        masks: bool = False,
    ) -> None:
        """Calls `step` on every batch of the run, and logs what it returns: scalar tensors by name.

        On a GPU the step is recorded as a CUDA graph after a few updates and replayed from then on. So that this is
        possible, a step is a function of its batch alone: it must not look at values of tensors (`.item()`, `if
        loss > 1`), count, or read `batch.step`, which is 0 in it; it may draw from `stream` and from the device's
        global generator. A step that cannot be recorded runs eagerly, and a line on stderr gives the reason.
        lazily: `{"r1": 16}` calls `step(batch, r1=True)` at the first and every 16th update after it, else with
        `r1=False`; each combination is recorded on its own.
        before: is called with the number of every update (1 for the first) before it, outside of the recording, and
        returns keywords for the step, `{"stage": 2}` say: numbers or names of few values, each combination recorded on
        its own. What changes at every update belongs into a tensor that `before` fills and the step reads. All of it
        must follow from the number, so that a resumed fit continues in the same way.
        after: is called with the batch and the logs after every update, outside of the recording: the place of
        schedules, evaluations and snapshots.
        masks: batches carry the masks of `train`.
        """
        self._state.load(self.run.resume())
        perform = self._recorded(self._whole(step))
        # Passed only where it is set: another implementation of Run may not have it.
        masked = {"masks": True} if masks else {}
        for batch in self.run.batches(train, batch_size, **masked):
            flags: dict[str, Hashable] = {
                name: (batch.step - 1) % every == 0 for name, every in (lazily or {}).items()
            }
            flags |= before(batch.step) if before is not None else {}
            logs = perform(batch, flags)
            self.run.log(batch.step, **logs)
            if after is not None:
                after(batch, logs)
            self.run.checkpoint(batch.step, self._state.state)

    def _whole(self, step: Step) -> Step:
        """The step with the averages after it."""

        def whole(batch: Batch, **flags: Hashable) -> Mapping[str, torch.Tensor]:
            logs = step(batch, **flags)
            for average in self._averages:
                average.update()
            return {name: value.detach() for name, value in logs.items()}

        return whole

    def _recorded(self, step: Step) -> PlainStep | CapturedStep:
        if not self.run.device.startswith("cuda"):
            return PlainStep(step)
        streams = [part for part in self._state.parts.values() if isinstance(part, torch.Generator)]
        return CapturedStep(step, self.run.device, streams)


def minimise(loss: torch.Tensor, *optimizers: torch.optim.Optimizer) -> None:
    """One update: gradients of `loss` afresh, then a step of each optimizer."""
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    for optimizer in optimizers:
        optimizer.step()


@contextlib.contextmanager
def frozen(*nets: nn.Module) -> Iterator[None]:
    """Forward passes inside record no gradients of these networks' parameters: D's are not needed for G's step."""
    parameters = [p for net in nets for p in net.parameters() if p.requires_grad]
    for p in parameters:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in parameters:
            p.requires_grad_(True)
