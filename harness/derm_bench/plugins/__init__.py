"""Discovery of plugins (`registry.py`) and checks of what they declare (`checks.py`)."""

from derm_bench.plugins.checks import NAME
from derm_bench.plugins.registry import ALLOW, GROUP, Blocked, Broken, Installed, Plugins, canonical

__all__ = ["ALLOW", "GROUP", "NAME", "Blocked", "Broken", "Installed", "Plugins", "canonical"]
