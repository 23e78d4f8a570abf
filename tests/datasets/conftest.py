"""Fixtures of trees of class folders."""

import pytest


@pytest.fixture
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("DERM_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def tree(tmp_path):
    """Makes files of these names below a root."""

    def make(*names):
        for name in names:
            path = tmp_path / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("" if path.suffix else name)
        return tmp_path / "root"

    return make
