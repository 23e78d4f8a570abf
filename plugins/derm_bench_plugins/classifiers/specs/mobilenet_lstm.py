"""Options and spec of `mobilenetv2-lstm`, MobileNetV2 with an LSTM over its features."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from derm_bench.specs import ClassifierOptions, ClassifierSpec


class MobilenetLstmOptions(ClassifierOptions):
    """The module `mobilenet_lstm` lists the choices that the paper leaves open."""

    width: Literal["035", "050", "075", "100", "140"] = Field(
        "100",
        description="width of MobileNetV2, in hundredths; weights are published for 050, 100 and 140",
    )
    hidden: int = Field(256, ge=1, le=4096, description="size of the LSTM's state")
    layers: int = Field(1, ge=1, le=4, description="number of LSTM layers")
    weights: Path | None = Field(
        None,
        description="file with initial weights, of timm's MobileNetV2 of that width or of this whole network",
    )
    freeze: bool = Field(False, description="train only the LSTM and the layers after it")


SPEC = ClassifierSpec(
    name="mobilenetv2-lstm",
    summary="MobileNetV2, and an LSTM that reads its last map position by position",
    paper="Srinivasu et al. 2021, Sensors 21(8) 2852; quoted by paper 001",
    create="derm_bench_plugins.classifiers.mobilenet_lstm:make",
    options=MobilenetLstmOptions,
    preflight="derm_bench_plugins.classifiers.timm_planning:preflight_mobilenet",
    presets={
        "tiny": {"width": "035", "hidden": 16, "batch_size": 8, "input_size": 64},
        "smoke": {"width": "050", "hidden": 64, "batch_size": 16, "input_size": 64},
    },
)
