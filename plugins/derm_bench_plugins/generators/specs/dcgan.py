"""GANs of noise alone: Goodfellow's, DCGAN, and DCGAN's kin of papers 003 and 004."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs.common import SMALL, GanOptions


class VanillaOptions(GanOptions):
    """What Goodfellow et al. 2014 leave open is said in `vanilla_gan`."""

    base: int = Field(
        256,
        ge=2,
        le=4096,
        description="units of G's first hidden layer, and of D's last; the others are multiples",
    )


class DcganOptions(GanOptions):
    """What the paper leaves open follows Radford et al. 2016; `base` 128 gives their widths."""

    prior: Literal["uniform", "normal"] = Field("uniform", description="z ~ U(-1,1) or N(0,1)")
    base: int = Field(
        128, ge=2, le=1024, multiple_of=2, description="channels of G's last hidden layer; D starts at half"
    )
    d_base: int | None = Field(
        None, ge=1, le=1024, description="channels of D's first layer, where that is not half of `base`"
    )
    kernel: Literal[4, 5] = Field(
        4, description="side of the kernels: 4, which stride 2 divides, or Radford's 5"
    )
    head: Literal["flatten", "gap"] = Field(
        "flatten", description="how D reduces its last 4x4 map to a logit"
    )


class DermaganOptions(GanOptions):
    """The defaults are the paper's."""

    z_dim: int = Field(512, ge=1, le=4096, description="length of the noise vector z")
    base: int = Field(
        64, ge=1, le=1024, description="channels of G's last hidden layer and of D's first; 64 is the paper's"
    )


class MutepfeOptions(GanOptions):
    """The defaults are the paper's."""

    z_dim: int = Field(128, ge=1, le=4096, description="length of the noise vector z")
    batch_size: int = Field(128, ge=2, le=65536, description="real images an update of D")
    base: int = Field(
        64, ge=1, le=1024, description="channels of G's last hidden layer and of D's first; 64 is the paper's"
    )


def specs() -> list[GeneratorSpec]:
    return [
        GeneratorSpec(
            name="dcgan",
            summary="DCGAN: strided transposed convolutions, BCE, one network a class",
            paper="Radford et al. 2016, as used for melanoma at 64 px in paper 002",
            create="derm_bench_plugins.generators.dcgan:Dcgan",
            options=DcganOptions,
            presets=SMALL,
        ),
        GeneratorSpec(
            name="vanilla-gan",
            summary="the first GAN: two perceptrons, BCE, one pair a class",
            paper="Goodfellow et al. 2014",
            create="derm_bench_plugins.generators.vanilla_gan:VanillaGan",
            options=VanillaOptions,
            presets=SMALL,
        ),
        GeneratorSpec(
            name="dermagan",
            summary="DermaGAN: a DCGAN without biases, z of 512, one network a class",
            paper="paper 003, section C: synthetic images of four lesions at 64 px",
            create="derm_bench_plugins.generators.dermagan:DermaGan",
            options=DermaganOptions,
            presets=SMALL,
        ),
        GeneratorSpec(
            name="dcgan-mutepfe",
            summary="DCGAN of 5x5 kernels whose discriminator is later fine-tuned as a classifier",
            paper="Mutepfe et al., paper 004: benign and malignant lesions at 64 px",
            create="derm_bench_plugins.generators.dcgan_mutepfe:DcganMutepfe",
            options=MutepfeOptions,
            presets=SMALL,
        ),
    ]
