"""Options and specs of the geometric image transforms."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import Options, TransformSpec


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


def _image(name: str, summary: str, attribute: str, options: type[Options], scalar: str) -> TransformSpec:
    create = f"derm_bench_plugins.transforms.affine:{attribute}"
    return TransformSpec(
        name=name, summary=summary, create=create, options=options, phase="image", scalar=scalar
    )


SPECS = [
    _image("hflip", "mirror left and right", "HFlip", FlipOptions, "p"),
    _image("vflip", "mirror top and bottom", "VFlip", FlipOptions, "p"),
    _image("rotate", "rotate about the centre", "Rotate", RotateOptions, "degrees"),
    _image("shear", "shear along both axes", "Shear", ShearOptions, "degrees"),
    _image("scale", "zoom in or out", "Scale", ScaleOptions, "amount"),
    _image("translate", "shift along both axes", "Translate", TranslateOptions, "fraction"),
    _image("aspect", "stretch one axis and compress the other", "Aspect", AspectOptions, "amount"),
    _image("crop", "cut out a square and zoom in", "Crop", CropOptions, "least"),
]
