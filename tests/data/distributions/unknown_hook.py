"""A plugin with a hook that derm-bench does not have."""

from derm_bench import hookimpl

DERM_BENCH_API = 1


@hookimpl
def derm_bench_generatrs():
    return []
