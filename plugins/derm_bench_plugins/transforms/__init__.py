"""Image transforms: specs and options. What they do is in `affine.py` and `colour.py`."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import Options, TransformSpec

AFFINE = "derm_bench_plugins.transforms.affine"
COLOUR = "derm_bench_plugins.transforms.colour"


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


class ColourOptions(Options):
    amount: float = Field(0.2, gt=0, le=1, description="factor ~ U(1 - amount, 1 + amount)")


def specs() -> list[TransformSpec]:
    """All image transforms; each draws its parameters for each image by itself."""
    return [
        _image("hflip", "mirror left and right", f"{AFFINE}:HFlip", FlipOptions, "p"),
        _image("vflip", "mirror top and bottom", f"{AFFINE}:VFlip", FlipOptions, "p"),
        _image("rotate", "rotate about the centre", f"{AFFINE}:Rotate", RotateOptions, "degrees"),
        _image("shear", "shear along both axes", f"{AFFINE}:Shear", ShearOptions, "degrees"),
        _image("scale", "zoom in or out", f"{AFFINE}:Scale", ScaleOptions, "amount"),
        _image("translate", "shift along both axes", f"{AFFINE}:Translate", TranslateOptions, "fraction"),
        _image("brightness", "multiply all channels", f"{COLOUR}:Brightness", ColourOptions, "amount"),
        _image("contrast", "spread about the mean grey", f"{COLOUR}:Contrast", ColourOptions, "amount"),
        _image(
            "saturation", "spread about the pixel's grey", f"{COLOUR}:Saturation", ColourOptions, "amount"
        ),
    ]


def _image(name: str, summary: str, create: str, options: type[Options], scalar: str) -> TransformSpec:
    return TransformSpec(
        name=name, summary=summary, create=create, options=options, phase="image", scalar=scalar
    )
