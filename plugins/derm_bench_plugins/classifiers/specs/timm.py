"""Any network of timm, and a preset for each that the papers use."""

from __future__ import annotations

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
        )
    ]
