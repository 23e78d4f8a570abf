"""Options that every classifier takes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from derm_bench.options.base import Options


class ClassifierOptions(Options):
    """Options that every classifier takes; a plugin's own model may give one of them another default."""

    optimizer: Literal["adam", "adamw", "sgd", "adagrad"] = Field(
        "adam", description="the optimizer; sgd with momentum, adamw with decoupled decay"
    )
    lr: float = Field(1e-3, gt=0, description="learning rate at the start")
    weight_decay: float = Field(0.0, ge=0, description="L2 penalty; decoupled for adamw")
    betas: tuple[float, float] = Field(
        (0.9, 0.999), description="of adam and adamw; the first is sgd's momentum"
    )
    batch_size: int = Field(64, ge=2, le=65536, description="images an update")
    schedule: Literal["none", "cosine", "step", "plateau"] = Field(
        "none", description="how the learning rate falls; step: to a tenth at one half and at three quarters"
    )
    select: Literal["best", "last"] = Field(
        "best", description="best: the checkpoint with the best primary metric on validation"
    )
    patience: int | None = Field(
        None, ge=1, description="evaluations without gain before stopping; refused with a matched budget"
    )
    loss: Literal["ce", "bce"] = Field(
        "ce", description="ce: cross-entropy over classes; bce: binary, each class by itself"
    )
    input_size: int | None = Field(
        None, ge=8, le=1024, description="side in pixels that the network sees; default the stored size"
    )
    pretrained: bool = Field(False, description="start from published weights")
    weights: Path | None = Field(None, description="a safetensors or weights-only file to start from")
    freeze: bool = Field(False, description="train only the head")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="share of features dropped before the head while training"
    )
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="share of each target spread evenly over the classes"
    )
