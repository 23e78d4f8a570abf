"""DCGAN as in the tutorial: ImageFolder of JPEGs, PIL transforms, two DataLoader workers, fp32, for-loop Adam."""

import sys

import torch
from baselines.dcgan import DCGAN, nz
from baselines.replay import replay_gan
from side import Clock, arguments, report
from torchvision import datasets, transforms

transform = transforms.Compose(
    [
        transforms.Resize(64),
        transforms.CenterCrop(64),
        transforms.ToTensor(),
        transforms.Normalize((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    ]
)


def make_loader(dataset, batch):
    return torch.utils.data.DataLoader(dataset, batch, shuffle=True, num_workers=2, drop_last=True)


def train(gan, loader, updates, warmup=0, clock=None):
    iters = 0
    while iters < updates:
        for real, _ in loader:
            if clock and iters == warmup:
                clock.warmed_up()
            z = torch.rand(len(real), nz, device=gan.device) * 2 - 1
            errD, errG = gan.step(real.to(gan.device), z)
            iters += 1
            if iters % 50 == 0:
                print(f"[{iters}/{updates}] D {errD.item():.3f} G {errG.item():.3f}", file=sys.stderr)
            if iters == updates:
                break


def main():
    opt = arguments(__doc__, lr=2e-4, folder=None)
    gan = DCGAN(opt.device, foreach=False, lr=opt.lr)
    if opt.replay:
        return report(losses=replay_gan(opt.replay, gan, opt.device))
    clock = Clock(opt.device)
    dataset = datasets.ImageFolder(opt.folder, transform)
    train(gan, make_loader(dataset, opt.batch), opt.updates, opt.warmup, clock)
    report(**clock.rates(opt.updates * opt.batch, (opt.updates - opt.warmup) * opt.batch))


if __name__ == "__main__":
    main()
