"""Source digests: edits of code count, docstrings and comments do not."""

import sys
import textwrap

import pytest

from derm_bench.plan import closure


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

    def digest(module: str = "toyplug.model:Gan") -> closure.Closure:
        for cached in (closure.source_closure, closure._parsed, closure._root_of, closure.distribution_of):
            cached.cache_clear()
        return closure.source_closure(module)

    write("__init__", "")
    write("helper", "def scale():\n    return 2\n")
    write(
        "model",
        "from toyplug.helper import scale\nimport numpy\n\nclass Gan:\n    def fit(self):\n        return scale()\n",
    )
    yield write, digest
    for name in [name for name in sys.modules if name.startswith("toyplug")]:
        del sys.modules[name]


def test_an_edited_helper_changes_the_digest(package):
    write, digest = package
    before = digest()
    write("helper", "def scale():\n    return 3\n")
    assert digest().digest != before.digest


def test_docstrings_comments_and_layout_do_not(package):
    write, digest = package
    before = digest()
    write("helper", '"""Now explained."""\n\n\ndef scale():\n    """Two."""\n    # why two\n    return (2)\n')
    assert digest() == before


def test_other_modules_of_the_package_do_not_count(package):
    write, digest = package
    before = digest()
    write("unrelated", "x = 1\n")
    assert digest() == before


def test_relative_and_lazy_imports_are_followed(package):
    write, digest = package
    write("model", "LAZY = 'toyplug.helper:scale'\n")
    lazy = digest()
    write("helper", "def scale():\n    return 5\n")
    assert digest() != lazy
    write("model", "def fit():\n    from . import helper\n    return helper\n")
    relative = digest()
    write("helper", "def scale():\n    return 6\n")
    assert digest() != relative


def test_imports_for_type_checking_are_not_followed(package):
    write, digest = package
    write(
        "model", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from toyplug.helper import scale\n"
    )
    before = digest()
    write("helper", "def scale():\n    return 7\n")
    assert digest() == before


def test_foreign_packages_are_named_for_their_versions(package):
    _, digest = package
    assert digest().imports == ("numpy",)
    assert set(closure.versions_of(("numpy",))) == {"numpy"}


def test_the_engine_is_part_of_a_stage():
    found = closure.source_closure("derm_bench.stages.train:train")
    assert {"torch", "numpy"} <= set(found.imports)
