"""Options and spec of `epolstm-pdl`, three networks' features into an LSTM whose settings are searched for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from derm_bench.specs import ClassifierOptions, ClassifierSpec
from derm_bench_plugins.classifiers.torchvision_names import known_model


def _ordered(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] > pair[1]:
        raise ValueError(f"the range must have its smaller end first, got {list(pair)}")
    return pair


IntRange = Annotated[
    tuple[Annotated[int, Field(ge=1, le=4096)], Annotated[int, Field(ge=1, le=4096)]],
    AfterValidator(_ordered),
]
Share = Annotated[float, Field(ge=0, lt=1)]
Rate = Annotated[float, Field(gt=0, le=10)]


class EpolstmPdlOptions(ClassifierOptions):
    """The module `epolstm_pdl` lists the choices that the paper leaves open.

    With `search`, the settings of the LSTM come from the ranges, and `lr` and `dropout` are not used.
    """

    networks: tuple[Annotated[str, AfterValidator(known_model)], ...] = Field(
        ("alexnet", "resnet50", "googlenet"),
        min_length=1,
        max_length=8,
        description="networks of torchvision whose features are the steps of the LSTM",
    )
    weights: dict[str, Path] | None = Field(  # type: ignore[assignment]
        None, description="the file of weights of each network, by its name in `networks`"
    )
    freeze: bool = Field(
        False, description="keep the networks as they are in `weights`, and train the LSTM and what it reads"
    )
    width: int = Field(512, ge=8, le=4096, description="length of each step, to which features are projected")
    search: bool = Field(
        True, description="search for the settings of the LSTM by Battle Royale Optimisation"
    )
    trials: int = Field(24, ge=2, le=1000, description="largest number of settings that the search tries")
    soldiers: int = Field(8, ge=2, le=200, description="soldiers of the search")
    search_share: float = Field(
        0.5, gt=0, lt=1, description="share of the budget of updates that the search takes, over all trials"
    )
    hidden_range: IntRange = Field((64, 512), description="range of the LSTM's state, in the search")
    layers_range: IntRange = Field((1, 2), description="range of the number of its layers")
    dropout_range: Annotated[tuple[Share, Share], AfterValidator(_ordered)] = Field(
        (0.0, 0.5), description="range of the share of features dropped"
    )
    lr_range: Annotated[tuple[Rate, Rate], AfterValidator(_ordered)] = Field(
        (1e-4, 1e-2), description="range of the learning rate"
    )
    hidden: int = Field(256, ge=1, le=4096, description="size of the LSTM's state without a search")
    layers: int = Field(1, ge=1, le=8, description="number of its layers without a search")
    temperature: float = Field(
        1.0, gt=0, le=100, description="temperature of the softmax at the start; it is learned"
    )
    loss: Literal["ce"] = Field("ce", description="cross-entropy over classes")
    pretrained: Literal[False] = Field(False, description="`weights` names the files of published weights")

    @model_validator(mode="after")
    def _weights_belong_to_networks(self) -> EpolstmPdlOptions:
        if len(set(self.networks)) < len(self.networks):
            raise ValueError("a network is named twice in `networks`")
        given = self.weights or {}
        unknown = [name for name in given if name not in self.networks]
        if unknown:
            raise ValueError(f"`weights` has a file for {unknown[0]}, which is not one of `networks`")
        missing = [name for name in self.networks if name not in given]
        if self.freeze and missing:
            raise ValueError(
                f"freeze: true needs `weights` of {', '.join(missing)}: random features would never be trained; "
                "write weights: {NAME: FILE, ...}, or freeze: false to train the networks from scratch"
            )
        return self


SPEC = ClassifierSpec(
    name="epolstm-pdl",
    summary="features of AlexNet, ResNet-50 and GoogLeNet into an LSTM, with settings by Battle Royale Optimisation",
    paper="EPL-OLSTM, JIFS 2023, doi 10.3233/JIFS-232172; compared with by paper 000",
    create="derm_bench_plugins.classifiers.epolstm_pdl:make",
    options=EpolstmPdlOptions,
    preflight="derm_bench_plugins.classifiers.torchvision_planning:preflight_epolstm",
    presets={
        "tiny": {
            "networks": ["squeezenet1_1", "shufflenet_v2_x0_5"],
            "width": 16,
            "hidden_range": [4, 8],
            "lr_range": [1e-3, 1e-2],
            "trials": 2,
            "soldiers": 2,
            "batch_size": 8,
        },
        "smoke": {
            "networks": ["squeezenet1_1", "resnet18", "googlenet"],
            "width": 64,
            "hidden_range": [16, 64],
            "trials": 5,
            "soldiers": 3,
            "batch_size": 16,
            "input_size": 64,
        },
        "paper": {"input_size": 224, "batch_size": 32},
    },
)
