"""StyleGAN2 (Karras et al. 2020, CVPR), which paper 001 trains on photographs of acne, and StyleGAN2-ADA (Karras et al.
2020, NeurIPS), which Limeros et al. train on melanoma. The networks are in `stylegan2_nets`.

    loss       softplus(D(G(z))) + softplus(-D(x)) for D, softplus(-D(G(z))) for G
    R1         gamma / 2 |grad D(x)|^2 at reals, at every 16th update, x 16
    path       2 (|J_w^T y| - a)^2 over half a batch, at every 4th update, x 4; a: moving average of the lengths (.01)
    mixing     with probability .9 the layers from a random one on get the w of another z
    Adam       (0, .99), learning rate c lr, betas (0, .99^c) with c = 16/17 for D and 4/5 for G (lazy regularisation)
    average    of G's weights with a half-life of `ema_kimg`, at first of `ema_ramp` times the images shown so far
    ADA        augmentation of all images that D sees (`derm_bench.training.ada`)

`gamma` is 2e-4 side^2 / batch by default, as in the authors' `auto`. ADA's p, and the r that it follows, are logged.

Choices. R1 and path length are computed in float32 at any precision of the run. Samples have constant noise, as in the
authors' code, so that an image depends on its z alone.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from derm_bench.training.ada import AdaptiveAugment, AdaSettings
from derm_bench.training.engine import Engine, frozen, minimise
from derm_bench.training.gan_plugin import NoiseGenerator, normal, one_hot_of
from derm_bench.training.losses import bce_fake, bce_real, r1_penalty
from derm_bench_plugins.generators.doublings import doublings
from derm_bench_plugins.generators.stylegan2_nets import Discriminator, Generator, widths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from derm_bench.images import ImageSet
    from derm_bench.run import Batch, Run
    from derm_bench.specs import Task
    from derm_bench_plugins.generators.specs.stylegan2 import Stylegan2Options


class Stylegan2(NoiseGenerator):
    """A StyleGAN2 for images of side `task.size`, a power of two of at least 8; conditional if the task has more than
    one class."""

    def __init__(self, options: Stylegan2Options, task: Task) -> None:
        doublings("stylegan2", task.size, 8)
        self.options, self.device, self.size = options, task.device, task.size
        self.classes = len(task.classes) if len(task.classes) > 1 else 0
        channels = widths(task.size, options.base, options.widest)
        noisy = {"all": (True, True), "half": (False, True), "none": (False, False)}[options.noise]
        generator = Generator(
            channels,
            z_dim=options.z_dim,
            w_dim=options.w_dim,
            layers=options.mapping_layers,
            classes=self.classes,
            noisy=noisy,
        )
        discriminator = Discriminator(
            channels,
            classes=self.classes,
            layers=options.mapping_layers,
            group=options.deviation_group,
            plain=options.discriminator == "orig",
        )
        self.trained, self.discriminator = generator.to(task.device), discriminator.to(task.device)
        self.generator: nn.Module = copy.deepcopy(self.trained)

    def fit(self, train: ImageSet, run: Run) -> None:
        """Per batch, update G and D once; at some updates, also by their penalties."""
        g, d, options = self.trained, self.discriminator, self.options
        engine = Engine(run, generator=g, discriminator=d)
        adam_g = engine.adam(
            g, *lazy(options.lr, options.betas, options.path_every if options.path_weight else 0)
        )
        adam_d = engine.adam(d, *lazy(options.lr_d or options.lr, options.betas, options.r1_every))
        self.generator = engine.average(
            g,
            0.0,
            half_life=options.ema_kimg * 1000 / options.batch_size,
            ramp=options.ema_ramp,
        ).net
        noise, mixing = engine.stream("z"), engine.stream("mixing")
        lengths = PathLength(self.device)
        engine.keep("path length", lengths)
        augment = self._augmentation(engine)
        gamma = self.gamma

        def synthesise(n: int, targets: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
            """Images [n,3,S,S] and their w [n,layers,w_dim]."""
            ws = g.styles(self.prior(n, noise), targets)
            g.mapping.track(ws[:, 0])
            if options.mixing:
                ws = mixed(ws, g.styles(self.prior(n, noise), targets), options.mixing, mixing)
            return g.synthesis(ws, noise), ws

        def step(batch: Batch, path: bool, r1: bool, adjust: bool) -> dict[str, torch.Tensor]:
            reals, n = batch.images, len(batch.images)
            targets = batch.targets if self.classes else None
            logs: dict[str, torch.Tensor] = {}
            with frozen(d):
                with engine.autocast():
                    scores = d(augment(synthesise(n, targets)[0]), targets)
                logs["loss_g"] = loss_g = bce_real(scores)
                minimise(loss_g, adam_g)
            if path and options.path_weight:
                half = max(1, n // 2)
                images, ws = synthesise(half, None if targets is None else targets[:half])
                logs["path"] = penalty = lengths.penalty(images, ws, noise)
                minimise(penalty * (options.path_weight * options.path_every), adam_g)

            with engine.autocast():
                with torch.no_grad():
                    fakes, _ = synthesise(n, targets)
                fake_scores = d(augment(fakes), targets)
                real_scores = d(augment(reals), targets)
            logs["loss_d"] = loss_d = bce_fake(fake_scores) + bce_real(real_scores)
            minimise(loss_d, adam_d)
            if r1:
                points = reals.detach().float().requires_grad_(True)
                logs["r1"] = penalty = r1_penalty(d(augment(points), targets), points)
                minimise(penalty * (gamma / 2 * options.r1_every), adam_d)

            if isinstance(augment, AdaptiveAugment):
                augment.seen(real_scores)
                if adjust:
                    logs["ada_r"] = augment.adjust()
                logs["ada_p"] = augment.p
            logs["d_real"] = real_scores.detach().float().sigmoid().mean()
            logs["d_fake"] = fake_scores.detach().float().sigmoid().mean()
            return logs

        engine.fit(
            step,
            train,
            options.batch_size,
            lazily={"path": options.path_every, "r1": options.r1_every, "adjust": options.ada_every},
            after=lambda batch, _: run.snapshot(batch.step, self.state),
        )

    @property
    def gamma(self) -> float:
        """The weight of R1: the option, or 2e-4 side^2 / batch."""
        if self.options.gamma is not None:
            return self.options.gamma
        return 2e-4 * self.size**2 / self.options.batch_size

    def _augmentation(self, engine: Engine) -> AdaptiveAugment | Any:
        options = self.options
        if not options.ada:
            return lambda images: images
        settings = AdaSettings(
            batch_size=options.batch_size,
            target=options.ada_target,
            speed_kimg=options.ada_kimg,
            interval=options.ada_every,
            hue=options.ada_hue,
            luma_flip=options.ada_luma_flip,
        )
        augment = AdaptiveAugment(engine.stream("ada"), settings)
        engine.keep("ada", augment)
        return augment

    def prior(self, n: int, noise: torch.Generator) -> torch.Tensor:
        """Draw z ~ N(0,1), float32 [n,z_dim]."""
        return normal(n, self.options.z_dim, noise)

    def render(self, z: torch.Tensor, label: int | None) -> torch.Tensor:
        targets = one_hot_of(label, len(z), self.classes, z.device) if self.classes else None
        images: torch.Tensor = self.generator(z, targets, self.options.truncation)
        return images

    @torch.inference_mode()
    def realness(self, images: torch.Tensor, label: int | None) -> torch.Tensor:
        """Return D's logits, [n]."""
        targets = one_hot_of(label, len(images), self.classes, images.device) if self.classes else None
        scores: torch.Tensor = self.discriminator.eval()(images, targets)
        return scores

    def parts(self) -> dict[str, nn.Module]:
        """Return the networks. `generator` is the moving average of the weights, from which samples are drawn."""
        return {"generator": self.generator, "discriminator": self.discriminator}


