"""Options and spec of `dcgan-discriminator`, a fitted GAN's discriminator as a classifier."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from derm_bench.specs import Betas, ClassifierOptions, ClassifierSpec, LearningRate, Ref


class DiscriminatorOptions(ClassifierOptions):
    """The optimizer and the batch size are those with which paper 004 trains the discriminator in its GAN. How it
    trains the classifier is not stated."""

    mode: Literal["finetune", "linear-probe", "k+1"] = Field(
        "finetune",
        description="finetune: train the whole network; linear-probe: train the head only; k+1: also learn to "
        "distinguish the generator's images from those of the K classes (Salimans et al. 2016)",
    )
    lr: LearningRate = Field(2e-4, description="learning rate at the start")
    betas: Betas = Field((0.5, 0.999), description="betas of adam and adamw; the first is sgd's momentum")
    batch_size: int = Field(128, ge=2, le=65536, description="images per update")
    pretrained: Literal[False] = Field(
        False, description="no weights were published; `weights` loads your own"
    )

    @model_validator(mode="after")
    def _one_softmax(self) -> DiscriminatorOptions:
        if self.mode == "k+1" and (self.loss != "ce" or self.freeze):
            raise ValueError(
                "mode k+1 trains the whole network with one softmax; it needs loss: ce and freeze: false"
            )
        return self


SPEC = ClassifierSpec(
    name="dcgan-discriminator",
    summary="a fitted GAN's discriminator with a new head",
    paper="paper 004, section on classification; Salimans et al. 2016 (k+1)",
    create="derm_bench_plugins.classifiers.discriminator:DiscriminatorClassifier",
    options=DiscriminatorOptions,
    requires=lambda options: {"from": Ref("generator", "dcgan-mutepfe", part="discriminator")},
    presets={"tiny": {"batch_size": 8}, "smoke": {"batch_size": 16}},
)
