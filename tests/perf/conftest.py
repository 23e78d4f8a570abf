"""benchmarks/perf is no package: its modules are imported as compare.py's own folder has them."""

from pathlib import Path

import pytest

PERF = Path(__file__).parents[2] / "benchmarks" / "perf"


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(PERF))
