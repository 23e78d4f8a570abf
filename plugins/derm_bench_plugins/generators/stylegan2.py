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
authors' code, so that an image depends on its z alone. Starting from other networks is in `stylegan2_transfer`.
"""

from __future__ import annotations

import copy
import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from derm_bench.errors import UserError
from derm_bench.training.ada import AdaptiveAugment, AdaSettings
from derm_bench.training.engine import Engine, frozen, minimise
from derm_bench.training.losses import bce_fake, bce_real, r1_penalty
from derm_bench_plugins.generators.averaged_gan import AveragedGan
from derm_bench_plugins.generators.doublings import doublings
from derm_bench_plugins.generators.stylegan2_nets import Discriminator, Generator, widths
from derm_bench_plugins.generators.stylegan2_transfer import (
    freeze_start,
    networks_in,
    networks_of,
    take_over,
    train_last,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from derm_bench.images import ImageSet
    from derm_bench.run import Batch, Run
    from derm_bench.specs import Task
    from derm_bench_plugins.generators.specs.stylegan2 import Stylegan2Options


LEAST_TAKEN = 0.1


class Stylegan2(AveragedGan):
    """A StyleGAN2 for images of side `task.size`, a power of two of at least 8; conditional if the task has more than
    one class."""

    options: Stylegan2Options
    trained: Generator
    discriminator: Discriminator

    labelled = True

    def __init__(self, options: Stylegan2Options, task: Task) -> None:
        doublings("stylegan2", task.size, 8)
        self.options, self.device, self.size, self.inputs = options, task.device, task.size, task.inputs
        self.classes = len(task.classes) if self.labelled and len(task.classes) > 1 else 0
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
        options = self.options
        self.start(run)
        engine = Engine(run, generator=self.trained, discriminator=self.discriminator)
        updates = Updates(self, engine)
        half_life = options.ema_kimg * 1000 / options.batch_size
        self.generator = engine.average(self.trained, half_life=half_life, ramp=options.ema_ramp).net
        engine.fit(
            updates.step,
            train,
            options.batch_size,
            lazily={"path": options.path_every, "r1": options.r1_every, "adjust": options.ada_every},
            after=lambda batch, _: run.snapshot(batch.step, self.state),
        )

    def start(self, run: Run) -> None:
        """Take over the networks of `start` or `weights`, and freeze what is not to be trained. The shares of the
        parameters that were taken over are logged as `taken_g` and `taken_d`.

        Raises UserError if less than a tenth of the parameters of G have the name and shape of one there.
        """
        options = self.options
        if options.weights is not None or options.start is not None:
            networks = (
                networks_in(options.weights)
                if options.weights is not None
                else networks_of(self.inputs["start"], str(options.start))
            )
            taken_g = take_over(self.trained, "generator", networks)
            if taken_g < LEAST_TAKEN:
                raise UserError(
                    f"{taken_g:.1%} of the parameters of G have the name and shape of one in the network to start from",
                    hint="give both the same base, widest, w_dim and z_dim",
                )
            self.generator.load_state_dict(self.trained.state_dict())
            run.log(0, taken_g=taken_g, taken_d=take_over(self.discriminator, "discriminator", networks))
        freeze_start(self.discriminator, options.freeze_d)
        if options.g_layers == "last":
            train_last(self.trained)

    @property
    def gamma(self) -> float:
        """The weight of R1: the option, or 2e-4 side^2 / batch."""
        if self.options.gamma is not None:
            return self.options.gamma
        return 2e-4 * self.size**2 / self.options.batch_size

    def render(self, z: torch.Tensor, label: int | None) -> torch.Tensor:
        images: torch.Tensor = self.generator(z, self.targets(label, z), self.options.truncation)
        return images


class Unlabelled(Stylegan2):
    """A StyleGAN2 that does not know the classes of its images."""

    labelled = False


class Updates:
    """The updates of both networks, and what they keep between batches."""

    def __init__(self, gan: Stylegan2, engine: Engine) -> None:
        options = gan.options
        self.gan, self.options, self.engine = gan, options, engine
        self.g, self.d = gan.trained, gan.discriminator
        path_every = options.path_every if options.path_weight else 0
        self.adam_g = engine.adam(self.g, *lazy(options.lr, options.betas, path_every))
        self.adam_d = engine.adam(self.d, *lazy(options.lr_d or options.lr, options.betas, options.r1_every))
        self.noise, self.mixing = engine.stream("z"), engine.stream("mixing")
        self.lengths = PathLength(gan.device)
        engine.keep("path length", self.lengths)
        self.ada = self._adaptive() if options.ada else None

    def _adaptive(self) -> AdaptiveAugment:
        options = self.options
        settings = AdaSettings(
            batch_size=options.batch_size,
            target=options.ada_target,
            speed_kimg=options.ada_kimg,
            interval=options.ada_every,
            hue=options.ada_hue,
            luma_flip=options.ada_luma_flip,
        )
        augment = AdaptiveAugment(self.engine.stream("ada"), settings)
        self.engine.keep("ada", augment)
        return augment

    def step(self, batch: Batch, path: bool, r1: bool, adjust: bool) -> dict[str, torch.Tensor]:
        """All updates of a batch, in the authors' order; returns the values to log."""
        targets = batch.targets if self.gan.classes else None
        logs = {"loss_g": self.update_g(len(batch.images), targets)}
        if path and self.options.path_weight:
            logs["path"] = self.shorten(max(1, len(batch.images) // 2), targets)
        logs |= self.update_d(batch.images, targets)
        if r1:
            logs["r1"] = self.flatten(batch.images, targets)
        if self.ada is not None:
            if adjust:
                logs["ada_r"] = self.ada.adjust()
            logs["ada_p"] = self.ada.p
        return logs

    def update_g(self, n: int, targets: torch.Tensor | None) -> torch.Tensor:
        """Update G by its non-saturating loss."""
        with frozen(self.d):
            with self.engine.autocast():
                scores = self.judge(self.synthesise(n, targets)[0], targets)
            loss = bce_real(scores)
            minimise(loss, self.adam_g)
        return loss

    def shorten(self, n: int, targets: torch.Tensor | None) -> torch.Tensor:
        """Update G by the path length of `n` images."""
        images, ws = self.synthesise(n, None if targets is None else targets[:n], leaf=True)
        penalty = self.lengths.penalty(images, ws, self.noise)
        minimise(penalty * (self.options.path_weight * self.options.path_every), self.adam_g)
        return penalty

    def update_d(self, reals: torch.Tensor, targets: torch.Tensor | None) -> dict[str, torch.Tensor]:
        """Update D by its loss, and tell ADA its logits for reals."""
        with self.engine.autocast():
            with torch.no_grad():
                fakes, _ = self.synthesise(len(reals), targets)
            on_fakes, on_reals = self.judge(fakes, targets), self.judge(reals, targets)
        loss = bce_fake(on_fakes) + bce_real(on_reals)
        minimise(loss, self.adam_d)
        if self.ada is not None:
            self.ada.seen(on_reals)
        outputs = {"d_real": on_reals, "d_fake": on_fakes}
        return {"loss_d": loss} | {
            name: scores.detach().float().sigmoid().mean() for name, scores in outputs.items()
        }

    def flatten(self, reals: torch.Tensor, targets: torch.Tensor | None) -> torch.Tensor:
        """Update D by R1 at reals, through their augmentation."""
        points = reals.detach().float().requires_grad_(True)
        penalty = r1_penalty(self.judge(points, targets), points)
        minimise(penalty * (self.gan.gamma / 2 * self.options.r1_every), self.adam_d)
        return penalty

    def judge(self, images: torch.Tensor, targets: torch.Tensor | None) -> torch.Tensor:
        """D's logits [n] for images, augmented."""
        scores: torch.Tensor = self.d(images if self.ada is None else self.ada(images), targets)
        return scores

    def synthesise(
        self, n: int, targets: torch.Tensor | None, *, leaf: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Images [n,3,S,S] with new noise, and their w [n,layers,w_dim]. With `leaf`, w has a gradient even if the
        mapping is not trained."""
        ws = self.g.styles(self.gan.prior(n, self.noise), targets)
        self.g.mapping.track(ws[:, 0])
        if self.options.mixing:
            others = self.g.styles(self.gan.prior(n, self.noise), targets)
            ws = mixed(ws, others, self.options.mixing, self.mixing)
        if leaf and not ws.requires_grad:
            ws = ws.detach().requires_grad_(True)
        return self.g.synthesis(ws, self.noise), ws


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
