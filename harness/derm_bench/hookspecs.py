"""The whole plugin contract on one page. A plugin package has an entry point in the group `derm_bench` that
names a module; the module sets `DERM_BENCH_API = 1`, imports no torch, and implements some of these hooks.

    from derm_bench import hookimpl
    from derm_bench.specs import GeneratorSpec

    DERM_BENCH_API = 1

    @hookimpl
    def derm_bench_generators():
        return [GeneratorSpec(name="my-gan", summary="a GAN", create="my_gan.model:MyGan", options=MyGanOptions)]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from derm_bench.markers import hookspec
from derm_bench.specs import (
    ClassifierSpec,
    DatasetSpec,
    ExecutorSpec,
    GeneratorSpec,
    MetricSpec,
    TransformSpec,
)


@hookspec
def derm_bench_datasets() -> Iterable[DatasetSpec]:  # type: ignore[empty-body]
    """Data sets: where labels, groups and pixels come from."""


@hookspec
def derm_bench_generators() -> Iterable[GeneratorSpec]:  # type: ignore[empty-body]
    """Generators of synthetic images, controls among them."""


@hookspec
def derm_bench_classifiers() -> Iterable[ClassifierSpec]:  # type: ignore[empty-body]
    """Classifiers that are trained with and without synthetic images."""


@hookspec
def derm_bench_metrics() -> Iterable[MetricSpec]:  # type: ignore[empty-body]
    """Metrics of predictions or of images."""


@hookspec
def derm_bench_transforms() -> Iterable[TransformSpec]:  # type: ignore[empty-body]
    """Preprocessing, augmentation, mixing and regularisers."""


@hookspec
def derm_bench_executors() -> Iterable[ExecutorSpec]:  # type: ignore[empty-body]
    """Ways to execute stages: in this process, in local workers, on a cluster."""


@hookspec
def derm_bench_run_start(matrix: str, out: Path, stages: int) -> None:
    """Called in the parent when a run begins to execute `stages` stages of the matrix named `matrix`."""


@hookspec
def derm_bench_stage_finish(record: Mapping[str, Any]) -> None:
    """Called in the parent after each attempt at a stage, with its record."""


@hookspec
def derm_bench_log(stage: str, key: str, step: int, values: Mapping[str, float]) -> None:
    """Called in the parent with the values a running stage logs (rate-limited)."""


@hookspec
def derm_bench_run_finish(matrix: str, out: Path, statuses: Mapping[str, int]) -> None:
    """Called in the parent when the run directory has been written."""
