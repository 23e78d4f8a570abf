"""The pytest plugin: the marker of rules that take longer. Every pytest of the environment loads it: it stays light."""

from __future__ import annotations

from typing import Any


def pytest_configure(config: Any) -> None:
    """So that a plugin author's `--strict-markers` knows the marker; `-m 'not slow'` leaves the smoke preset out."""
    config.addinivalue_line("markers", "slow: the conformance kit's rule about preset smoke, up to a minute")
