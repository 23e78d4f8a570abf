"""ddpm: one denoiser for all classes, trained on v with randomly dropped classes, sampled by DDIM."""

from __future__ import annotations

import copy

import torch
from torch import nn

from derm_bench.api import (
    Batch,
    Engine,
    ImageSet,
    ModulePlugin,
    Run,
    SampleRequest,
    Samples,
    Task,
    minimise,
    stream,
)
from derm_bench_ddpm import DdpmOptions
from derm_bench_ddpm.diffusion import Diffusion
from derm_bench_ddpm.unet import UNet

CHUNK = 128  # samples a forward pass


class Ddpm(ModulePlugin):
    """A conditional generator. `denoiser` is used for sampling; during and after a fit it has the averaged weights."""

    def __init__(self, options: DdpmOptions, task: Task) -> None:
        self.options, self.task = options, task
        self.diffusion = Diffusion(options.timesteps, task.device)
        net = UNet(options.base, options.blocks, options.patch, task.size, len(task.classes))
        self.denoiser: nn.Module = net.to(task.device)

    def fit(self, train: ImageSet, run: Run) -> None:
        """Ho et al. 2020, algorithm 1: an image, a step and noise at random; the denoiser learns v."""
        options, diffusion = self.options, self.diffusion
        net = copy.deepcopy(self.denoiser).requires_grad_(
            True
        )  # of a fitted model, an average, which is frozen
        engine = Engine(run, denoiser=net)
        adam = engine.adam(net, options.lr)
        noise = engine.stream("noise")
        self.denoiser = engine.average(net, options.ema, warm_up=True).net

        def step(batch: Batch) -> dict[str, torch.Tensor]:
            n, shape = len(batch.images), batch.images.shape
            t = torch.randint(1, diffusion.timesteps + 1, (n,), generator=noise, device=noise.device)
            eps = torch.randn(shape, generator=noise, device=noise.device)
            x, v = diffusion.mix(batch.images, eps, t)
            targets = drop_some(batch.targets, options.drop_class, noise)
            with engine.autocast():
                predicted = net(x, t, targets)
            loss = diffusion.loss(predicted, v, t, options.min_snr)
            minimise(loss, adam)
            return {"loss": loss}

        engine.fit(step, train, options.batch_size, after=lambda b, _: run.snapshot(b.step, self.state))

    @torch.inference_mode()
    def sample(self, request: SampleRequest, train: ImageSet | None = None) -> Samples:
        """uint8 [n,3,size,size]; label None asks for images of no class in particular."""
        self.denoiser.eval()
        targets = torch.zeros(request.n, len(self.task.classes), device=self.task.device)
        if request.label is not None:
            targets[:, request.label] = 1
        shape = (request.n, 3, self.task.size, self.task.size)
        noise = torch.randn(shape, generator=stream(request.seed, "sample")).to(self.task.device)
        chunks = zip(noise.split(CHUNK), targets.split(CHUNK), strict=True)
        images = torch.cat([self.draw(x, of_class) for x, of_class in chunks])
        return Samples(images.mul(127.5).add(127.5).round().clamp(0, 255).to(torch.uint8).cpu())

    def draw(self, noise: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Images in [-1,1] of `targets` [N,classes]: v under classifier-free guidance (Ho and Salimans 2021, eq. 6),
        for which eps and v are alike."""
        w = self.options.guidance
        guided = w > 0 and bool(targets.any())

        def predict(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            v = self.denoiser(x, t, targets)
            return (1 + w) * v - w * self.denoiser(x, t, torch.zeros_like(targets)) if guided else v

        return self.diffusion.ddim(predict, noise, self.options.steps)

    def parts(self) -> dict[str, nn.Module]:
        return {"denoiser": self.denoiser}


def drop_some(targets: torch.Tensor, share: float, noise: torch.Generator) -> torch.Tensor:
    """`targets` [N,classes] with about that share of the rows zeroed."""
    kept = torch.rand(len(targets), 1, generator=noise, device=noise.device) >= share
    return targets * kept
