"""The DCGAN step alone, with images on the device as fp32 tensors, an eager loop and foreach Adam."""

import sys

import numpy as np
import torch
from baselines.dcgan import DCGAN, nz
from baselines.replay import replay_gan
from side import Clock, arguments, report


def main():
    opt = arguments(__doc__, lr=2e-4, images=None)
    gan = DCGAN(opt.device, foreach=True, lr=opt.lr)
    if opt.replay:
        return report(losses=replay_gan(opt.replay, gan, opt.device))

    images = torch.from_numpy(np.load(opt.images)).to(opt.device).float() / 127.5 - 1
    clock = Clock(opt.device)
    for iters in range(opt.updates):
        if iters == opt.warmup:
            clock.warmed_up()
        real = images[torch.randint(len(images), (opt.batch,), device=opt.device)]
        z = torch.rand(opt.batch, nz, device=opt.device) * 2 - 1
        errD, errG = gan.step(real, z)
        if iters % 50 == 49:
            print(f"[{iters}/{opt.updates}] D {errD.item():.3f} G {errG.item():.3f}", file=sys.stderr)
    report(**clock.rates(opt.updates * opt.batch, (opt.updates - opt.warmup) * opt.batch))


if __name__ == "__main__":
    main()
