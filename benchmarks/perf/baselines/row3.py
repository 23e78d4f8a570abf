"""WGAN-GP with DCGAN-sized nets in an eager fp32 loop, with one step of G after every five steps of the critic."""

import sys

import numpy as np
import torch
from baselines.dcgan import make_discriminator, make_generator, nz
from baselines.replay import load_recorded
from side import Clock, arguments, report
from torch import autograd, nn

n_critic, LAMBDA = 5, 10


def weights_init(m):
    if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.kaiming_uniform_(m.weight, a=0.2 if isinstance(m, nn.Conv2d) else 0.0)


class WGANGP:
    def __init__(self, device, lr):
        self.netG = make_generator().to(device).apply(weights_init)
        self.netD = make_discriminator(norm=lambda channels: nn.Identity()).to(device).apply(weights_init)
        self.optimizerD = torch.optim.Adam(self.netD.parameters(), lr=lr, betas=(0.0, 0.9))
        self.optimizerG = torch.optim.Adam(self.netG.parameters(), lr=lr, betas=(0.0, 0.9))

    def step_critic(self, real, z, alpha):
        fake = self.netG(z.view(len(z), nz, 1, 1)).detach()
        self.netD.zero_grad()
        interpolates = (alpha * real + (1 - alpha) * fake).requires_grad_(True)
        scores = self.netD(interpolates)
        (gradients,) = autograd.grad(
            outputs=scores, inputs=interpolates, grad_outputs=torch.ones_like(scores), create_graph=True
        )
        penalty = ((gradients.view(len(real), -1).norm(2, dim=1) - 1) ** 2).mean()
        loss = self.netD(fake).mean() - self.netD(real).mean() + LAMBDA * penalty
        loss.backward()
        self.optimizerD.step()
        return loss

    def step_generator(self, z):
        self.netG.zero_grad()
        loss = -self.netD(self.netG(z.view(len(z), nz, 1, 1))).mean()
        loss.backward()
        self.optimizerG.step()
        return loss


def main():
    opt = arguments(__doc__, lr=1e-4, images=None)
    gan = WGANGP(opt.device, opt.lr)
    if opt.replay:
        return replay(opt, gan)

    images = torch.from_numpy(np.load(opt.images)).to(opt.device).float() / 127.5 - 1
    clock = Clock(opt.device)
    for iters in range(opt.updates):
        if iters == opt.warmup:
            clock.warmed_up()
        real = images[torch.randint(len(images), (opt.batch,), device=opt.device)]
        z = torch.rand(opt.batch, nz, device=opt.device) * 2 - 1
        lossD = gan.step_critic(real, z, torch.rand(opt.batch, 1, 1, 1, device=opt.device))
        if iters % n_critic == 0:
            gan.step_generator(torch.rand(opt.batch, nz, device=opt.device) * 2 - 1)
        if iters % 50 == 49:
            print(f"[{iters}/{opt.updates}] D {lossD.item():.3f}", file=sys.stderr)
    report(**clock.rates(opt.updates * opt.batch, (opt.updates - opt.warmup) * opt.batch))


def replay(opt, gan):
    recorded = load_recorded(opt.replay, opt.device, generator=gan.netG, critic=gan.netD)
    losses = {"loss_d": [], "loss_g": []}
    z_g = iter(recorded["z_g"])
    for i, batch in enumerate(zip(recorded["images"], recorded["z"], recorded["alpha"], strict=True)):
        losses["loss_d"].append(float(gan.step_critic(*batch)))
        if i % n_critic == 0:
            losses["loss_g"].append(float(gan.step_generator(next(z_g))))
    report(losses=losses)


if __name__ == "__main__":
    main()
