"""The pytest plugin: the marker of rules that take longer. Every pytest process loads it, so it is light."""

from __future__ import annotations

from typing import Any


def pytest_configure(config: Any) -> None:
    """Registers the marker, which `--strict-markers` needs; `-m 'not slow'` leaves out the smoke preset."""
    config.addinivalue_line("markers", "slow: the conformance kit's rule about preset smoke, up to a minute")
