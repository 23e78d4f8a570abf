"""WGAN-GP on DCGAN-sized nets with the training engine, and one step of G after every five steps of the critic."""

from __future__ import annotations

import torch
from ours.data import in_memory
from ours.recording import ClockedRun, RecordedRun, initial, write
from side import Clock, arguments, report
from torch import nn

from derm_bench.run import Batch, Run
from derm_bench.stages.runtime import prepare
from derm_bench.training.engine import Engine, frozen, minimise
from derm_bench.training.losses import critic_loss, gradient_penalty, negative_score
from derm_bench.training.seeding import seed_everything, stream
from derm_bench_plugins.generators.dcgan import Discriminator, Generator

Z, EVERY, LAMBDA = 100, 5, 10.0


class WganGp:
    """G of the built-in DCGAN, and its discriminator without BatchNorm as the critic."""

    def __init__(self, device: str, lr: float) -> None:
        self.lr = lr
        self.generator, self.critic = Generator(Z, 64, 4), Discriminator(64, 4, "flatten")
        for block in self.critic.down:
            block[1] = nn.Identity()
        for net in (self.generator, self.critic):
            he_init(net)
            net.to(device)

    def fit(self, train, run: Run, batch_size: int) -> None:
        g, d = self.generator, self.critic
        engine = Engine(run, generator=g, critic=d)
        adam_g, adam_d = engine.adam(g, self.lr, (0.0, 0.9)), engine.adam(d, self.lr, (0.0, 0.9))
        streams = {name: engine.stream(name) for name in ("z", "alpha", "z_g")}

        def step(batch: Batch, generate: bool) -> dict[str, torch.Tensor]:
            real, drawn = batch.images, draw(len(batch.images), streams)
            with torch.no_grad(), engine.autocast():
                fake = g(drawn["z"]).float()
            mixed = torch.lerp(fake, real, drawn["alpha"]).requires_grad_(True)
            with engine.autocast():
                real_score, fake_score, mixed_score = d(real), d(fake), d(mixed)
            penalty = gradient_penalty(mixed_score, mixed)
            loss_d = critic_loss(real_score, fake_score) + LAMBDA * penalty
            minimise(loss_d, adam_d)
            if not generate:
                return {"loss_d": loss_d}
            with frozen(d), engine.autocast():
                score = d(g(torch.rand(len(real), Z, generator=streams["z_g"], device=real.device) * 2 - 1))
            loss_g = negative_score(score)
            minimise(loss_g, adam_g)
            return {"loss_d": loss_d, "loss_g": loss_g}

        engine.fit(step, train, batch_size, lazily={"generate": EVERY})


def he_init(net: nn.Module) -> None:
    """Initialise as in He et al. 2015, like the authors of WGAN-GP. With N(0, 0.02), all scores are about 1e-3, and the
    loss of G, their mean, is dominated by rounding, so that losses could not be compared."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.kaiming_uniform_(module.weight, a=0.2 if isinstance(module, nn.Conv2d) else 0.0)


def draw(n: int, streams: dict[str, torch.Generator]) -> dict[str, torch.Tensor]:
    """Draw the noise of a critic step: z [n,100] in [-1,1], alpha [n,1,1,1] in [0,1]."""
    z, alpha = streams["z"], streams["alpha"]
    return {
        "z": torch.rand(n, Z, generator=z, device=z.device) * 2 - 1,
        "alpha": torch.rand(n, 1, 1, 1, generator=alpha, device=alpha.device),
    }


def main() -> None:
    given = arguments(__doc__, lr=1e-4, images=None)
    prepare(given.device, given.threads, given.precision)
    train = in_memory(given.images)
    seed_everything(0)
    gan = WganGp(given.device, given.lr)
    settings = {"seed": 0, "budget": given.updates, "device": given.device, "precision": given.precision}
    if not given.record:
        clock = Clock(given.device)
        gan.fit(train, ClockedRun(clock, given.warmup, **settings), given.batch)
        return report(
            **clock.rates(given.updates * given.batch, (given.updates - given.warmup) * given.batch)
        )
    run = RecordedRun(**settings)
    weights = initial(generator=gan.generator, critic=gan.critic)
    gan.fit(train, run, given.batch)
    streams = {name: stream(run.seed, name, given.device) for name in ("z", "alpha", "z_g")}
    for _ in range(given.updates):
        for name, value in draw(given.batch, streams).items():
            run.keep(name, value)
    for _ in range(0, given.updates, EVERY):
        run.keep("z_g", torch.rand(given.batch, Z, generator=streams["z_g"], device=given.device) * 2 - 1)
    write(given.record, run, weights)
    return report(losses=run.losses)


if __name__ == "__main__":
    main()
