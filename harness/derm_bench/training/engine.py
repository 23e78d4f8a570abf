"""The training engine: the loop that all fits share. A fit defines its networks, its optimizers and a step of tensor
code. The engine handles data, precision, weight averages, graph capture, curves and checkpoints.

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
from derm_bench.training.ema import Ema, HalfLifeEma
from derm_bench.training.optim import make_adam
from derm_bench.training.precision import autocast
from derm_bench.training.seeding import stream

After = Callable[[Batch, Mapping[str, torch.Tensor]], None]
Before = Callable[[int], Mapping[str, Hashable]]


class Engine:
    """The loop of one fit. `networks` (by name) are set to train mode and channels_last, on the run's device.

    All objects that `adam`, `stream` and `average` return, or that `keep` receives, are part of the training state:
    they are saved in every checkpoint and restored in a resumed fit.
    """

    def __init__(self, run: Run, **networks: nn.Module) -> None:
        self.run = run
        self._state = TrainingState()
        self._averages: list[Ema] = []
        self._resumed = False
        for name, net in networks.items():
            net.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.keep(name, net)

    def keep(self, name: str, part: Any) -> None:
        """Add `part` (a torch.Generator, or an object with `state_dict` and `load_state_dict`) to the training
        state."""
        if name in self._state.parts:
            raise ValueError(f"two parts of the training state are named '{name}'")
        self._state.parts[name] = part

    def adam(
        self, nets: nn.Module | Iterable[nn.Module], lr: float, betas: tuple[float, float] = (0.9, 0.999)
    ) -> torch.optim.Adam:
        """Return a fused Adam over all parameters of one or several networks."""
        modules = [nets] if isinstance(nets, nn.Module) else list(nets)
        optimizer = make_adam([p for net in modules for p in net.parameters()], lr, betas)
        self.keep(f"adam {len(self._state.parts)}", optimizer)
        return optimizer

    def stream(self, name: str) -> torch.Generator:
        """Return a random generator on the device, seeded by the run's seed and the name, for drawing noise."""
        generator = stream(self.run.seed, name, self.run.device)
        self.keep(f"stream {name}", generator)
        return generator

    def average(
        self,
        net: nn.Module,
        decay: float = 0.0,
        warm_up: bool = False,
        *,
        half_life: float | None = None,
        ramp: float = 0.0,
    ) -> Ema:
        """Return an exponential moving average of `net`, updated after every step. Its `.net` is the averaged network.

        half_life: the updates after which a weight counts half, instead of `decay`; with `ramp`, at most this fraction
        of the updates so far.
        """
        average = (
            Ema(net, decay, warm_up=warm_up) if half_life is None else HalfLifeEma(net, half_life, ramp=ramp)
        )
        self.keep(f"average {len(self._averages)}", average)
        self._averages.append(average)
        return average

    def autocast(self) -> torch.autocast:
        """Return the context for forward passes in the run's precision. Compute losses outside of it, in float32."""
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
        until: int | None = None,
    ) -> None:
        """Call `step` on every batch that is left of the run, and log the scalar tensors that it returns by name.

        On a GPU, the step is recorded as a CUDA graph after a few updates and then replayed. Therefore the step must
        depend on its batch alone: it must not read values of tensors (`.item()`, `if loss > 1`), keep counters, or read
        `batch.step`, which is always 0. It may draw from `stream` and from the global generator of the device. A step
        that cannot be recorded runs eagerly, and the reason is printed on stderr.

        lazily: `{"r1": 16}` calls `step(batch, r1=True)` at the first update and at every 16th update after it, and
        with `r1=False` at all others. Each combination is recorded separately.
        before: called before every update with its number (from 1), outside of the recording. Returns keyword arguments
        for the step, such as `{"stage": 2}`: numbers or strings with few distinct values, as each combination is
        recorded separately. Values that change at every update belong in a tensor that `before` fills and the step
        reads. Everything must be computed from the number, so that a resumed fit continues in the same way.
        after: called after every update with the batch and the logs, outside of the recording, for schedules,
        evaluations and snapshots.
        masks: whether batches contain the masks of `train`.
        until: the last update of this call; default the end of the budget. With it a fit has phases, each with a call
        of its own: `engine.fit(vae_step, train, until=run.budget // 4)`, then `engine.fit(gan_step, train)`. All parts
        of the training state must exist before the first call. A resumed fit skips the phases that are done; what is
        computed between two phases therefore belongs into the training state, or into `before`.
        """
        if not self._resumed:
            self._resumed = True
            self._state.load(self.run.resume())
        perform = self._recorded(self._whole(step))
        # Passed only if set, as another implementation of Run may not accept them.
        more: dict[str, Any] = ({"masks": True} if masks else {}) | (
            {} if until is None else {"until": until}
        )
        for batch in self.run.batches(train, batch_size, **more):
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
        """Return the step followed by the update of the averages."""

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
    """Perform one update: compute new gradients of `loss`, then step each optimizer."""
    for optimizer in optimizers:
        optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    for optimizer in optimizers:
        optimizer.step()


@contextlib.contextmanager
def frozen(*nets: nn.Module) -> Iterator[None]:
    """Disable parameter gradients of these networks within the block. The step of G, for example, needs none of D."""
    parameters = [p for net in nets for p in net.parameters() if p.requires_grad]
    for p in parameters:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in parameters:
            p.requires_grad_(True)
