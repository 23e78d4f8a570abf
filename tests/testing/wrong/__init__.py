"""Plugins that break one rule each, beside right ones. `spec(kind, case)` names the class in the module of its kind."""

from pathlib import Path
from typing import Annotated

from pydantic import Field

from derm_bench import hookimpl
from derm_bench.specs import (
    Budget,
    ClassifierOptions,
    ClassifierSpec,
    DatasetSpec,
    GeneratorOptions,
    GeneratorSpec,
    MetricSpec,
    Options,
    TransformSpec,
)

DERM_BENCH_API = 1

GENERATORS = (
    "right",
    "shape",
    "dtype",
    "range",
    "unseeded",
    "same-fit",
    "same-samples",
    "unrepeatable",
    "unconditional",
    "state",
    "resume",
    "short",
    "reaches",
    "seeds-global",
    "sets-threads",
    "sets-environment",
    "writes",
    "reads",
    "picks-device",
    "undocumented",
    "no-presets",
    "slow-tiny",
    "slow-smoke",
    "raises",
    "own-loader",
    "goes-on",
    "half-logged",
    "compiled",
    "compiled-reads",
    "pretrained",
    "of-two-phases",
    "grades",
    "grades-in-batches",
    "grades-unsaid",
)
CLASSIFIERS = (
    "right",
    "shape",
    "dtype",
    "logits",
    "neighbours",
    "constant",
    "trains-on-val",
    "flat",
    "unscaled",
    "unevaluated",
    "aliased",
)
DATASETS = (
    "right",
    "twice",
    "empty-class",
    "unstable",
    "grey",
    "order",
    "uncovered",
    "torch",
    "claims-all",
    "other-options",
    "lost-paths",
)
METRICS = (
    "right",
    "backwards",
    "nan",
    "changes-input",
    "draws",
    "renamed",
)
TRANSFORMS = (
    "right",
    "range",
    "shape",
    "alike",
    "in-place",
    "own-seed",
    "scalar",
    "sums",
    "targets",
    "statistics",
    "gradients",
    "detached",
    "resized",
)
PHASES = {
    "sums": "batch",
    "targets": "batch",
    "statistics": "regulariser",
    "gradients": "regulariser",
    "detached": "regulariser",
    "resized": "preprocess",
}

RECOGNISE = {
    "right": "wrong.datasets:nothing",
    "claims-all": "wrong.datasets:anything",
    "other-options": "wrong.datasets:its_own_folder",
}


class Rooted(Options):
    root: Path = Field(Path(__file__).parent, description="the folder with the images")


class Right(GeneratorOptions):
    batch_size: int = Field(8, description="real images an update")
    budget: Budget = Budget(updates=4)
    nap: float = Field(0.0, description="seconds that a fit sleeps")


class Undocumented(Right):
    width: int = 3


class RightClassifier(ClassifierOptions):
    batch_size: int = 8
    lr: float = 0.05


class Amount(Options):
    amount: Annotated[float, Field(description="how much, a share")] = 0.2


def class_name(case):
    return case.title().replace("-", "")


def summary(case):
    return f"a plugin that is {case}"


@hookimpl
def derm_bench_generators():
    naps = {"slow-tiny": ("tiny",), "slow-smoke": ("smoke",)}
    return [
        GeneratorSpec(
            name=f"gan-{case}",
            summary=summary(case),
            create=f"wrong.generators:{class_name(case)}",
            options=Undocumented if case == "undocumented" else Right,
            conditional=True,
            realness=case in ("grades", "grades-in-batches"),
            trains=case != "pretrained",
            discriminator_outputs=("real", "fake") if case == "half-logged" else None,
            presets={}
            if case == "no-presets"
            else {name: {"nap": 0.3 * (name in naps.get(case, ()))} for name in ("tiny", "smoke")},
        )
        for case in GENERATORS
    ]


@hookimpl
def derm_bench_classifiers():
    return [
        ClassifierSpec(
            name=f"net-{case}",
            summary=summary(case),
            create=f"wrong.classifiers:{class_name(case)}",
            options=RightClassifier,
            presets={"tiny": {}, "smoke": {}},
        )
        for case in CLASSIFIERS
    ]


@hookimpl
def derm_bench_datasets():
    return [
        DatasetSpec(
            name=f"data-{case}",
            summary=summary(case),
            create=f"wrong.heavy:{class_name(case)}"
            if case == "torch"
            else f"wrong.datasets:{class_name(case)}",
            options=Rooted if case == "other-options" else Options,
            recognise=RECOGNISE.get(case),
        )
        for case in DATASETS
    ]


@hookimpl
def derm_bench_metrics():
    return [
        MetricSpec(
            name=f"metric-{case}",
            summary=summary(case),
            create=f"wrong.metrics:{class_name(case)}",
            level="predictions",
            higher_is_better=case != "backwards",
        )
        for case in METRICS
    ]


@hookimpl
def derm_bench_transforms():
    return [
        TransformSpec(
            name=f"transform-{case}",
            summary=summary(case),
            create=f"wrong.transforms:{class_name(case)}",
            options=Amount,
            phase=PHASES.get(case, "image"),
            scalar="degrees" if case == "scalar" else "amount",
        )
        for case in TRANSFORMS
    ]
