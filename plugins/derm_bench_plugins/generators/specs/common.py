"""Options that GANs trained from noise share."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import GeneratorOptions


class GanOptions(GeneratorOptions):
    """A generator and a discriminator under Adam. A family may give any of them another default."""

    z_dim: int = Field(100, ge=1, le=4096, description="length of the noise vector z")
    batch_size: int = Field(64, ge=2, le=65536, description="real images an update of D")
    lr: float = Field(2e-4, gt=0, description="learning rate of Adam, of G and of D")
    betas: tuple[float, float] = Field((0.5, 0.999), description="of Adam")


# Presets of DCGAN and what is built on its layers.
SMALL = {
    "tiny": {"base": 8, "z_dim": 8, "batch_size": 8, "budget": {"updates": 4}},
    "smoke": {"base": 16, "batch_size": 16, "budget": {"updates": 20}},
}
