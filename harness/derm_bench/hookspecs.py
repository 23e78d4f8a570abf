"""The hooks that plugins implement. A plugin package has an entry point in the group `derm_bench` that names a module.
The module sets `DERM_BENCH_API = 1`, imports no torch, and implements some of these hooks.

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
    """Returns specs of data sets. `create` names a class with `describe`, `fingerprint` and `read`. Its module imports
    no torch, because the planner calls the first two.

        class MyOptions(Options):
            root: Path = Field(description="the folder with labels.csv and images/")

        @hookimpl
        def derm_bench_datasets():
            create = "my_clinic.reader:Clinic"
            return [DatasetSpec(name="my-clinic", summary="our own images", create=create, options=MyOptions)]
    """


@hookspec
def derm_bench_generators() -> Iterable[GeneratorSpec]:  # type: ignore[empty-body]
    """Returns specs of generators of synthetic images, including controls. `create` names a class with `fit`, `sample`,
    `parts`, `state` and `load_state`.

        class MyOptions(GeneratorOptions):
            z_dim: int = Field(100, ge=1, description="length of the latent vector")

        @hookimpl
        def derm_bench_generators():
            return [
                GeneratorSpec(
                    name="my-gan",
                    summary="a GAN of 64 pixels",
                    paper="Somebody et al., 2026, arXiv:2601.00000",
                    create="my_gan.model:MyGan",
                    options=MyOptions,
                    presets={"tiny": {"z_dim": 8, "budget": {"updates": 2}}, "smoke": {"budget": {"updates": 20}}},
                )
            ]
    """


@hookspec
def derm_bench_classifiers() -> Iterable[ClassifierSpec]:  # type: ignore[empty-body]
    """Returns specs of classifiers. `create` names a class with `fit`, `predict_proba`, `parts`, `state` and
    `load_state`.

        class MyOptions(ClassifierOptions):
            width: int = Field(32, ge=1, description="channels of the first layer")

        @hookimpl
        def derm_bench_classifiers():
            create = "my_net.model:MyNet"
            return [ClassifierSpec(name="my-net", summary="a small network", create=create, options=MyOptions)]
    """


@hookspec
def derm_bench_metrics() -> Iterable[MetricSpec]:  # type: ignore[empty-body]
    """Returns specs of metrics. `create` names a class with `compute`. With `level="predictions"` it is called with
    labels and probabilities, with `level="images"` with features of real and synthetic images.

        @hookimpl
        def derm_bench_metrics():
            return [
                MetricSpec(
                    name="my-distance",
                    summary="distance between the mean features of real and synthetic images",
                    create="my_metric.score:Distance",
                    level="images",
                    extractor="domain",
                    higher_is_better=False,
                )
            ]
    """


@hookspec
def derm_bench_transforms() -> Iterable[TransformSpec]:  # type: ignore[empty-body]
    """Returns specs of transforms: preprocessing, augmentation, mixing and regularisers. `create` names a class whose
    objects are called; `phase` determines their arguments (see `TransformSpec`).

        class MyOptions(Options):
            strength: float = Field(0.1, ge=0, description="standard deviation of the noise, pixels in [0,1]")

        @hookimpl
        def derm_bench_transforms():
            return [
                TransformSpec(
                    name="my-noise",
                    summary="Gaussian noise",
                    create="my_noise.transform:Noise",
                    options=MyOptions,
                    phase="image",
                    scalar="strength",
                )
            ]
    """


@hookspec
def derm_bench_executors() -> Iterable[ExecutorSpec]:  # type: ignore[empty-body]
    """Returns specs of executors, which run stages: in this process, in local workers, on a cluster. `create` names a
    class that is called with its options and `ExecutorSettings` and has `free`, `submit`, `poll` and `stop`
    (`derm_bench/executors/base.py`).

        @hookimpl
        def derm_bench_executors():
            return [ExecutorSpec(name="my-cluster", summary="our own cluster", create="my_cluster.jobs:Cluster")]
    """


@hookspec
def derm_bench_run_start(matrix: str, out: Path, stages: int) -> None:
    """Called when a run of the matrix named `matrix` starts. `out` is its run directory, `stages` the number of stages
    in its plan, including those that the store already has.

        @hookimpl
        def derm_bench_run_start(matrix, out, stages):
            print(f"{matrix}: {stages} stages, into {out}", file=sys.stderr)

    Lifecycle hooks are called in the parent, in order, in a separate thread for each plugin. An implementation takes
    only the arguments that it needs. If it raises, a warning is printed and it is not called again in this run.
    """


@hookspec
def derm_bench_stage_finish(record: Mapping[str, Any]) -> None:
    """Called after each attempt at a stage, with its record: `key`, `kind`, `title`, `status`, `seconds`, `device`,
    `host`, `peak_memory_mb`, `peak_device_mb`, and `error` (`type`, `message`, `traceback`) or None.

        @hookimpl
        def derm_bench_stage_finish(record):
            if record["status"] != "done":
                print(f"{record['title']}: {record['error']['message']}", file=sys.stderr)
    """


@hookspec
def derm_bench_log(stage: str, key: str, step: int, values: Mapping[str, float]) -> None:
    """Called with the latest values that a running stage has logged, at most five times per second. `stage` is its
    title, `key` its key (two stages may have the same title), `step` the number of updates. The whole curve is in
    history.csv afterwards.

        @hookimpl
        def derm_bench_log(stage, step, values):
            print(stage, step, values.get("loss"), file=sys.stderr)
    """


@hookspec
def derm_bench_run_finish(matrix: str, out: Path, statuses: Mapping[str, int]) -> None:
    """Called when the run directory `out` has been written, also after an interruption. `statuses` is the number of
    cells of each status (`done`, `failed`, `pending`, ...).

        @hookimpl
        def derm_bench_run_finish(out, statuses):
            print(f"{statuses.get('done', 0)} cells done: {out / 'report.html'}", file=sys.stderr)
    """
