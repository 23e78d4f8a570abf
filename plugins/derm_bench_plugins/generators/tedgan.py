"""TED-GAN (Ahmad et al. 2021): two GANs, one on latents of a VAE and one on heavy-tailed Student-t noise, at 64 px.

    VAE    image -> the convolutions of DCGAN's D -> mean and log variance of z 100 -> G of DCGAN -> image
    GAN-1  z = a latent of the VAE, with e(y) -> AC-GAN without its classifier
    GAN-2  z = Student-t noise of nu 3, with e(y) -> AC-GAN

    L_VAE = |x - x'|^2 / 2 + KL(q(z|x) | N(0,I))         unit Gaussian per pixel: the evidence bound up to a constant

The abstract names the parts: a VAE whose latents ("informative noise") are the input of the first GAN, and a second
GAN with an auxiliary classifier and noise from a t-distribution instead of a Gaussian. Everything else is a choice:

- Both GANs are `acgan` and get the class, because samples are requested by class. They share no weights. The first one
  has no classifier, as in the abstract; `classifiers: both` gives it one.
- The first fraction `vae_share` of the budget (a quarter, rounded down) trains only the VAE, which is then kept fixed.
  Each further update trains both GANs on the same batch. Snapshots of the first part show untrained GANs.
- GAN-1 trains on latents drawn from q(z|x) for the images of the batch, with their classes. To sample without images,
  the mean and covariance of these latents are kept for each class, and z is drawn from that Gaussian.
- t noise is divided by its standard deviation sqrt(nu / (nu - 2)), which gives heavy tails at the scale of N(0,1). This
  needs nu > 2.
- Each sample comes from GAN-1 with probability `latent_share` (a half), else from GAN-2, because the paper pools both.
- The VAE does not get the class. Its decoder is not used after its training. All networks use Adam 2e-4 (.5,.999).
"""

from __future__ import annotations

import math
from itertools import tee
from typing import TYPE_CHECKING

import torch
from torch import nn

from derm_bench.training.engine import Engine, minimise
from derm_bench.training.gan_plugin import NoiseGenerator, normal
from derm_bench.training.init import dcgan_init, start_statistics
from derm_bench.training.latent import spherical, straight
from derm_bench.training.losses import gaussian_kl
from derm_bench.training.seeding import stream
from derm_bench_plugins.generators.acgan import AcGan
from derm_bench_plugins.generators.dcgan_nets import Generator, Trunk, stages_of

if TYPE_CHECKING:
    from derm_bench.images import ImageSet
    from derm_bench.run import Batch, Run
    from derm_bench.specs import Task
    from derm_bench_plugins.generators.specs.tedgan import TedganOptions


