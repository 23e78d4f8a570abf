"""The built-in plugins. They are found and loaded in the same way as third-party plugins. Imports no torch."""

from __future__ import annotations

from derm_bench import hookimpl
from derm_bench.specs import (
    ClassifierSpec,
    DatasetSpec,
    ExecutorSpec,
    GeneratorSpec,
    MetricSpec,
    TransformSpec,
)

from . import classifiers, datasets, generators, metrics, trackers, transforms

DERM_BENCH_API = 1
DERM_BENCH_TRACKERS = trackers.TRACKERS


@hookimpl
def derm_bench_datasets() -> list[DatasetSpec]:
    return datasets.specs()


@hookimpl
def derm_bench_generators() -> list[GeneratorSpec]:
    return generators.specs()


@hookimpl
def derm_bench_classifiers() -> list[ClassifierSpec]:
    return classifiers.specs()


@hookimpl
def derm_bench_metrics() -> list[MetricSpec]:
    return metrics.specs()


@hookimpl
def derm_bench_transforms() -> list[TransformSpec]:
    return transforms.specs()


@hookimpl
def derm_bench_executors() -> list[ExecutorSpec]:
    return [
        ExecutorSpec(
            name="local",
            summary="warm worker processes on this machine, pinned to devices",
            create="derm_bench.executors.local:LocalExecutor",
        ),
        ExecutorSpec(
            name="inline",
            summary="runs all stages in this process, one after another; for debugging",
            create="derm_bench.executors.inline:InlineExecutor",
        ),
    ]
