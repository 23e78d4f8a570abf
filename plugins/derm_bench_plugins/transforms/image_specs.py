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


class AspectOptions(Options):
    amount: float = Field(
        0.2,
        gt=0,
        le=1,
        description="width over height, log-uniform in 1 / (1 + amount) to 1 + amount; areas stay as they are",
    )


class CropOptions(Options):
    least: float = Field(
        0.8,
        gt=0,
        lt=1,
        description="side of the square that is cut out, ~ U(least, 1) of the image's, and zoomed to the whole",
    )


class ColourOptions(Options):
    amount: float = Field(0.2, gt=0, le=1, description="factor ~ U(1 - amount, 1 + amount)")


class HueOptions(Options):
    amount: float = Field(
        0.05,
        gt=0,
        le=0.5,
        description="shift ~ U(-amount, amount) of the colour circle, 0.5 being the opposite colour; colour is "
        "diagnostic in dermatology: more than 0.05 changes what a lesion looks like",
    )


class PixelJitterOptions(Options):
    amount: float = Field(
        0.05,
        gt=0,
        le=1,
        description="largest standard deviation of the noise, pixels being in 0 to 1; each image's is ~ U(0, amount)",
    )


def specs() -> list[TransformSpec]:
    """All image transforms; each draws its parameters for each image by itself."""
    return [
        _image("hflip", "mirror left and right", f"{AFFINE}:HFlip", FlipOptions, "p"),
        _image("vflip", "mirror top and bottom", f"{AFFINE}:VFlip", FlipOptions, "p"),
        _image("rotate", "rotate about the centre", f"{AFFINE}:Rotate", RotateOptions, "degrees"),
        _image("shear", "shear along both axes", f"{AFFINE}:Shear", ShearOptions, "degrees"),
        _image("scale", "zoom in or out", f"{AFFINE}:Scale", ScaleOptions, "amount"),
        _image("translate", "shift along both axes", f"{AFFINE}:Translate", TranslateOptions, "fraction"),
        _image("aspect", "stretch one axis, squeeze the other", f"{AFFINE}:Aspect", AspectOptions, "amount"),
        _image("crop", "cut out a square and zoom in", f"{AFFINE}:Crop", CropOptions, "least"),
        _image("brightness", "multiply all channels", f"{COLOUR}:Brightness", ColourOptions, "amount"),
        _image("contrast", "spread about the mean grey", f"{COLOUR}:Contrast", ColourOptions, "amount"),
        _image(
            "saturation", "spread about the pixel's grey", f"{COLOUR}:Saturation", ColourOptions, "amount"
        ),
        _image("hue", "turn the colour circle", f"{COLOUR}:Hue", HueOptions, "amount"),
        _image(
            "pixel-jitter",
            "noise on each value by itself",
            f"{COLOUR}:PixelJitter",
            PixelJitterOptions,
            "amount",
        ),
    ]


def _image(name: str, summary: str, create: str, options: type[Options], scalar: str) -> TransformSpec:
    return TransformSpec(
        name=name, summary=summary, create=create, options=options, phase="image", scalar=scalar
    )
