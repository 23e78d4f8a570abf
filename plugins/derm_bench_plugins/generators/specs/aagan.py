"""Options and spec of `aagan`, the augmentation of paper 000."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from derm_bench.specs import GeneratorSpec, Ref
from derm_bench_plugins.generators.specs.control_options import ControlOptions

Angle = Annotated[float, Field(ge=0, le=90)]


class AaganOptions(ControlOptions):
    """How volumes are made, varied and drawn. The networks have a stage of their own, `hair-volume`."""

    volume: dict[str, Any] = Field(
        default_factory=dict,
        description="options of the networks, those of hair-volume, such as `budget`, `width` and `preset: NAME`",
    )
    side: Literal[128, 256, 512, 1024] | None = Field(
        None, description="side of the maps; default: that of `volume`, or 256"
    )
    maps_only: bool = Field(
        False,
        description="the control without a network: maps are lifted to the depth of the head, and not mixed",
    )
    render: Literal["strands", "warp"] = Field(
        "strands",
        description="strands: draw strands of the volume; warp: move the hair of the photograph as the volume turns, "
        "which keeps its texture",
    )
    mix: tuple[float, float] | None = Field(
        (0.3, 0.7),
        description="limits of the weight of another photograph of the same class in the latent of the volume; null: "
        "photographs are not mixed",
    )
    mirror: bool = Field(True, description="mirror every other image, at random")
    turns: tuple[Angle, Angle, Angle] = Field(
        (15.0, 30.0, 20.0), description="largest rotations about X, Y and Z, in degrees"
    )
    strands: int = Field(10_000, ge=10, le=100_000, description="largest number of strands of an image")
    bald_change: float = Field(
        0.25, ge=0, description="largest relative change of the bald share of the scalp that keeps the label"
    )

    @model_validator(mode="after")
    def _limits_in_order(self) -> AaganOptions:
        if self.mix is not None and not 0 <= self.mix[0] <= self.mix[1] <= 1:
            raise ValueError(
                f"mix must be two numbers from 0 to 1, the smaller one first, not {list(self.mix)}"
            )
        if self.maps_only and self.volume:
            raise ValueError("maps_only uses no network, so that volume has no effect: leave one of them out")
        return self


def requires(options: AaganOptions) -> Mapping[str, Ref]:
    """Return the networks, unless maps are only lifted."""
    if options.maps_only:
        return {}
    side = {} if options.side is None else {"side": options.side}
    return {"volume": Ref("generator", "hair-volume", options.volume | side)}


SPEC = GeneratorSpec(
    name="aagan",
    summary="AA-GAN: photographs of hair to a volume of strands by a GAN, varied, and back to photographs",
    paper="paper 000, on Hair-GAN (Zhang and Zheng 2019)",
    create="derm_bench_plugins.generators.aagan:Aagan",
    options=AaganOptions,
    requires=requires,
    parts=("order",),
    conditional=True,
    conditions_on="masks",
    trains=False,
    presets={
        "tiny": {"volume": {"preset": "tiny"}, "strands": 300},
        "smoke": {"volume": {"preset": "smoke"}, "strands": 1000},
        "small": {"volume": {"preset": "small"}},
        "paper": {"volume": {"preset": "paper"}},
    },
)
