"""ddpm, a generator for derm-bench: its name, options and presets. Imports no torch."""

from __future__ import annotations

from pydantic import Field

from derm_bench.api import GeneratorOptions, GeneratorSpec, hookimpl

DERM_BENCH_API = 1


class DdpmOptions(GeneratorOptions):
    """The defaults are for a GPU. On a few cores `patch: 2` and `base: 32` give first images in minutes."""

    base: int = Field(64, ge=8, multiple_of=8, description="channels of the UNet's first level")
    blocks: int = Field(1, ge=1, le=8, description="residual blocks per level, in each direction")
    patch: int = Field(
        1, ge=1, le=8, description="side of the squares of pixels that are folded into channels first"
    )
    batch_size: int = Field(64, ge=2, le=65536, description="images per update")
    lr: float = Field(2e-4, gt=0, description="learning rate of Adam")
    ema: float = Field(
        0.999, ge=0, lt=1, description="decay of the averaged weights, which are used for sampling"
    )
    timesteps: int = Field(
        1000, ge=2, le=100_000, description="T, the number of steps from an image to noise"
    )
    min_snr: float = Field(
        5.0, gt=0, description="cap on the weight of a step in the loss (its signal-to-noise ratio)"
    )
    drop_class: float = Field(
        0.1, ge=0, le=1, description="share of images shown without their class, for guidance"
    )
    guidance: float = Field(
        0.5, ge=0, description="w of classifier-free guidance; above 0 sampling takes twice as long"
    )
    steps: int = Field(50, ge=1, description="DDIM steps per image, at most `timesteps`")


@hookimpl
def derm_bench_generators() -> list[GeneratorSpec]:
    return [
        GeneratorSpec(
            name="ddpm",
            summary="a class-conditional denoising-diffusion model: cosine schedule, averaged weights, DDIM sampling",
            paper="Ho et al. 2020; Nichol and Dhariwal 2021; Song et al. 2021; Ho and Salimans 2021",
            create="derm_bench_ddpm.generator:Ddpm",
            options=DdpmOptions,
            conditional=True,
            presets={
                "tiny": {
                    "base": 8,
                    "blocks": 1,
                    "patch": 2,
                    "batch_size": 8,
                    "steps": 2,
                    "budget": {"updates": 4},
                },
                "smoke": {
                    "base": 16,
                    "blocks": 1,
                    "patch": 2,
                    "batch_size": 16,
                    "steps": 10,
                    "budget": {"updates": 20},
                },
            },
        )
    ]
