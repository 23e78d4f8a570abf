"""Options and spec of `ab-mtedeep`, the multi-task classifier of paper 000."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from derm_bench.specs import ClassifierOptions, ClassifierSpec, LearningRate
from derm_bench_plugins.classifiers.derived_task import derived_labels

Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class AbMtedeepOptions(ClassifierOptions):
    """The paper gives no layer, loss or hyper-parameter; the module `ab_mtedeep` lists the choices.

    Every part can be left out, as for an ablation: `branches`, `attention`, `pooling`, `cross_residual`,
    `single_task`, `class_balance`, `task_balance` and `ensemble`.
    """

    auxiliary: Name | None = Field(
        None,
        description="auxiliary task: a further task of the data set, or an attribute whose values are the labels "
        "(hair_type, site). Images without a label do not count in its loss",
    )
    derived: dict[Name, tuple[Name, ...]] | None = Field(
        None,
        min_length=2,
        description="auxiliary task made of the classes: the classes of each label, such as {benign: [nv], "
        "malignant: [mel, bcc]}. Default without `auxiliary`: healthy and diseased, if one of three or more classes "
        "is named healthy or normal",
    )
    single_task: bool = Field(
        False, description="learn the classes alone, whatever `auxiliary` and `derived` say"
    )
    branches: Literal["both", "residual", "lstm"] = Field(
        "both", description="the residual network, the LSTM over patches, or both"
    )
    attention: Literal["none", "se", "cbam"] = Field(
        "se",
        description="attention in each residual block: over channels (se), or over channels and places (cbam)",
    )
    pooling: Literal["attention", "mean"] = Field(
        "attention",
        description="how the steps of the LSTM become one vector: a learned mean, or the plain one",
    )
    cross_residual: Literal["both", "tasks", "branches", "none"] = Field(
        "both",
        description="where cross-residual connections are: between the streams of the tasks, between the two "
        "branches, or both",
    )
    cross_init: float = Field(
        0.1, ge=-1, le=1, description="initial weight of every cross-residual connection"
    )
    width: int = Field(
        64, ge=4, le=512, description="channels of the first stage; each further stage has twice as many"
    )
    blocks: int = Field(2, ge=1, le=8, description="residual blocks in each of the four stages")
    task_stages: int = Field(
        1,
        ge=1,
        le=4,
        description="how many of the last stages each task has of its own; the others are shared",
    )
    patch: Literal[8, 16, 32] = Field(16, description="side in pixels of the patches that the LSTM reads")
    hidden: int = Field(256, ge=4, le=2048, description="state of the LSTM in each of its two directions")
    layers: int = Field(2, ge=1, le=4, description="layers of the bidirectional LSTM")
    fused: int = Field(256, ge=4, le=4096, description="units of the layer that joins both branches")
    ensemble: bool = Field(
        True,
        description="train a head for each branch beside the one that joins them, and predict the mean of the "
        "probabilities; otherwise the joint head alone",
    )
    class_balance: Literal["effective", "inverse", "none"] = Field(
        "effective",
        description="class weights in the losses: by the effective number of images, or by the inverse of their "
        "number. A strategy with `balance` balances as well: write none there",
    )
    beta: float = Field(0.999, ge=0, lt=1, description="beta of the effective number of images")
    task_balance: Literal["dwa", "uncertainty", "equal"] = Field(
        "dwa",
        description="weights of the tasks: Dynamic Weight Averaging, learned uncertainties, or equal weights",
    )
    temperature: float = Field(2.0, gt=0, le=100, description="temperature of Dynamic Weight Averaging")
    period: int | None = Field(
        None,
        ge=1,
        description="updates between two changes of the weights of tasks by dwa; default: an epoch",
    )
    loss: Literal["ce"] = Field("ce", description="cross-entropy, weighted by `class_balance`")
    pretrained: Literal[False] = Field(
        False, description="no weights were published; `weights` loads your own"
    )
    lr: LearningRate = Field(1e-3, description="learning rate at the start")
    weight_decay: float = Field(1e-4, ge=0, description="L2 penalty; decoupled for adamw")
    batch_size: int = Field(32, ge=2, le=65536, description="images per update")
    schedule: Literal["none", "cosine", "step", "plateau"] = Field(
        "cosine",
        description="decay of the learning rate; step: divide by 10 after one half and after three quarters",
    )
    dropout: float = Field(
        0.2, ge=0, lt=1, description="share of features dropped before each layer of the heads"
    )

    @model_validator(mode="after")
    def _one_auxiliary_task(self) -> AbMtedeepOptions:
        if self.auxiliary is not None and self.derived is not None:
            raise ValueError("`auxiliary` and `derived` both name the auxiliary task: leave one of them out")
        return self


def auxiliary(options: AbMtedeepOptions, classes: Sequence[str]) -> list[str]:
    """Return the task whose labels the fit needs, if any. Raises UserError if `derived` does not fit the classes."""
    if options.single_task:
        return []
    derived_labels(options.derived, classes)
    return [options.auxiliary] if options.auxiliary is not None else []


SPEC = ClassifierSpec(
    name="ab-mtedeep",
    summary="AB-MTEDeep: a residual network beside an LSTM over patches, two tasks, three heads",
    paper="paper 000, section on classification",
    create="derm_bench_plugins.classifiers.ab_mtedeep:make",
    options=AbMtedeepOptions,
    auxiliary=auxiliary,
    presets={
        "tiny": {"width": 8, "blocks": 1, "patch": 8, "hidden": 8, "layers": 1, "fused": 16, "batch_size": 8},
        "smoke": {"width": 16, "hidden": 32, "fused": 64, "batch_size": 16},
        "paper": {"input_size": 224},
    },
)
