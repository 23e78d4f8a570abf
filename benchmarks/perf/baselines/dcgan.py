"""The networks and the training step of PyTorch's DCGAN tutorial at 64 px, with a bias in the last layers."""

import torch
from torch import nn

nz, ngf, ndf = 100, 64, 64


def make_generator():
    return nn.Sequential(
        nn.ConvTranspose2d(nz, ngf * 8, 4, 1, 0, bias=False),
        nn.BatchNorm2d(ngf * 8),
        nn.ReLU(True),
        nn.ConvTranspose2d(ngf * 8, ngf * 4, 4, 2, 1, bias=False),
        nn.BatchNorm2d(ngf * 4),
        nn.ReLU(True),
        nn.ConvTranspose2d(ngf * 4, ngf * 2, 4, 2, 1, bias=False),
        nn.BatchNorm2d(ngf * 2),
        nn.ReLU(True),
        nn.ConvTranspose2d(ngf * 2, ngf, 4, 2, 1, bias=False),
        nn.BatchNorm2d(ngf),
        nn.ReLU(True),
        nn.ConvTranspose2d(ngf, 3, 4, 2, 1),
        nn.Tanh(),
    )


def make_discriminator(norm=nn.BatchNorm2d):
    return nn.Sequential(
        nn.Conv2d(3, ndf, 4, 2, 1),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(ndf, ndf * 2, 4, 2, 1, bias=False),
        norm(ndf * 2),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(ndf * 2, ndf * 4, 4, 2, 1, bias=False),
        norm(ndf * 4),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(ndf * 4, ndf * 8, 4, 2, 1, bias=False),
        norm(ndf * 8),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Flatten(),
        nn.Linear(ndf * 8 * 4 * 4, 1),
    )


def weights_init(m):
    if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(m.weight, 0.0, 0.02)
    elif isinstance(m, nn.BatchNorm2d):
        nn.init.normal_(m.weight, 1.0, 0.02)
        nn.init.zeros_(m.bias)


class DCGAN:
    def __init__(self, device, foreach, lr=2e-4):
        self.device = device
        self.netG = make_generator().to(device).apply(weights_init)
        self.netD = make_discriminator().to(device).apply(weights_init)
        self.criterion = nn.BCEWithLogitsLoss()
        adam = {"lr": lr, "betas": (0.5, 0.999), "foreach": foreach}
        self.optimizerD = torch.optim.Adam(self.netD.parameters(), **adam)
        self.optimizerG = torch.optim.Adam(self.netG.parameters(), **adam)

    def step(self, real, z):
        """Update D, then G. Returns both losses."""
        ones = torch.ones(len(real), 1, device=self.device)
        zeros = torch.zeros(len(real), 1, device=self.device)

        self.netD.zero_grad()
        errD_real = self.criterion(self.netD(real), ones)
        errD_real.backward()
        fake = self.netG(z.view(len(z), nz, 1, 1))
        errD_fake = self.criterion(self.netD(fake.detach()), zeros)
        errD_fake.backward()
        self.optimizerD.step()

        self.netG.zero_grad()
        errG = self.criterion(self.netD(fake), ones)
        errG.backward()
        self.optimizerG.step()
        return errD_real + errD_fake, errG
