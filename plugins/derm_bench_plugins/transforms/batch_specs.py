"""Batch transforms, which mix images and their labels: specs and options."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import Options, TransformSpec

HERE = "derm_bench_plugins.transforms"


class RicapOptions(Options):
    beta: float = Field(
        0.3,
        gt=0,
        le=100,
        description="the boundary lies at a Beta(beta, beta) share of each side: small, and mostly one image shows",
    )


class MixupOptions(Options):
    alpha: float = Field(
        0.2,
        gt=0,
        le=100,
        description="share of the first image ~ Beta(alpha, alpha): small, and mostly one of the two shows",
    )


class CutmixOptions(Options):
    alpha: float = Field(1.0, gt=0, le=100, description="share of the first image ~ Beta(alpha, alpha)")
    p: float = Field(1.0, ge=0, le=1, description="share of batches that are mixed at all")


def specs() -> list[TransformSpec]:
    """All batch transforms; each draws its parameters once a batch, as its paper does, and gives soft labels."""
    return [
        TransformSpec(
            name="ricap",
            summary="four random crops in one image, labels by area",
            paper="Takahashi et al. 2018, RICAP, ACML",
            create=f"{HERE}.ricap:Ricap",
            options=RicapOptions,
            phase="batch",
            scalar="beta",
        ),
        TransformSpec(
            name="mixup",
            summary="weighted means of two images and of their labels",
            paper="Zhang et al. 2018, mixup, ICLR",
            create=f"{HERE}.mixup:Mixup",
            options=MixupOptions,
            phase="batch",
            scalar="alpha",
        ),
        TransformSpec(
            name="cutmix",
            summary="a rectangle of another image, labels by area",
            paper="Yun et al. 2019, CutMix, ICCV",
            create=f"{HERE}.cutmix:Cutmix",
            options=CutmixOptions,
            phase="batch",
            scalar="alpha",
        ),
    ]
