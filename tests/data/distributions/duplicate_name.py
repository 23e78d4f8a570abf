"""A second plugin named good-gan."""

from derm_bench import hookimpl
from derm_bench.specs import GeneratorSpec
from toy_plugins import MeanOptions

DERM_BENCH_API = 1


@hookimpl
def derm_bench_generators():
    return [
        GeneratorSpec(
            name="good-gan", summary="another one", create="toy_plugins.nets:Mean", options=MeanOptions
        )
    ]
