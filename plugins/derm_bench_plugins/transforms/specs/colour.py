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
        description="shift ~ U(-amount, amount) of the colour circle, where 0.5 is the opposite colour; colour is "
        "diagnostic in dermatology, and more than 0.05 changes the appearance of a lesion",
    )


class PixelJitterOptions(Options):
    amount: float = Field(
        0.05,
        gt=0,
        le=1,
        description="largest standard deviation of the noise, for pixels in 0 to 1; that of an image is ~ U(0, amount)",
    )


def _image(name: str, summary: str, attribute: str, options: type[Options], scalar: str) -> TransformSpec:
    create = f"derm_bench_plugins.transforms.colour:{attribute}"
    return TransformSpec(
        name=name, summary=summary, create=create, options=options, phase="image", scalar=scalar
    )


SPECS = [
    _image("brightness", "multiply all channels", "Brightness", ColourOptions, "amount"),
    _image("contrast", "scale differences from the mean grey", "Contrast", ColourOptions, "amount"),
    _image("saturation", "scale differences from the pixel's grey", "Saturation", ColourOptions, "amount"),
    _image("hue", "rotate the colour circle", "Hue", HueOptions, "amount"),
    _image(
        "pixel-jitter", "add independent noise to each value", "PixelJitter", PixelJitterOptions, "amount"
    ),
]
