"""Options and specs of the colour transforms of images."""

from __future__ import annotations

from pydantic import Field

from derm_bench.specs import Options
from derm_bench_plugins.transforms.specs.common import image_spec


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


SPECS = [
    image_spec("brightness", "multiply all channels", "colour:Brightness", ColourOptions, "amount"),
    image_spec(
        "contrast", "scale differences from the mean grey", "colour:Contrast", ColourOptions, "amount"
    ),
    image_spec(
        "saturation", "scale differences from the pixel's grey", "colour:Saturation", ColourOptions, "amount"
    ),
    image_spec("hue", "rotate the colour circle", "colour:Hue", HueOptions, "amount"),
    image_spec(
        "pixel-jitter",
        "add independent noise to each value",
        "colour:PixelJitter",
        PixelJitterOptions,
        "amount",
    ),
]
