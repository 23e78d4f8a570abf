"""A VAE, then a GAN whose G starts as the decoder. The two phases share one budget of updates.

In a matrix: generator: {name: vae-gan, vae_share: 0.3}, with `--plugin examples/vae_gan.py` on the command line.
"""

from pydantic import Field
from small_gan import LOGGED, PRESETS, SmallGan, SmallOptions
from small_nets import Z, reader

from derm_bench import api

DERM_BENCH_API = 1


class VaeGanOptions(SmallOptions):
    vae_share: float = Field(default=0.3, ge=0, le=1, description="share of the updates that train the VAE")


@api.hookimpl
def derm_bench_generators() -> list[api.GeneratorSpec]:
    return [
        api.GeneratorSpec(
            name="vae-gan",
            summary="a VAE, then a GAN that starts from its decoder",
            create="vae_gan:VaeGan",
            options=VaeGanOptions,
            discriminator_outputs=LOGGED,
            presets=PRESETS,
        )
    ]


class VaeGan(SmallGan):
    def __init__(self, options: VaeGanOptions, task: api.Task) -> None:
        super().__init__(options, task)
        self.encoder = reader(task.size, 2 * Z).to(task.device)

    def fit(self, train: api.ImageSet, run: api.Run) -> None:
        engine = api.Engine(run, generator=self.g, discriminator=self.d, encoder=self.encoder)
        gan_step = self.gan_step(engine)  # everything that is trained exists before the first phase
        adam, noise = engine.adam([self.g, self.encoder], self.options.lr), engine.stream("code")

        def vae_step(batch: api.Batch):
            mean, log_variance = self.encoder(batch.images).chunk(2, dim=1)
            z = mean + (log_variance / 2).exp() * self.prior(len(mean), noise)
            error = (self.g(z) - batch.images).square().sum((1, 2, 3)).mean()
            api.minimise(error + api.gaussian_kl(mean, log_variance), adam)
            return {"loss_vae": error / batch.images[0].numel()}

        engine.fit(vae_step, train, until=round(run.budget * self.options.vae_share))
        engine.fit(gan_step, train)

    def parts(self):
        return super().parts() | {"encoder": self.encoder}
