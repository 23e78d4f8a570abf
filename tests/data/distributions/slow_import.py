"""A good plugin whose import takes its time, and prints."""

import time

from derm_bench import hookimpl
from derm_bench.specs import GeneratorSpec
from toy_plugins import MeanOptions

DERM_BENCH_API = 1

print("reading a large table ...")
time.sleep(1.2)


@hookimpl
def derm_bench_generators():
    return [
        GeneratorSpec(
            name="slow-gan", summary="slow to import", create="toy_plugins.nets:Mean", options=MeanOptions
        )
    ]
