"""AA-GAN's networks, a 3D conditional GAN, in an eager fp32 loop. The layers are those of derm-bench; losses and steps
are written here."""

import sys

import numpy as np
import torch
from baselines.replay import load_recorded
from side import Clock, arguments, report
from torch import autograd

from derm_bench_plugins.generators.aagan_nets import VolumeDiscriminator, VolumeGenerator

LAMBDA, ALPHA, BETA = 10, 1e-2, 5.0
CONTENT, STYLE = (0, 3), (0, 1, 2, 3, 4)


class AAGAN:
    def __init__(self, device, side, width, lr):
        self.netG = VolumeGenerator(side, width, "he").to(device)
        self.netD = VolumeDiscriminator(side, width).to(device)
        self.optimizerD = torch.optim.Adam(self.netD.parameters(), lr=lr, betas=(0.0, 0.9))
        self.optimizerG = torch.optim.Adam(self.netG.parameters(), lr=lr, betas=(0.0, 0.9))

    def layers(self, volume, condition):
        return [volume, *self.netD.features(torch.cat([volume, condition], 1))]

    def step_critic(self, x, y, epsilon):
        self.netD.zero_grad()
        fake = self.netG(x).detach()
        condition = self.netD.condition(x)
        points = torch.cat([epsilon * y + (1 - epsilon) * fake, condition], 1)
        scores = self.netD.features(points)[-1]
        (gradients,) = autograd.grad(
            outputs=scores, inputs=points, grad_outputs=torch.ones_like(scores), create_graph=True
        )
        penalty = ((gradients.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
        wasserstein = self.netD(fake, condition).mean() - self.netD(y, condition).mean()
        (wasserstein + LAMBDA * penalty).backward()
        self.optimizerD.step()
        return wasserstein

    def step_generator(self, x, y):
        self.netG.zero_grad()
        condition = self.netD.condition(x)
        real, fake = self.layers(y, condition), self.layers(self.netG(x), condition)
        content = sum(((real[k] - fake[k]) ** 2).sum() / (2 * len(x)) for k in CONTENT)
        style = sum(self.style(real[k], fake[k]) for k in STYLE)
        loss = ALPHA * content + BETA * style
        loss.backward()
        self.optimizerG.step()
        return loss

    def style(self, real, fake):
        n, channels = real.shape[:2]
        grams = [torch.bmm(f.flatten(2), f.flatten(2).transpose(1, 2)) for f in (real, fake)]
        voxels = real[0, 0].numel()
        return ((grams[0] - grams[1]) ** 2).sum() / (4 * n * channels**2 * voxels**2)

    def step(self, maps, volume, epsilon):
        (x, x_g), (y, y_g) = ((part.float() / 255).chunk(2) for part in (maps, volume))
        return self.step_critic(x, y, epsilon), self.step_generator(x_g, y_g)


def main():
    opt = arguments(__doc__, lr=1e-4, maps=None, volumes=None, base=128)
    maps, volumes = (torch.from_numpy(np.load(path)).to(opt.device) for path in (opt.maps, opt.volumes))
    gan = AAGAN(opt.device, maps.shape[-1], opt.base / 256, opt.lr)
    if opt.replay:
        recorded = load_recorded(opt.replay, opt.device, generator=gan.netG, discriminator=gan.netD)
        batches = zip(recorded["maps"], recorded["volume"], recorded["epsilon"], strict=True)
        losses = [gan.step(*batch) for batch in batches]
        return report(
            losses={"loss_d": [float(d) for d, _ in losses], "loss_g": [float(g) for _, g in losses]}
        )

    clock = Clock(opt.device)
    for iters in range(opt.updates):
        if iters == opt.warmup:
            clock.warmed_up()
        rows = torch.randint(len(maps), (opt.batch,), device=opt.device)
        epsilon = torch.rand(opt.batch // 2, 1, 1, 1, 1, device=opt.device)
        lossD, lossG = gan.step(maps[rows], volumes[rows], epsilon)
        if iters % 50 == 49:
            print(f"[{iters}/{opt.updates}] D {lossD.item():.3f} G {lossG.item():.3f}", file=sys.stderr)
    report(**clock.rates(opt.updates * opt.batch, (opt.updates - opt.warmup) * opt.batch))


if __name__ == "__main__":
    main()
