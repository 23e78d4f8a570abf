"""A third party's plugin package, as it lies on disk: quick toys, and generators that misbehave on request."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from derm_bench import hookimpl
from derm_bench.specs import (
    ClassifierOptions,
    ClassifierSpec,
    ClassifierUse,
    DatasetSpec,
    Derived,
    GeneratorOptions,
    GeneratorSpec,
    MetricSpec,
    Options,
    Ref,
)

DERM_BENCH_API = 1
DERM_BENCH_TRACKERS = {
    f"toy-{name.lower()}": f"toy_plugins.trackers:{name}" for name in ("Diary", "Broken", "Hanging", "Unable")
}
TOY_MEAN = {"budget": {"updates": 3}}


class BlobOptions(Options):
    images: int = Field(90, ge=1)
    unreadable: int = Field(0, description="how many images cannot be read")
    copies: int = Field(0, description="how many images are copies of the first one")
    graded: bool = Field(
        False, description="classes are grades, and each image has the label of a further task"
    )
    first: int = Field(0, description="the number of the first image: other numbers are other images")
    names: tuple[str, str, str] = Field(("red", "green", "blue"), description="how the colours are called")
    aged_in_words: bool = Field(False, description="ages are words, not numbers")
    root: Path | None = None


class CostOptions(Options):
    costs: Path = Field(description="a JSON file of what it costs to miss a class, by class")


class MeanOptions(GeneratorOptions):
    trouble: Literal[
        "none",
        "raise",
        "exit",
        "segfault",
        "hang",
        "nan",
        "shape",
        "dtype",
        "memory",
        "full",
        "print",
        "wait",
        "needed",
    ] = "none"
    batch_size: int = 8
    seconds: float = Field(0.0, ge=0, description="how long a fit sleeps, spread over its updates")


class CentroidOptions(ClassifierOptions):
    batch_size: int = 8
    trouble: Literal["none", "raise"] = "none"
    seconds: float = Field(0.0, ge=0, description="how long a fit sleeps, spread over its updates")


class NoOptions(ClassifierOptions):
    batch_size: int = 2


class CommitteeOptions(ClassifierOptions):
    members: tuple[ClassifierUse, ...] = (ClassifierUse(name="toy-centroid"), ClassifierUse(name="toy-built"))


class GradedOptions(MeanOptions):
    learns_from: Literal["train", "reserve", "samples"] = Field(
        "train", description="what its helpers are fitted on"
    )
    needed: Literal["always", "fit"] = Field("always", description="when it needs them")


def requires_of_graded(options):
    """A grader, and samples of another generator; both fitted on train, on the reserve, or on samples of a third."""
    third = Ref("samples", "toy-mean", {"budget": {"updates": 1}}, n=6)
    data = third if options.learns_from == "samples" else options.learns_from
    return {
        "grader": Ref("classifier", "toy-centroid", data=data, needed=options.needed),
        "samples": Ref(
            "samples", "toy-mean", {"budget": {"updates": 2}}, n=5, data=data, needed=options.needed
        ),
    }


class CircleOptions(GeneratorOptions):
    through: str = Field("toy-circle", description="the generator that it requires")
    batch_size: int = 8


class MappedOptions(MeanOptions):
    gain: int = Field(2, description="what the brightness of a pixel is multiplied by")


class SpelledOptions(GeneratorOptions):
    batch: int = 4
    trouble: str = "none"
    seconds: float = 0.0


class MapperOptions(CentroidOptions):
    gain: int = Field(2, description="what the brightness of a pixel is multiplied by")


def maps_of(options):
    return {"light": Derived("toy_plugins.mapped:light", {"gain": options.gain})}


class MoodyOptions(CentroidOptions):
    mood: Literal[
        "good",
        "raises",
        "hangs",
        "segfaults",
        "exits",
        "allocates",
        "nan-loss",
        "nan-proba",
        "wrong-shape",
        "wrong-dtype",
        "overwrites-input",
        "forces-input",
        "overwrites-output",
        "leaks",
        "prints",
        "stops-at-half",
        "second-budget",
        "own-loader",
    ] = "good"


@hookimpl
def derm_bench_datasets():
    return [
        DatasetSpec(
            name="toy-blobs", summary="coloured squares", create="toy_plugins.data:Blobs", options=BlobOptions
        )
    ]


@hookimpl
def derm_bench_generators():
    return [
        GeneratorSpec(
            name="toy-mean",
            summary="the mean image with noise",
            create="toy_plugins.nets:Mean",
            options=MeanOptions,
            presets={"loud": {"trouble": "print"}},
        ),
        GeneratorSpec(
            name="toy-graded",
            summary="toy-mean that asks a classifier and looks at samples",
            create="toy_plugins.built:Graded",
            options=GradedOptions,
            requires=requires_of_graded,
        ),
        GeneratorSpec(
            name="toy-mapped",
            summary="toy-mean that looks at a map of each image",
            create="toy_plugins.mapped:Mapped",
            options=MappedOptions,
            derives="toy_plugins:maps_of",
        ),
        *(
            GeneratorSpec(
                name=name,
                summary="toy-mean whose batch size has another name",
                create="toy_plugins.nets:Spelled",
                options=SpelledOptions,
                batch_option=option,
            )
            for name, option in {"toy-spelled": "batch", "toy-unspelled": "batch_size"}.items()
        ),
        GeneratorSpec(
            name="toy-circle",
            summary="requires itself",
            create="toy_plugins.nets:Mean",
            options=CircleOptions,
            requires=lambda options: {"other": Ref("generator", options.through)},
        ),
    ]


@hookimpl
def derm_bench_classifiers():
    return [
        ClassifierSpec(
            name="toy-centroid",
            summary="nearest mean colour",
            create="toy_plugins.nets:Centroid",
            options=CentroidOptions,
        ),
        ClassifierSpec(
            name="toy-nothing",
            summary="learns nothing, quickly",
            create="toy_plugins.nothing:Nothing",
            options=NoOptions,
        ),
        ClassifierSpec(
            name="toy-built",
            summary="toy-centroid that begins at a generator's mean",
            create="toy_plugins.built:Built",
            options=CentroidOptions,
            requires=lambda options: {"from": Ref("generator", "toy-mean", TOY_MEAN, part="net")},
        ),
        ClassifierSpec(
            name="toy-pupil",
            summary="toy-centroid that has a teacher while it is fitted",
            create="toy_plugins.built:Pupil",
            options=CentroidOptions,
            requires=lambda options: {"teacher": Ref("classifier", "toy-centroid", needed="fit")},
        ),
        ClassifierSpec(
            name="toy-mapper",
            summary="toy-centroid that looks at a map of each image",
            create="toy_plugins.mapped:Mapper",
            options=MapperOptions,
            derives="toy_plugins:maps_of",
        ),
        ClassifierSpec(
            name="toy-committee",
            summary="the mean of its members",
            create="toy_plugins.built:Committee",
            options=CommitteeOptions,
            trains=False,
            requires=lambda options: {
                f"member {k}": Ref("classifier", member.name, member)
                for k, member in enumerate(options.members)
            },
        ),
        ClassifierSpec(
            name="toy-moody",
            summary="toy-centroid in a mood",
            create="toy_plugins.moody:Moody",
            options=MoodyOptions,
        ),
    ]


@hookimpl
def derm_bench_metrics():
    return [
        MetricSpec(
            name="toy-cost",
            summary="mean cost of a wrong answer",
            create="toy_plugins.costs:Cost",
            options=CostOptions,
            level="predictions",
            higher_is_better=False,
        )
    ]
