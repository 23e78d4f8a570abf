"""A plugin written for a hook API that this derm-bench does not speak yet."""

from derm_bench import hookimpl

DERM_BENCH_API = 2


@hookimpl
def derm_bench_generators():
    return []
