"""Plugins: found (`registry.py`), checked (`checks.py`), and the broken ones kept apart."""

from derm_bench.plugins.checks import NAME
from derm_bench.plugins.registry import ALLOW, GROUP, Blocked, Broken, Installed, Plugins, canonical

__all__ = ["ALLOW", "GROUP", "NAME", "Blocked", "Broken", "Installed", "Plugins", "canonical"]
