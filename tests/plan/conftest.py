"""A package `toyplug` on disk, whose modules are digested afresh."""

import sys
import textwrap

import pytest

from derm_bench.plan import closure, distributions

CACHED = (
    closure.source_closure,
    closure.definition_closure,
    closure._parsed,
    closure.root_of,
    closure._is_ours,
    closure._is_followed,
    closure.data_files,
    distributions.in_development,
    distributions.distribution_of,
)


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Writes the modules of a package `toyplug` and returns a function that digests one of them afresh."""
    root = tmp_path / "toyplug"
    root.mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name: str, text: str) -> None:
        path = root / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def forget() -> None:
        for cached in CACHED:
            cached.cache_clear()

    def digest(module: str = "toyplug.model:Gan") -> closure.Closure:
        forget()
        return closure.source_closure(module)

    write("__init__", "")
    write("helper", "def scale():\n    return 2\n")
    write(
        "model",
        "from toyplug.helper import scale\nimport numpy\n\nclass Gan:\n    def fit(self):\n        return scale()\n",
    )
    yield write, digest
    forget()
    for name in [name for name in sys.modules if name.startswith("toyplug")]:
        del sys.modules[name]


@pytest.fixture
def installed(package, tmp_path):
    """The package as an installed distribution that brings plugins, whose modules are looked into."""
    info = tmp_path / "toyplug-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toyplug\nVersion: 1.0\n")
    (info / "top_level.txt").write_text("toyplug\n")
    (info / "entry_points.txt").write_text("[derm_bench]\ntoyplug = toyplug\n")
    lists = (distributions._installed, distributions._owners, closure._plugin_distributions)
    for cached in lists:
        cached.cache_clear()
    yield package
    for cached in lists:
        cached.cache_clear()


@pytest.fixture
def defined(package):
    """Digests one definition of a module afresh."""
    _, digest = package

    def definition(module: str, name: str) -> closure.Closure:
        digest()
        return closure.definition_closure(module, name)

    return definition
