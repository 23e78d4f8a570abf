"""Preprocess transforms, the same for train, val and test: specs and options. Each is in a module of its name."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from derm_bench.specs import Options, TransformSpec

HERE = "derm_bench_plugins.transforms"


class BilateralOptions(Options):
    d: int = Field(9, ge=1, le=51, description="diameter in pixels of the neighbourhood of a pixel")
    sigma_color: float = Field(
        75.0, gt=0, le=1000, description="how far colours may lie apart to be averaged, in levels of 0 to 255"
    )
    sigma_space: float = Field(75.0, gt=0, le=1000, description="how far pixels may lie apart, in pixels")


class GammaOptions(Options):
    gamma: float = Field(
        1.5, gt=0, le=10, description="pixels, in 0 to 1, to the power 1 / gamma: above 1 brightens"
    )


class HairRemovalOptions(Options):
    """Lengths are shares of the shorter side, so that they fit images of any resolution."""

    width: float = Field(0.03, gt=0, le=0.2, description="hairs are thinner than this share of the side")
    length: float = Field(
        0.2, gt=0, le=1, description="hairs run straight for at least this share of the side"
    )
    threshold: int = Field(
        8,
        ge=1,
        le=255,
        description="hairs are darker than the skin beside them by this much of 255, in each channel",
    )


class ShadesOfGrayOptions(Options):
    p: float = Field(
        6.0, ge=1, le=100, description="Minkowski norm: 1 is the grey world, large ones the brightest pixel"
    )


class RestoreOptions(Options):
    factor: int = Field(2, ge=1, le=4, description="how many times larger both sides become")
    sharpen: float = Field(
        0.5, ge=0, le=5, description="share of the detail that the unsharp mask adds; not after a network"
    )
    radius: float = Field(
        1.0,
        gt=0,
        le=50,
        description="standard deviation of the unsharp mask's blur, in pixels before upscaling",
    )
    below: int | None = Field(
        None, ge=1, description="only images whose shorter side has fewer pixels; default all"
    )
    weights: Path | None = Field(
        None, description="a safetensors or weights-only file of a trained network, used in place of Lanczos"
    )
    network: Literal["espcn", "srresnet"] = Field(
        "espcn", description="what the weights are of: super_resolution.py lists layers and keys"
    )

    @model_validator(mode="after")
    def _made_by_doubling(self) -> RestoreOptions:
        if self.weights is not None and self.network == "srresnet" and self.factor not in (2, 4):
            raise ValueError("srresnet doubles once or twice: factor is 2 or 4")
        return self


def specs() -> list[TransformSpec]:
    """All preprocess transforms."""
    return [
        _preprocess(
            "bilateral",
            "smooth within edges",
            "bilateral:Bilateral",
            BilateralOptions,
            None,
            "Tomasi and Manduchi 1998, Bilateral filtering, ICCV; paper 004, preprocessing",
        ),
        _preprocess(
            "gamma",
            "brighten or darken by a power",
            "gamma:Gamma",
            GammaOptions,
            "gamma",
            "paper 004, preprocessing",
        ),
        _preprocess(
            "hair-removal",
            "find dark hairs by their shape and paint them over",
            "hair_removal:HairRemoval",
            HairRemovalOptions,
            "threshold",
            "Lee et al. 1997, DullRazor, Computers in Biology and Medicine",
        ),
        _preprocess(
            "shades-of-gray",
            "take out the colour of the light",
            "shades_of_gray:ShadesOfGray",
            ShadesOfGrayOptions,
            "p",
            "Finlayson and Trezzi 2004, Shades of gray and colour constancy, CIC",
        ),
        _preprocess(
            "restore",
            "upscale and sharpen, or a trained super-resolution network",
            "restore:Restore",
            RestoreOptions,
            "factor",
            "the place of DFDNet (Li et al. 2020, ECCV) in paper 001's pipeline",
        ),
    ]


def _preprocess(
    name: str, summary: str, create: str, options: type[Options], scalar: str | None, paper: str
) -> TransformSpec:
    return TransformSpec(
        name=name,
        summary=summary,
        paper=paper,
        create=f"{HERE}.{create}",
        options=options,
        phase="preprocess",
        scalar=scalar,
    )
