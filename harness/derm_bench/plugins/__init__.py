"""Discovery of plugins (`registry.py`) and checks of what they declare (`checks.py`)."""

from derm_bench.plugins.checks import NAME
from derm_bench.plugins.registry import (
    ALLOW,
    GROUP,
    OWN_DISTRIBUTION,
    Blocked,
    Broken,
    Installed,
    Plugins,
    canonical,
)

__all__ = [
    "ALLOW",
    "GROUP",
    "NAME",
    "OWN_DISTRIBUTION",
    "Blocked",
    "Broken",
    "Installed",
    "Plugins",
    "canonical",
]
