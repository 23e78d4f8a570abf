"""Options and spec of `r3gan`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from derm_bench.specs import Budget, GeneratorOptions, GeneratorSpec, LearningRate

Weight = Annotated[float, Field(ge=0)]
Beta = Annotated[float, Field(ge=0, lt=1)]


class R3ganOptions(GeneratorOptions):
    """Pairs are the values at the start and from the end of the burn-in on. The defaults are the authors' configuration
    for FFHQ at 64 px, but for the batch (theirs has 256 images), the burn-in (20,000 kimg), and the augmentation and
    the length of D's embedding (see the class)."""

    budget: Budget = Field(default=Budget(kimg=200), description="how long to fit")
    scope: Literal["per_class", "pooled"] | tuple[tuple[str, ...], ...] | None = Field(
        default="per_class",
        description="one fit per class (per_class), one conditional fit for all classes (pooled) or for each listed "
        "group of classes",
    )
    z_dim: int = Field(64, ge=1, le=4096, description="length of the noise vector z")
    embedding: int = Field(64, ge=1, le=4096, description="length of an embedded class")
    base: int = Field(24576, ge=16, le=131072, description="channels are base / side, at most `widest`")
    widest: int = Field(768, ge=1, le=4096, description="largest number of channels")
    blocks: int = Field(2, ge=1, le=16, description="residual blocks at each side")
    expansion: int = Field(2, ge=1, le=8, description="channels inside a block over those outside")
    group_width: int = Field(16, ge=1, le=1024, description="channels in a group of the 3x3 convolutions")
    batch_size: int = Field(64, ge=2, le=65536, description="real images per update")
    lr: tuple[LearningRate, LearningRate] = Field((2e-4, 5e-5), description="learning rates of Adam")
    beta2: tuple[Beta, Beta] = Field((0.9, 0.99), description="beta2 of Adam; beta1 is 0")
    gamma: tuple[Weight, Weight] = Field(
        (2.0, 0.2),
        description="weights of R1 and R2. More pixels need more: the authors begin with 0.05 to 0.5 at 32 px, 1 or 2 "
        "at 64 px and 150 at 256 px",
    )
    burn_in_kimg: float | None = Field(
        None,
        gt=0,
        le=1e7,
        description="length of the burn-in in thousands of images; default a fifth of the budget",
    )
    ema_kimg: float = Field(
        500.0,
        gt=0,
        le=1e6,
        description="half-life of the moving average of G's weights after the burn-in, in thousands of images",
    )


# What the authors' configurations have in common. Theirs have no end: 100,000 kimg are five burn-ins.
_AUTHORS: dict[str, Any] = {
    "batch_size": 256, "burn_in_kimg": 20000.0, "augment": ["hflip"], "budget": {"kimg": 100000},
}  # fmt: skip
PRESETS: dict[str, dict[str, Any]] = {
    "tiny": {
        "base": 64, "widest": 8, "blocks": 1, "group_width": 4, "z_dim": 8, "embedding": 8, "batch_size": 4,
        "ema_kimg": 0.01, "budget": {"updates": 4},
    },
    "smoke": {
        "base": 256, "widest": 16, "blocks": 1, "group_width": 8, "z_dim": 16, "embedding": 16, "batch_size": 8,
        "ema_kimg": 0.05, "budget": {"updates": 20},
    },
    # For two cores, at 32 to 64 px. The rate is that of a short fit.
    "small": {
        "base": 2048, "widest": 96, "blocks": 1, "z_dim": 64, "batch_size": 16, "lr": (1e-3, 2e-4),
        "gamma": (1.0, 0.2), "ema_kimg": 1.0,
    },
    "cifar": {**_AUTHORS, "batch_size": 512, "gamma": (0.05, 0.005), "ema_kimg": 5000.0, "scope": "pooled"},
    "ffhq64": _AUTHORS,
    "ffhq256": {**_AUTHORS, "gamma": (150.0, 15.0)},
}  # fmt: skip

SPEC = GeneratorSpec(
    name="r3gan",
    summary="R3GAN: residual networks, a relativistic loss with R1 and R2, and no tricks",
    paper="Huang et al. 2024 (NeurIPS); a modern baseline, cited by none of the papers",
    create="derm_bench_plugins.generators.r3gan:R3gan",
    options=R3ganOptions,
    cost="derm_bench_plugins.generators.gan_cost:residual",
    parts=("generator", "discriminator"),
    discriminator_outputs=("d_real", "d_fake"),
    realness=True,
    screen=True,
    preflight="derm_bench_plugins.generators.sizes:powers_of_two",
    conditional=True,
    presets=PRESETS,
)
