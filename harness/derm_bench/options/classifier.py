"""Options that every classifier takes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from derm_bench.options.base import Betas, LearningRate, Options


class ClassifierOptions(Options):
    """Options that every classifier takes. The model of a plugin may give them other defaults."""

    optimizer: Literal["adam", "adamw", "sgd", "adagrad"] = Field(
        default="adam", description="the optimizer; sgd has momentum, adamw decoupled weight decay"
    )
    lr: LearningRate = Field(default=1e-3, description="initial learning rate")
    weight_decay: float = Field(default=0.0, ge=0, description="L2 penalty; decoupled for adamw")
    betas: Betas = Field(
        default=(0.9, 0.999), description="betas of adam and adamw; the first is the momentum of sgd"
    )
    batch_size: int = Field(default=64, ge=2, le=65536, description="images per update")
    schedule: Literal["none", "cosine", "step", "plateau"] = Field(
        default="none",
        description="decay of the learning rate; step: divide by 10 after one half and after three quarters",
    )
    select: Literal["best", "last"] = Field(
        default="best",
        description="the checkpoint to keep; best: that with the best primary metric on validation",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        description="evaluations without improvement before stopping; refused with a matched budget",
    )
    loss: Literal["ce", "bce"] = Field(
        default="ce", description="ce: cross-entropy over classes; bce: binary cross-entropy of each class"
    )
    input_size: int | None = Field(
        default=None,
        ge=8,
        le=1024,
        description="side of the network's input in pixels; default the stored size",
    )
    pretrained: bool = Field(default=False, description="start from published weights")
    weights: Path | None = Field(
        default=None, description="file of weights to start from: safetensors, or loadable with weights_only"
    )
    freeze: bool = Field(default=False, description="train only the head")
    dropout: float = Field(default=0.0, ge=0, lt=1, description="dropout probability before the head")
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="share of each target that is spread evenly over the classes"
    )
