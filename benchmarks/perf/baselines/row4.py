"""StyleGAN2 at several sides: the networks and losses of derm-bench in an eager fp32 loop, without its engine."""

import contextlib
import copy
import sys

import numpy as np
import torch
from baselines.replay import load_recorded
from side import Clock, arguments, report
from torch.nn import functional as F

from derm_bench.run import Batch
from derm_bench.specs import Task
from derm_bench.training.seeding import seed_everything, stream
from derm_bench_plugins.generators.specs.stylegan2 import Stylegan2Options
from derm_bench_plugins.generators.stylegan2 import Stylegan2, Updates

# Two rounds of 16 updates, in which each penalty comes at least twice, are enough for a steady rate of an eager loop.
MOST_WARMUP, MOST_UPDATES = 16, 48


class Plain:
    """What the updates ask of an engine."""

    def __init__(self, device):
        self.device = device

    def adam(self, net, lr, betas):
        return torch.optim.Adam(net.parameters(), lr=lr, betas=betas)

    def stream(self, name):
        return stream(0, name, self.device)

    def autocast(self):
        return contextlib.nullcontext()

    def keep(self, name, part):
        pass


class Trainer:
    def __init__(self, opt, side):
        seed_everything(0)
        options = Stylegan2Options(base=opt.base, batch_size=opt.batch, lr=opt.lr)
        self.gan = Stylegan2(options, Task(("all",), side, opt.device))
        self.updates = Updates(self.gan, Plain(opt.device))
        self.g_ema = copy.deepcopy(self.gan.trained)
        self.half_life = options.ema_kimg * 1000 / opt.batch

    def step(self, real, i):
        logs = self.updates.step(batch_of(real), path=i % 4 == 0, r1=i % 16 == 0, adjust=False)
        beta = 0.5 ** (1 / min(self.half_life, max(1, 0.05 * (i + 1))))
        with torch.no_grad():
            for p_ema, p in zip(self.g_ema.parameters(), self.gan.trained.parameters(), strict=True):
                p_ema.copy_(p.lerp(p_ema, beta))
        return logs


def batch_of(real):
    ones = torch.ones(len(real), 1, device=real.device)
    return Batch(real, ones, ones[:, 0], {})


def main():
    opt = arguments(__doc__, lr=2.5e-3, images=None, base=16384, sides="64,128,256")
    sides = [int(side) for side in opt.sides.split(",")]
    if opt.replay:
        recorded = load_recorded(opt.replay, opt.device)
        trainer = Trainer(opt, sides[0])
        logs = [trainer.step(real, i) for i, real in enumerate(recorded["images"])]
        return report(losses={name: [float(log[name]) for log in logs] for name in ("loss_g", "loss_d")})

    warmup, updates = min(opt.warmup, MOST_WARMUP), min(opt.updates, MOST_UPDATES)
    values = {}
    for side in sides:
        images = torch.from_numpy(np.load(opt.images)).float()
        images = F.interpolate(images, size=(side, side), mode="bilinear").to(opt.device) / 127.5 - 1
        trainer, clock = Trainer(opt, side), Clock(opt.device)
        for i in range(updates):
            if i == warmup:
                clock.warmed_up()
            logs = trainer.step(images[torch.randint(len(images), (opt.batch,), device=opt.device)], i)
            if i % 50 == 49:
                print(f"[{i}/{updates}] D {logs['loss_d'].item():.3f}", file=sys.stderr)
        rates = clock.rates(updates * opt.batch, (updates - warmup) * opt.batch)
        values[f"s_per_kimg_{side}"] = 1000 / rates["steady"]
    return report(**values)


if __name__ == "__main__":
    main()
