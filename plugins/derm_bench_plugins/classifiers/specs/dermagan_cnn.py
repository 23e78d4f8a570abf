"""Options and spec of `dermagan-cnn`, the classifier of paper 003."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from derm_bench.specs import Betas, ClassifierOptions, ClassifierSpec, LearningRate


class DermaganCnnOptions(ClassifierOptions):
    """The defaults are the settings of paper 003."""

    pooled: bool = Field(False, description="pooling with strides 2 and 5: 1,800 features instead of 162,450")
    dropout: float = Field(0.2, ge=0, lt=1, description="share of features dropped, at two places")
    lr: LearningRate = Field(2e-4, description="learning rate at the start")
    betas: Betas = Field((0.5, 0.999), description="betas of adam and adamw; the first is sgd's momentum")
    pretrained: Literal[False] = Field(
        False, description="no weights were published; `weights` loads your own"
    )


SPEC = ClassifierSpec(
    name="dermagan-cnn",
    summary="the two-convolution CNN of DermaGAN",
    paper="paper 003, section on classification",
    create="derm_bench_plugins.classifiers.dermagan_cnn:make",
    options=DermaganCnnOptions,
    presets={
        "tiny": {"pooled": True, "batch_size": 8},
        "smoke": {"pooled": True, "batch_size": 16},
    },
)
