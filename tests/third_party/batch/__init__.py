"""An executor of a third party: each stage is a process of its own on a machine with a GPU. The entry module."""

from pydantic import Field

from derm_bench import hookimpl
from derm_bench.options import Options
from derm_bench.specs import ExecutorSpec

DERM_BENCH_API = 1


class BatchOptions(Options):
    queue: str = Field("short", description="the queue that jobs go to")
    gpu: bool = Field(False, description="whether the machines of the queue have a GPU")


@hookimpl
def derm_bench_executors():
    return [
        ExecutorSpec(
            name="batch",
            summary="one process per stage",
            options=BatchOptions,
            create="batch.executor:BatchExecutor",
            machine="batch.executor:machine",
        )
    ]
