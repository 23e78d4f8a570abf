"""Options and spec of `torchvision`, any classification network of torchvision."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from derm_bench.specs import ClassifierOptions, ClassifierSpec
from derm_bench_plugins.classifiers.torchvision_names import known_model, published


class TorchvisionOptions(ClassifierOptions):
    """`model` is any name from `torchvision.models.list_models(module=torchvision.models)`: `alexnet`, `googlenet`.

    Nothing is downloaded: `weights` names a file, and `pretrained` requires it to be a published one.
    """

    model: Annotated[str, AfterValidator(known_model)] = Field(
        description="a classification network of torchvision; also the default label in tables"
    )
    pretrained: bool = Field(False, description="`weights` must be a file that torchvision published")
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of features dropped before the head, in addition to the network's own dropout",
    )

    @model_validator(mode="after")
    def _published_weights_are_there(self) -> TorchvisionOptions:
        if self.pretrained and self.weights is None:
            urls = ", ".join(file.url for file in published(self.model))
            where = f"download {urls}" if urls else f"torchvision published no weights of {self.model}"
            raise ValueError(f"pretrained needs weights: PATH, the file of the weights; {where}")
        return self


SPEC = ClassifierSpec(
    name="torchvision",
    summary="any classification network of torchvision by name, including AlexNet and GoogLeNet",
    paper="torchvision 2016; AlexNet as Krizhevsky 2014, GoogLeNet as Szegedy et al. 2015",
    create="derm_bench_plugins.classifiers.torchvision_net:make",
    options=TorchvisionOptions,
    preflight="derm_bench_plugins.classifiers.torchvision_planning:preflight",
    cost="derm_bench_plugins.classifiers.network_costs:torchvision_cost",
    label_option="model",
    presets={
        "tiny": {"model": "shufflenet_v2_x0_5", "batch_size": 8},
        "smoke": {"model": "googlenet", "batch_size": 16},
        "alexnet": {"model": "alexnet"},
        "googlenet": {"model": "googlenet"},
    },
)
