"""derm-bench: does synthetic data help a skin classifier, which kind, how much, and is that real?"""

from derm_bench._version import __version__
from derm_bench.markers import hookimpl

__all__ = ["__version__", "hookimpl"]
