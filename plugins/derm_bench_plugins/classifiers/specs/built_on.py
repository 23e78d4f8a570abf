"""Classifiers built on others: a GAN's discriminator with a new head, and ensembles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from derm_bench.specs import ClassifierOptions, ClassifierSpec, ClassifierUse, Ref

PART = "discriminator"


class DiscriminatorOptions(ClassifierOptions):
    """Optimizer and batch size are those with which paper 004 trains the discriminator itself; what it does with it as
    a classifier is unsaid."""

    mode: Literal["finetune", "linear-probe", "k+1"] = Field(
        "finetune",
        description="finetune: train all of it; linear-probe: the head alone; k+1: tell its generator's images from "
        "the K classes meanwhile (Salimans et al. 2016)",
    )
    lr: float = Field(2e-4, gt=0, description="learning rate at the start")
    betas: tuple[float, float] = Field((0.5, 0.999), description="of adam and adamw; sgd's momentum")
    batch_size: int = Field(128, ge=2, le=65536, description="images an update")
    pretrained: Literal[False] = Field(False, description="none were published; `weights` takes your own")

    @model_validator(mode="after")
    def _one_softmax(self) -> DiscriminatorOptions:
        if self.mode == "k+1" and (self.loss != "ce" or self.freeze):
            raise ValueError("mode k+1 trains all of the network with one softmax: loss: ce, freeze: false")
        return self


class EnsembleOptions(ClassifierOptions):
    """Options of training are those of the members; here they have no effect."""

    members: tuple[ClassifierUse, ...] = Field(
        min_length=1,
        description="classifiers, written as under `classifiers`; each is trained as if it stood there",
    )
    member_weights: tuple[float, ...] | None = Field(
        None, description="the weight of each member in the mean; default equal"
    )
    pretrained: Literal[False] = Field(False, description="write it in the members")
    weights: None = Field(None, description="a file of weights belongs to a member; see member_weights")

    @model_validator(mode="after")
    def _one_weight_each(self) -> EnsembleOptions:
        weights = self.member_weights
        if weights is not None and len(weights) != len(self.members):
            raise ValueError(f"{len(weights)} member_weights for {len(self.members)} members")
        if weights is not None and (min(weights) < 0 or not sum(weights)):
            raise ValueError("member_weights are 0 or more, and not all 0")
        return self


def member_names(options: EnsembleOptions) -> list[str]:
    """What the inputs are called, in the order of the members."""
    return [f"member {k + 1}" for k in range(len(options.members))]


def specs() -> list[ClassifierSpec]:
    pair = [{"name": "dermagan-cnn", "preset": "tiny"}, {"name": "timm", "preset": "tiny"}]
    return [
        ClassifierSpec(
            name="dcgan-discriminator",
            summary="a fitted GAN's discriminator with a new head",
            paper="paper 004, section on classification; Salimans et al. 2016 (k+1)",
            create="derm_bench_plugins.classifiers.discriminator:DiscriminatorClassifier",
            options=DiscriminatorOptions,
            requires=lambda options: {"from": Ref("generator", "dcgan-mutepfe", part=PART)},
            presets={"tiny": {"batch_size": 8}, "smoke": {"batch_size": 16}},
        ),
        ClassifierSpec(
            name="ensemble",
            summary="the mean of the probabilities of other classifiers",
            paper="Hansen and Salamon 1990, Neural network ensembles",
            create="derm_bench_plugins.classifiers.ensemble:Ensemble",
            options=EnsembleOptions,
            requires=_members,
            presets={"tiny": {"members": pair}, "smoke": {"members": pair}},
        ),
    ]


def _members(options: EnsembleOptions) -> Mapping[str, Ref]:
    pairs = zip(member_names(options), options.members, strict=True)
    return {name: Ref("classifier", member.name, member) for name, member in pairs}
