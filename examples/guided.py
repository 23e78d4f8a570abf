"""Classifier guidance: one GAN of all classes, whose noise follows the gradient of a classifier while sampling.

In a matrix: generator: {name: guided, strength: 0.1}, with `--plugin examples/guided.py` on the command line. The
classifier is trained on the real training images in a stage of its own, with the `budget` of the matrix.
"""

import torch
from pydantic import Field
from small_gan import LOGGED, PRESETS, SmallGan, SmallOptions
from small_nets import Z

from derm_bench import api

DERM_BENCH_API = 1


class GuidedOptions(SmallOptions):
    steps: int = Field(default=10, ge=0, description="steps away from the noise that is drawn")
    strength: float = Field(default=0.1, ge=0, description="length of each step per noise value")


def requires(options: GuidedOptions) -> dict[str, api.Ref]:
    return {"guide": api.Ref("classifier", "dermagan-cnn", {"pooled": True})}


@api.hookimpl
def derm_bench_generators() -> list[api.GeneratorSpec]:
    return [
        api.GeneratorSpec(
            name="guided",
            summary="a GAN whose samples are guided by a classifier",
            create="guided:Guided",
            options=GuidedOptions,
            requires=requires,
            conditional=True,
            discriminator_outputs=LOGGED,
            presets=PRESETS | {"tiny": PRESETS["tiny"] | {"steps": 2}},
        )
    ]


class Guided(SmallGan):
    def fit(self, train: api.ImageSet, run: api.Run) -> None:
        engine = api.Engine(run, generator=self.g, discriminator=self.d)
        engine.fit(self.gan_step(engine), train)

    def render(self, z: torch.Tensor, label: int | None) -> torch.Tensor:
        with torch.inference_mode(False), torch.enable_grad():
            for _ in range(self.options.steps if label is not None else 0):
                z = z.detach().clone().requires_grad_(True)
                logits = self.task.logits("guide", self.g(z) / 2 + 0.5)
                (slope,) = torch.autograd.grad(logits.log_softmax(1)[:, label].sum(), z)
                z = z + self.options.strength * slope / slope.std(1, keepdim=True).clamp(min=1e-12)
                z = z * Z**0.5 / z.norm(dim=1, keepdim=True)  # as long as noise usually is
            return self.g(z.detach().clone()).detach()
