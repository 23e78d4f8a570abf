"""The options that choose the network of an image metric. Imports no torch.

Metrics with the same network share one pass over the images. An option left at None is not used by the network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from derm_bench.specs import Options
from derm_bench_plugins.classifiers.timm_names import known_model

HERE = "derm_bench_plugins.metrics"

EXTRACTORS = {
    "inception": f"{HERE}.inception:extractor",
    "vgg16": f"{HERE}.extractors.vgg16:extractor",
    "timm": f"{HERE}.extractors.timm_net:extractor",
}
"""The extractors by name, as import paths."""

READ = ("weights", "model", "layer", "input_size")
"""The options that extractors read."""


class FeatureOptions(Options):
    """The network and its weights."""

    extractor: Literal["inception", "vgg16", "timm"] = Field(
        "inception",
        description="inception: InceptionV3 of torch-fidelity, with which published FID is computed; vgg16: VGG16 of "
        "torchvision; timm: the network `model` of timm, such as vit_small_patch14_dinov2. With any but inception the "
        "name of the network is added to that of the metric",
    )
    model: Annotated[str, AfterValidator(known_model)] | None = Field(
        None, description="with extractor: timm, a name from timm.list_models()"
    )
    weights: Path | None = Field(
        None,
        description="the weights, a file of safetensors or of torch; default for inception "
        "weights-inception-2015-12-05-6726825d.pth of torch-fidelity, from $DERM_BENCH_INCEPTION or torch's cache, and "
        "for vgg16 vgg16-397923af.pth of torchvision, from torch's cache",
    )
    layer: Literal["fc2_relu", "fc2"] | None = Field(
        None,
        description="with extractor: vgg16, the second layer of 4096 units after its ReLU (fc2_relu, the default) or "
        "before it (fc2)",
    )
    input_size: int | None = Field(
        None,
        ge=32,
        le=1024,
        description="with extractor: timm, the side in pixels to which images are resized; default that of the "
        "published network (518 of vit_small_patch14_dinov2)",
    )

    @model_validator(mode="after")
    def _fit_together(self) -> FeatureOptions:
        if self.extractor == "timm" and self.model is None:
            raise ValueError("extractor: timm needs model, a name from timm.list_models()")
        for name, owner in (("model", "timm"), ("input_size", "timm"), ("layer", "vgg16")):
            if getattr(self, name) is not None and self.extractor != owner:
                raise ValueError(f"{name} is an option of extractor: {owner}, not of {self.extractor}")
        return self

    @property
    def variant(self) -> str:
        """The name of the network in that of the metric; empty for Inception."""
        return "" if self.extractor == "inception" else self.model or self.extractor


class FrechetOptions(FeatureOptions):
    """The network, and the fewest images of a Frechet distance."""

    min_images: int = Field(
        100,
        ge=2,
        description="fewest images per side for a value; below it the bias of the distance is larger than most "
        "differences, and `kid` has none",
    )


class ExtrapolationOptions(FeatureOptions):
    """The network, and the fewest images of an extrapolation."""

    min_images: int = Field(
        500,
        ge=16,
        description="fewest images per side for a value: the distance is computed down to a quarter of them",
    )


class NeighbourOptions(FeatureOptions):
    """The network, and the size of neighbourhoods."""

    k: int = Field(
        5,
        ge=1,
        le=32,
        description="nearest neighbours to which the neighbourhood of an image reaches (5 in Naeem et al. 2020, 3 in "
        "Kynkaanniemi et al. 2019)",
    )
