"""torch.compile inside of a fit. The compiled networks share their parameters with those of `parts()`.

In a matrix: generator: {name: compiled}, with `--plugin examples/compiled.py` on the command line. The first update
takes up to a minute for compiling, which only pays for long fits.
"""

from typing import Literal

import torch
from pydantic import Field
from small_gan import LOGGED, PRESETS, SmallGan, SmallOptions

from derm_bench import api

DERM_BENCH_API = 1


class CompiledOptions(SmallOptions):
    backend: Literal["inductor", "aot_eager", "eager"] = Field(
        default="inductor", description="that of torch.compile"
    )


@api.hookimpl
def derm_bench_generators() -> list[api.GeneratorSpec]:
    return [
        api.GeneratorSpec(
            name="compiled",
            summary="a GAN whose networks are compiled while they are trained",
            create="compiled:Compiled",
            options=CompiledOptions,
            discriminator_outputs=LOGGED,
            presets=PRESETS | {"tiny": PRESETS["tiny"] | {"backend": "eager"}},
        )
    ]


class Compiled(SmallGan):
    def fit(self, train: api.ImageSet, run: api.Run) -> None:
        engine = api.Engine(run, generator=self.g, discriminator=self.d)
        # After the engine has set the memory layout, and for this fit alone: sampling uses the networks as written.
        g, d = (torch.compile(net, backend=self.options.backend) for net in (self.g, self.d))
        engine.fit(self.gan_step(engine, g, d), train)