def lazy(lr: float, betas: tuple[float, float], every: int) -> tuple[float, tuple[float, float]]:
    """Return the learning rate and betas of an Adam that also makes the updates of a penalty at every `every`-th update
    (0: never): lr c and beta^c with c = every / (every + 1) (Karras et al. 2020, CVPR, appendix B)."""
    ratio = every / (every + 1) if every else 1.0
    return lr * ratio, (betas[0] ** ratio, betas[1] ** ratio)


def mixed(ws: torch.Tensor, others: torch.Tensor, probability: float, draws: torch.Generator) -> torch.Tensor:
    """Replace the w of the layers from a random one on by those of `others`, both [N,count,w_dim], with `probability`
    (style mixing; Karras et al. 2019, section 3.1). One place is drawn per batch, as in the authors' code."""
    count = ws.shape[1]
    place = torch.randint(1, count, (1,), generator=draws, device=draws.device)
    mixes = torch.rand(1, generator=draws, device=draws.device) < probability
    layer = torch.arange(count, device=draws.device)
    return torch.where(((layer >= place) & mixes)[None, :, None], others, ws)


class PathLength:
    """The regularisation of path lengths (Karras et al. 2020, CVPR, section 3.2) with its moving average."""

    def __init__(self, device: str | torch.device) -> None:
        self.mean = torch.zeros((), device=device)

    def penalty(self, images: torch.Tensor, ws: torch.Tensor, draws: torch.Generator) -> torch.Tensor:
        """Return mean (|J_w^T y| - a)^2 for images [N,3,H,W] and y ~ N(0, 1/HW): a length is the root of the squared
        slope, summed over w_dim and averaged over layers. Updates a."""
        y = torch.randn(images.shape, generator=draws, device=draws.device)
        y = y / math.sqrt(images.shape[2] * images.shape[3])
        (slope,) = torch.autograd.grad((images * y).sum(), ws, create_graph=True)
        lengths = slope.square().sum(2).mean(1).sqrt()
        with torch.no_grad():
            self.mean.lerp_(lengths.mean(), 0.01)
        return (lengths - self.mean).square().mean()

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {"mean": self.mean}

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        self.mean.copy_(state["mean"])
