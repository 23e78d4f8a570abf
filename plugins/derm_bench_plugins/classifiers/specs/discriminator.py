"""Options and spec of `dcgan-discriminator`, a fitted GAN's discriminator as a classifier."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from derm_bench.specs import ClassifierOptions, ClassifierSpec, Ref


class DiscriminatorOptions(ClassifierOptions):
    """Optimizer and batch size are those with which paper 004 trains the discriminator itself; how it trains the
    classifier is not stated."""

    mode: Literal["finetune", "linear-probe", "k+1"] = Field(
        "finetune",
        description="finetune: train all of it; linear-probe: train the head alone; k+1: also learn to tell the "
        "generator's images from those of the K classes (Salimans et al. 2016)",
    )
    lr: float = Field(2e-4, gt=0, description="learning rate at the start")
    betas: tuple[float, float] = Field((0.5, 0.999), description="of adam and adamw; sgd's momentum")
    batch_size: int = Field(128, ge=2, le=65536, description="images per update")
    pretrained: Literal[False] = Field(False, description="none were published; `weights` takes your own")

    @model_validator(mode="after")
    def _one_softmax(self) -> DiscriminatorOptions:
        if self.mode == "k+1" and (self.loss != "ce" or self.freeze):
            raise ValueError("mode k+1 trains all of the network with one softmax: loss: ce, freeze: false")
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
