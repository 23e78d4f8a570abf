"""Options and spec of `timm`, any network of timm. Its presets are the networks of the papers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from derm_bench.specs import ClassifierOptions, ClassifierSpec
from derm_bench_plugins.classifiers.timm_names import known_model
from derm_bench_plugins.classifiers.timm_presets import NETWORKS


class TimmOptions(ClassifierOptions):
    """`model` is any name of `timm.list_models()`, alone or with a tag: `resnet50`, `resnet50.tv_in1k`."""

    model: Annotated[str, AfterValidator(known_model)] = Field(
        description="a name from timm.list_models(); also the default label in tables"
    )
    small_head: bool = Field(
        False,
        description="for VGG: classify the mean of its last map, without the two hidden layers of 4096 units, which "
        "are designed for 224 px and hold 120 of its 134 million parameters",
    )
    metric_loss: Literal["none", "sla"] = Field(
        "none",
        description="sla: also pull the features of each class together and push the classes apart",
    )
    metric_weight: float = Field(0.5, gt=0, description="weight of the metric loss; `loss` has weight 1")
    metric_margin: float = Field(
        2.0,
        gt=0,
        le=4,
        description="squared distance on the unit sphere below which class centres repel each other",
    )

    @model_validator(mode="after")
    def _fit_together(self) -> TimmOptions:
        if self.small_head and not self.model.startswith("vgg"):
            raise ValueError(f"small_head is an option of vgg networks; {self.model} has no large head")
        if self.metric_loss != "none" and self.freeze:
            raise ValueError(
                "metric_loss trains the features, which freeze keeps fixed; leave one of them out"
            )
        return self


SPEC = ClassifierSpec(
    name="timm",
    summary="any network of timm by name",
    paper="Wightman 2019, PyTorch Image Models",
    create="derm_bench_plugins.classifiers.timm_net:make",
    options=TimmOptions,
    preflight="derm_bench_plugins.classifiers.timm_planning:preflight",
    cost="derm_bench_plugins.classifiers.network_costs:timm_cost",
    label_option="model",
    presets={
        "tiny": {"model": "test_resnet", "batch_size": 8},
        "smoke": {"model": "resnet10t", "batch_size": 16},
        **{name: network.preset for name, network in NETWORKS.items()},
    },
)
