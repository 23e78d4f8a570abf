"""Classifiers: specs and options. Each network is in the module that `create` names."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from derm_bench.specs import ClassifierOptions, ClassifierSpec
from derm_bench_plugins.classifiers.timm_names import check_name


class TimmOptions(ClassifierOptions):
    """`model` is any name of `timm.list_models()`, alone or with a tag: `resnet50`, `resnet50.tv_in1k`."""

    model: str = Field(description="a name of timm.list_models(); the label in tables by default")

    @field_validator("model")
    @classmethod
    def _listed(cls, value: str) -> str:
        check_name(value)
        return value


class DermaganCnnOptions(ClassifierOptions):
    """Paper 003's settings are the defaults."""

    pooled: bool = Field(False, description="pools of stride 2 and 5: 1,800 features, not 162,450")
    dropout: float = Field(0.2, ge=0, lt=1, description="share of features dropped, at two places")
    lr: float = Field(2e-4, gt=0, description="learning rate at the start")
    betas: tuple[float, float] = Field((0.5, 0.999), description="of adam and adamw; sgd's momentum")
    pretrained: Literal[False] = Field(False, description="none were published; `weights` takes your own")


def specs() -> list[ClassifierSpec]:
    return [
        ClassifierSpec(
            name="timm",
            summary="any network of timm by name",
            paper="Wightman 2019, PyTorch Image Models",
            create="derm_bench_plugins.classifiers.timm_net:make",
            options=TimmOptions,
            label_option="model",
            presets={
                "tiny": {"model": "test_resnet", "batch_size": 8},
                "smoke": {"model": "resnet10t", "batch_size": 16},
            },
        ),
        ClassifierSpec(
            name="dermagan-cnn",
            summary="the two-convolution CNN of DermaGAN",
            paper="paper 003, section on classification",
            create="derm_bench_plugins.classifiers.dermagan_cnn:make",
            options=DermaganCnnOptions,
            presets={
                "tiny": {"pooled": True, "batch_size": 8},
                "smoke": {"pooled": True, "batch_size": 16},
            },
        ),
    ]
