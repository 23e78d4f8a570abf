"""Options and specs of the colour transforms of images."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import Options, TransformSpec


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


def _image(name: str, summary: str, attribute: str, options: type[Options], scalar: str) -> TransformSpec:
    create = f"derm_bench_plugins.transforms.colour:{attribute}"
    return TransformSpec(
        name=name, summary=summary, create=create, options=options, phase="image", scalar=scalar
    )


SPECS = [
    _image("brightness", "multiply all channels", "Brightness", ColourOptions, "amount"),
    _image("contrast", "spread about the mean grey", "Contrast", ColourOptions, "amount"),
    _image("saturation", "spread about the pixel's grey", "Saturation", ColourOptions, "amount"),
    _image("hue", "turn the colour circle", "Hue", HueOptions, "amount"),
    _image("pixel-jitter", "noise on each value by itself", "PixelJitter", PixelJitterOptions, "amount"),
]
