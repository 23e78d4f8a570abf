"""Options shared by the GANs with one generator and one discriminator, and the presets of small networks."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import Betas, GeneratorOptions, LearningRate


class GanOptions(GeneratorOptions):
    """Options of a generator and a discriminator trained with Adam. A subclass may change the defaults."""

    z_dim: int = Field(100, ge=1, le=4096, description="length of the noise vector z")
    batch_size: int = Field(64, ge=2, le=65536, description="real images per update of D")
    lr: LearningRate = Field(2e-4, description="learning rate of Adam, for G and for D")
    betas: Betas = Field((0.5, 0.999), description="betas of Adam")


# Presets of the GANs on the layers of DCGAN.
SMALL = {
    "tiny": {"base": 8, "z_dim": 8, "batch_size": 8, "budget": {"updates": 4}},
    "smoke": {"base": 16, "batch_size": 16, "budget": {"updates": 20}},
}
