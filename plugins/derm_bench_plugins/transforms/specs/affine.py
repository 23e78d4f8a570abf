"""Options and specs of the geometric image transforms."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import Options
from derm_bench_plugins.transforms.specs.common import image_spec


class FlipOptions(Options):
    p: float = Field(0.5, ge=0, le=1, description="probability of a flip")


class RotateOptions(Options):
    degrees: float = Field(30.0, gt=0, le=180, description="angle ~ U(-degrees, degrees)")


class ShearOptions(Options):
    degrees: float = Field(
        10.0, gt=0, lt=80, description="shear angle along x and along y, each ~ U(-degrees, degrees)"
    )


class ScaleOptions(Options):
    amount: float = Field(
        0.2, gt=0, lt=1, description="size ~ U(1 - amount, 1 + amount), the same for both sides"
    )


class TranslateOptions(Options):
    fraction: float = Field(
        0.1, gt=0, le=1, description="shift of x and of y, each ~ U(-fraction, fraction) of the side"
    )


class AspectOptions(Options):
    amount: float = Field(
        0.2,
        gt=0,
        le=1,
        description="width over height, log-uniform in 1 / (1 + amount) to 1 + amount; areas do not change",
    )


class CropOptions(Options):
    least: float = Field(
        0.8,
        gt=0,
        lt=1,
        description="side of the square that is cut out and enlarged, ~ U(least, 1) of the image's side",
    )


SPECS = [
    image_spec("hflip", "mirror left and right", "affine:HFlip", FlipOptions, "p"),
    image_spec("vflip", "mirror top and bottom", "affine:VFlip", FlipOptions, "p"),
    image_spec("rotate", "rotate about the centre", "affine:Rotate", RotateOptions, "degrees"),
    image_spec("shear", "shear along both axes", "affine:Shear", ShearOptions, "degrees"),
    image_spec("scale", "zoom in or out", "affine:Scale", ScaleOptions, "amount"),
    image_spec("translate", "shift along both axes", "affine:Translate", TranslateOptions, "fraction"),
    image_spec("aspect", "stretch one axis and compress the other", "affine:Aspect", AspectOptions, "amount"),
    image_spec("crop", "cut out a square and zoom in", "affine:Crop", CropOptions, "least"),
]
