"""The pytest plugin, which registers the marker of slow rules. Every pytest process loads it, so it imports little."""

from __future__ import annotations

from typing import Any


def pytest_configure(config: Any) -> None:
    """Register the marker, as `--strict-markers` requires. `-m 'not slow'` skips the smoke preset."""
    config.addinivalue_line(
        "markers", "slow: the rule of the conformance kit for preset smoke, up to a minute"
    )
