"""A plugin that hands in a classifier where a generator is asked for."""

from derm_bench import hookimpl
from derm_bench.specs import ClassifierSpec

DERM_BENCH_API = 1


@hookimpl
def derm_bench_generators():
    return [ClassifierSpec(name="wrong-spec", summary="no generator", create="toy_plugins.nets:Centroid")]