class TedGan(NoiseGenerator):
    """A conditional generator for images of side `task.size`, a power of two of at least 8."""

    def __init__(self, options: TedganOptions, task: Task) -> None:
        self.options, self.device = options, task.device
        self.vae = Vae(options.z_dim, options.base, stages_of(task.size, "tedgan")).to(task.device)
        self.latents = Latents(len(task.classes), options.z_dim).to(task.device)
        dcgan_init(self.vae)
        first = options if options.classifiers == "both" else options.model_copy(update={"class_weight": 0.0})
        self.gan_latents, self.gan_noise = AcGan(first, task), AcGan(options, task)

    def fit(self, train: ImageSet, run: Run) -> None:
        """Train the VAE for its fraction of the updates, then both GANs."""
        options = self.options
        engine = Engine(run, latents=self.latents, **self._networks())
        adam_vae = engine.adam(self.vae, options.lr, options.betas)
        first, second = self.gan_latents.optimizers(engine), self.gan_noise.optimizers(engine)
        noise = engine.stream("z")
        vae_updates = int(options.vae_share * run.budget)
        self.start(noise)
        self.gan_latents.prepare(engine, "diffaugment latents")
        self.gan_noise.prepare(engine)

        def step(batch: Batch, vae: bool, update_g: bool) -> dict[str, torch.Tensor]:
            self.vae.train(vae)
            if vae:
                return self.vae_step(engine, adam_vae, batch, noise)
            with torch.no_grad(), engine.autocast():
                z = self.vae.latent(batch.images, noise).float()
            self.latents.add(z, batch.targets)
            on_latents = self.gan_latents.train_step(engine, first, batch, z, update_g=update_g)
            t = student_t(len(z), options.z_dim, options.nu, noise)
            return self.gan_noise.train_step(engine, second, batch, t, update_g=update_g) | {
                f"{name}_latents": value for name, value in on_latents.items()
            }

        engine.fit(
            step,
            train,
            options.batch_size,
            lazily={"update_g": options.d_steps},
            before=lambda update: {"vae": update <= vae_updates},
            after=lambda b, _: run.snapshot(b.step, lambda: self.recalibrated_state(train, run)),
        )
        self.recalibrate(train, run)
        self.gan_latents.keep_average()
        self.gan_noise.keep_average()

    def recalibrated_state(self, train: ImageSet, run: Run) -> dict[str, torch.Tensor]:
        self.recalibrate(train, run)
        return self.state()

    def recalibrate(self, train: ImageSet, run: Run) -> None:
        """Set the statistics of BatchNorm in both generators."""
        options, draws = self.options, stream(run.seed, "t", self.device)
        on_latents, on_noise = tee(self.gan_noise.random_inputs(train, run))
        self.gan_latents.recalibrate((self.latents.of(z, targets), targets) for z, targets in on_latents)
        self.gan_noise.recalibrate(
            (student_t(len(z), options.z_dim, options.nu, draws), targets) for z, targets in on_noise
        )

    def start(self, noise: torch.Generator) -> None:
        """Set the statistics of BatchNorm in both generators and the decoder."""
        options = self.options
        z = normal(options.batch_size, options.z_dim, noise)
        start_statistics(self.vae.decoder, z)
        self.gan_latents.start(z)
        self.gan_noise.start(student_t(len(z), options.z_dim, options.nu, noise))

    def vae_step(
        self, engine: Engine, adam: torch.optim.Optimizer, batch: Batch, noise: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """Update the VAE once and return its losses in nats per image."""
        with engine.autocast():
            mean, log_variance = self.vae.encode(batch.images)
            remade = self.vae.decoder(draw(mean, log_variance, noise))
        error = (remade.float() - batch.images).square().flatten(1).sum(dim=1).mean() / 2
        kl = gaussian_kl(mean, log_variance)
        minimise(error + kl, adam)
        return {"loss_vae": error + kl, "kl": kl}

    def prior(self, n: int, noise: torch.Generator) -> torch.Tensor:
        """Draw float32 [n,2*z_dim+1]: N(0,1) noise for a latent, Student-t noise, and a uniform number that selects the
        GAN."""
        z_dim, nu = self.options.z_dim, self.options.nu
        choice = torch.rand(n, 1, generator=noise, device=noise.device)
        return torch.cat([normal(n, z_dim, noise), student_t(n, z_dim, nu, noise), choice], dim=1)

    def between(self, a: torch.Tensor, b: torch.Tensor, share: float) -> torch.Tensor:
        """Interpolate both noises along great circles and the selecting number along a line.

        The image changes abruptly where that number crosses `latent_share`.
        """
        z_dim = self.options.z_dim
        pairs = zip(a.split([z_dim, z_dim, 1], dim=1), b.split([z_dim, z_dim, 1], dim=1), strict=True)
        paths = (spherical, spherical, straight)
        return torch.cat([path(*pair, share) for path, pair in zip(paths, pairs, strict=True)], dim=1)

    def render(self, z: torch.Tensor, label: int | None) -> torch.Tensor:
        gaussian, t, choice = z.split([self.options.z_dim, self.options.z_dim, 1], dim=1)
        from_latents = choice[:, 0] < self.options.latent_share
        images = self.gan_noise.render(t, label)
        if label is not None and from_latents.any():
            latents = self.latents.sample(gaussian[from_latents], label)
            images[from_latents] = self.gan_latents.render(latents, label)
        return images

    def realness(self, images: torch.Tensor, label: int | None) -> torch.Tensor:
        """Return the probability of being real that the D of the GAN on noise gives to each image, float64 [n]."""
        return self.gan_noise.realness(images, label)

    def parts(self) -> dict[str, nn.Module]:
        sampled = {"generator_latents": self.gan_latents.sampled, "generator": self.gan_noise.sampled}
        return {"latents": self.latents, **self._networks(), **sampled}

    def _networks(self) -> dict[str, nn.Module]:
        return {
            "vae": self.vae,
            "generator_latents": self.gan_latents.generator,
            "discriminator_latents": self.gan_latents.discriminator,
            "generator": self.gan_noise.generator,
            "discriminator": self.gan_noise.discriminator,
        }


class Vae(nn.Module):
    """A VAE. Its encoder is D of DCGAN with a head for mean and log variance, and its decoder is G of DCGAN."""

    def __init__(self, z_dim: int, base: int, stages: int) -> None:
        super().__init__()
        self.trunk = Trunk(base, stages)
        self.moments = nn.Linear(self.trunk.channels * 16, 2 * z_dim)
        self.decoder = Generator(z_dim, base, stages)

    def encode(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean and the log variance [N,z_dim] of q(z|x)."""
        mean, log_variance = self.moments(self.trunk.maps(images).flatten(1)).chunk(2, dim=1)
        return mean, log_variance

    def latent(self, images: torch.Tensor, noise: torch.Generator) -> torch.Tensor:
        """Return a draw from q(z|x) for every image, [N,z_dim]."""
        return draw(*self.encode(images), noise)


class Latents(nn.Module):
    """The Gaussian of the latents of each class, stored as counts, sums and sums of products.

    They are float64, because the covariance is a small difference of large sums.
    """

    count: torch.Tensor
    total: torch.Tensor
    products: torch.Tensor

    def __init__(self, classes: int, z_dim: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(classes, dtype=torch.float64))
        self.register_buffer("total", torch.zeros(classes, z_dim, dtype=torch.float64))
        self.register_buffer("products", torch.zeros(classes, z_dim, z_dim, dtype=torch.float64))

    @torch.no_grad()
    def add(self, z: torch.Tensor, targets: torch.Tensor) -> None:
        """Add latents [N,z_dim] of images of the classes `targets` [N,K]."""
        z, targets = z.double(), targets.double()
        self.count += targets.sum(dim=0)
        self.total += targets.T @ z
        self.products += torch.einsum("nk,ni,nj->kij", targets, z, z)

    def of(self, gaussian: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Turn N(0,I) noise [n,z_dim] into latents of the classes `targets` [n,K]."""
        latents, labels = gaussian.clone(), targets.argmax(dim=1)
        for label in labels.unique().tolist():
            latents[labels == label] = self.sample(gaussian[labels == label], label)
        return latents

    def sample(self, gaussian: torch.Tensor, label: int) -> torch.Tensor:
        """Turn N(0,I) noise [n,z_dim] into latents from the Gaussian of class `label`; without images of that class,
        the noise is returned unchanged."""
        count = self.count[label]
        if count == 0:
            return gaussian
        mean = self.total[label] / count
        covariance = self.products[label] / count - torch.outer(mean, mean)
        # In a class with few images there are directions in which the latents do not differ.
        covariance.diagonal().add_(1e-4)
        factor: torch.Tensor = torch.linalg.cholesky(covariance)
        return (mean + gaussian.double() @ factor.T).float()


def draw(mean: torch.Tensor, log_variance: torch.Tensor, noise: torch.Generator) -> torch.Tensor:
    """Return a draw from each Gaussian (Kingma and Welling 2014, section 2.4), float32."""
    epsilon = torch.randn(mean.shape, generator=noise, device=noise.device)
    return mean.float() + (log_variance.float() / 2).exp() * epsilon


def student_t(n: int, length: int, nu: int, noise: torch.Generator) -> torch.Tensor:
    """Return Student-t noise with `nu` > 2 degrees of freedom, divided by its standard deviation, float32 [n,length].

    t = x / sqrt(s / nu) with x ~ N(0,1) and s a sum of nu squares of N(0,1) variables; the variance of t is
    nu / (nu - 2).
    """
    x = torch.randn(n, length, 1 + nu, generator=noise, device=noise.device)
    t = x[..., 0] / x[..., 1:].square().mean(dim=2).sqrt()
    return t / math.sqrt(nu / (nu - 2))
