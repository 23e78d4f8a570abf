"""Generators whose samples start from a real image, its mask or its colours: iagan, efgan, dermgan, lesion-paste."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from derm_bench.specs import GeneratorOptions, GeneratorSpec
from derm_bench_plugins.generators.specs.adapters import AdapterOptions
from derm_bench_plugins.generators.specs.common import GanOptions
from derm_bench_plugins.generators.specs.dcgan import DcganOptions

_PACKAGE = "derm_bench_plugins.generators"


class IaganOptions(GanOptions):
    """The networks' widths are in no text at hand."""

    batch_size: int = Field(32, ge=2, le=65536, description="real images an update of D")
    base: int = Field(
        32, ge=4, le=512, multiple_of=4, description="channels after the first layer of encoder and D"
    )
    code: int = Field(
        64,
        ge=1,
        le=4096,
        description="channels of the 4x4 map that an image becomes; z becomes as large a map",
    )
    z_per_image: int = Field(10, ge=1, le=100_000, description="samples in a row from one real image")


class EfganOptions(DcganOptions):
    """A DCGAN between two augmentations."""

    colour: Literal["hue", "permutations"] = Field(
        "hue",
        description="what the originals are multiplied by: five small turns of hue, or the six orders of the channels, "
        "the paper's, which changes what a lesion's colour says of it",
    )
    hue: float = Field(
        0.05, ge=0, le=0.5, description="largest turn of hue, a share of the colour circle; colour: hue only"
    )
    rotate: Literal[30, 45, 60, 90] = Field(
        90,
        description="generated images are turned by a multiple of it, degrees; 90 moves pixels without resampling",
    )


class DermganOptions(GeneratorOptions):
    """pix2pix's, and the weights of what DermGAN adds, which are in no text at hand."""

    batch_size: int = Field(16, ge=1, le=65536, description="pairs of map and image an update")
    lr: float = Field(2e-4, gt=0, description="learning rate of Adam, of G and of D")
    betas: tuple[float, float] = Field((0.5, 0.999), description="of Adam")
    base: int = Field(64, ge=2, le=512, description="channels of the first layer of G and D")
    region: Literal["box", "mask"] = Field(
        "box", description="what the map shows of the lesion: its bounding box, as the paper, or its outline"
    )
    l1: float = Field(100.0, ge=0, description="weight of the L1 loss over the image")
    l1_lesion: float = Field(10.0, ge=0, description="weight of the L1 loss over the lesion alone")
    feature_matching: float = Field(
        10.0, ge=0, description="weight of the L1 loss between D's features of real and generated images"
    )
    patch_layers: int | None = Field(
        None,
        ge=1,
        le=5,
        description="stride-2 layers of D: 3 judge patches of 70x70 pixels, 2 of 34x34, 1 of 16x16; default 3 from "
        "256 px on, one fewer each time the side halves",
    )
    resize: float = Field(
        0.3, ge=0, lt=1, description="by what share the region of a sample is made larger or smaller at most"
    )
    move: float = Field(0.15, ge=0, le=1, description="by what share of the side it is moved at most")


class LesionPasteOptions(AdapterOptions):
    """Nothing is trained."""

    scope: Literal["per_class", "pooled"] | tuple[tuple[str, ...], ...] | None = Field(
        None, description="default pooled: backgrounds come from images of all classes"
    )
    blend: Literal["poisson", "feather"] = Field(
        "feather",
        description="feather keeps the lesion's colours; poisson its gradients, with colours shifted by what both "
        "skins differ",
    )
    rotate: float = Field(180.0, ge=0, le=180, description="largest turn of the lesion, degrees")
    scale: float = Field(0.2, ge=0, lt=1, description="by what share it is made larger or smaller at most")
    move: float = Field(
        0.1, ge=0, le=1, description="by what share of the side it is moved from where a lesion was"
    )
    jitter: float = Field(
        0.02,
        ge=0,
        le=0.2,
        description="how far its outline is bent, standard deviation as a share of the side",
    )
    largest_background: float = Field(
        0.4,
        gt=0,
        le=1,
        description="share of an image that its own lesion may take for it to be a background",
    )


def specs() -> list[GeneratorSpec]:
    few, some = {"updates": 4}, {"updates": 20}
    return [
        GeneratorSpec(
            name="iagan",
            summary="IAGAN: real image and noise in, inception and self-attention blocks",
            paper="Motamed, Rogalla and Khalvati 2021",
            create=f"{_PACKAGE}.iagan:Iagan",
            options=IaganOptions,
            conditions_on="images",
            presets={
                "tiny": {"base": 4, "code": 4, "z_dim": 8, "batch_size": 8, "budget": few},
                "smoke": {"base": 8, "code": 16, "batch_size": 16, "budget": some},
            },
        ),
        GeneratorSpec(
            name="efgan",
            summary="EF-GAN: colour-space augmentation, a DCGAN on it, rotation of what it makes",
            paper="Xu et al. 2020",
            create=f"{_PACKAGE}.efgan:Efgan",
            options=EfganOptions,
            presets={
                "tiny": {"base": 8, "z_dim": 8, "batch_size": 8, "budget": few},
                "smoke": {"base": 16, "batch_size": 16, "budget": some},
            },
        ),
        GeneratorSpec(
            name="dermgan",
            summary="DermGAN: pix2pix from maps of skin tone, place and class of a lesion",
            paper="Ghorbani et al. 2020",
            create=f"{_PACKAGE}.dermgan:Dermgan",
            options=DermganOptions,
            conditional=True,
            conditions_on="masks",
            presets={
                "tiny": {"base": 4, "batch_size": 8, "budget": few},
                "smoke": {"base": 16, "batch_size": 8, "budget": some},
            },
        ),
        GeneratorSpec(
            name="lesion-paste",
            summary="lesions cut out by their contour and blended into other skin (ZSAL, XtremeAugment's OBA)",
            paper="object-based augmentation of Nesteruk et al. 2022; ZSAL as told in paper 000",
            create=f"{_PACKAGE}.lesion_paste:LesionPaste",
            options=LesionPasteOptions,
            conditional=True,
            conditions_on="masks",
            presets={"tiny": {}, "smoke": {}},
        ),
    ]
