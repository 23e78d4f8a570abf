"""Source digests: edits that can change a result count, those that cannot do not."""

import pytest

from derm_bench.plan import closure, distributions


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
    assert set(distributions.versions_of(("numpy",))) == {"numpy"}


def test_the_engine_is_part_of_a_stage():
    found = closure.source_closure("derm_bench.stages.train:train")
    assert {"torch", "numpy"} <= set(found.imports)
    assert "derm_bench.training.stage_run" in found.modules


# --------------------------------------------------------------------- what an edit may change

# Rule: source, an edit that changes no result, and one beside it that may.
RULES = {
    "docstrings": (
        'def scale():\n    """Twice."""\n    return "twice"\n',
        'def scale():\n    """Two times."""\n    return "twice"\n',
        'def scale():\n    """Twice."""\n    return "two times"\n',
    ),
    "texts below a constant": (
        'FACTOR = 2\n"""The factor."""\n',
        'FACTOR = 2\n"""What images are multiplied by."""\n',
        'FACTOR = 3\n"""The factor."""\n',
    ),
    "annotations of arguments": (
        "def scale(n: int = 1, *rest: int, m: int = 2, **more: int):\n    return n\n",
        "def scale(n: float = 1, *rest: float, m: 'int' = 2, **more):\n    return n\n",
        "def scale(n: int = 2, *rest: int, m: int = 2, **more: int):\n    return n\n",
    ),
    "annotations of keyword arguments, and not their defaults": (
        "async def scale(*, m: int = 2):\n    return m\n",
        "async def scale(*, m: float = 2):\n    return m\n",
        "async def scale(*, m: int = 3):\n    return m\n",
    ),
    "annotations of what is returned": (
        "def scale() -> int:\n    return 2\n",
        "def scale() -> float:\n    return 2\n",
        "def scale() -> int:\n    return -2\n",
    ),
    "annotations of variables": (
        "def scale():\n    n: int = 2\n    return n\n",
        "def scale():\n    n: float = 2\n    return n\n",
        "def scale():\n    n: int = 3\n    return n\n",
    ),
    "imports that only annotations need": (
        "import numpy\ndef scale(n):\n    return numpy.abs(n)\n",
        "from __future__ import annotations\nfrom typing import TYPE_CHECKING, Any\nimport numpy\n"
        "from torch import Tensor\nif TYPE_CHECKING:\n    import torch\n"
        "def scale(n: Tensor) -> 'list[Any]':\n    return numpy.abs(n)\n",
        "from numpy import *\nimport numpy\ndef scale(n):\n    return numpy.abs(n)\n",
    ),
    "imports that only annotations need, and not those that code needs": (
        "from numpy import abs as f\ndef scale(n: f):\n    return f(n)\n",
        "from numpy import abs as f\ndef scale(n):\n    return f(n)\n",
        "from numpy import sign as f\ndef scale(n):\n    return f(n)\n",
    ),
    "imports that only annotations need, and not those of options, which pydantic reads": (
        "from pydantic import PositiveInt as N\nclass Options:\n    n: 'N' = 1\ndef scale(n: N):\n    return n\n",
        "from pydantic import PositiveInt as N\nclass Options:\n    n: 'N' = 1\ndef scale(n) -> N:\n    return n\n",
        "from pydantic import NegativeInt as N\nclass Options:\n    n: 'N' = 1\ndef scale(n: N):\n    return n\n",
    ),
    "imports that only annotations need, and not what is handed on": (
        "from numpy import abs as f\n__all__ = ['f']\ndef scale(n: f):\n    return n\n",
        "from numpy import abs as f\n__all__ = ['f']\ndef scale(n):\n    return n\n",
        "from numpy import sign as f\n__all__ = ['f']\ndef scale(n):\n    return n\n",
    ),
    "annotations that are added": (
        "def scale(self, n=1):\n    self.n = m = n\n    return n\n",
        "def scale(self, n: 'int' = 1) -> int:\n    m: int\n    self.n = m = n\n    return n\n",
        "def scale(self, n=1):\n    self.n = n\n    return n\n",
    ),
    "annotations of attributes": (
        "def scale(self):\n    self.n = 2\n",
        "from typing import Final\ndef scale(self):\n    self.n: Final[int] = 2\n",
        "def scale(self):\n    self.n = 3\n",
    ),
    "annotations alone": (
        "def scale():\n    n: int\n    return 2\n",
        "def scale():\n    n: float\n    m: int\n    return 2\n",
        "def scale():\n    n: int\n    return 3\n",
    ),
    "messages of exceptions": (
        "def scale(n):\n    if n < 0:\n        raise ValueError('negative') from None\n    return n\n",
        "def scale(n):\n    if n < 0:\n        raise ValueError(f'{n} is negative')\n    return n\n",
        "def scale(n):\n    if n < 1:\n        raise ValueError('negative') from None\n    return n\n",
    ),
    "messages of exceptions, and not their type": (
        "def scale():\n    raise ValueError('no')\n",
        "def scale():\n    raise ValueError('no scale', 2)\n",
        "def scale():\n    raise FloatingPointError('no')\n",
    ),
    "messages of assertions": (
        "def scale(n):\n    assert n > 0, 'positive'\n",
        "def scale(n):\n    assert n > 0, 'n has to be positive'\n",
        "def scale(n):\n    assert n > 1, 'positive'\n",
    ),
    "descriptions of options": (
        "class Options:\n    lr: float = Field(0.1, ge=0, description='learning rate')\n",
        "class Options:\n    lr: float = Field(0.1, ge=0, description='step size', title='LR', examples=[1])\n",
        "class Options:\n    lr: float = Field(0.2, ge=0, description='learning rate')\n",
    ),
    "descriptions of options, and not their types, which pydantic reads": (
        "class Options:\n    lr: float = pydantic.Field(0.1, description='learning rate')\n",
        "class Options:\n    lr: float = pydantic.Field(0.1)\n",
        "class Options:\n    lr: int = pydantic.Field(0.1, description='learning rate')\n",
    ),
    "descriptions of options, and not their order, which dataclasses read": (
        "class Options:\n    '''Two.'''\n    a: int\n    b: int\n",
        "class Options:\n    a: int\n    b: int\n",
        "class Options:\n    '''Two.'''\n    b: int\n    a: int\n",
    ),
    "arguments of specs": (
        "SPEC = GeneratorSpec(name='g', summary='good')\nN = 2\n",
        "SPEC = GeneratorSpec(name='h', summary='better', presets={'tiny': {}})\nN = 2\n",
        "SPEC = GeneratorSpec(name='g', summary='good')\nN = 3\n",
    ),
    "what a module exports": (
        "__all__ = ['scale']\ndef scale():\n    return 2\n",
        "__all__ = ['scale', 'other']\ndef scale():\n    return 2\n",
        "__all__ = ['scale']\ndef scale():\n    return 3\n",
    ),
    "what is there for type checkers": (
        "if TYPE_CHECKING:\n    Shape = tuple\nelse:\n    Shape = 2\n",
        "if typing.TYPE_CHECKING:\n    Shape = list\nelse:\n    Shape = 2\n",
        "if TYPE_CHECKING:\n    Shape = tuple\nelse:\n    Shape = 3\n",
    ),
    "what is there for type checkers, and not what is there for all others": (
        "if not TYPE_CHECKING:\n    Shape = 2\nelse:\n    Shape = tuple\n",
        "if not typing.TYPE_CHECKING:\n    Shape = 2\nelse:\n    Shape = list\n",
        "if not TYPE_CHECKING:\n    Shape = 3\nelse:\n    Shape = tuple\n",
    ),
    "comments and layout": (
        "def scale(n):\n    return n * 2\n",
        "def scale(\n    n,  # a number\n):\n    return (n * 2)\n",
        "def scale(n):\n    return n * 2.0\n",
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_an_edit_counts_where_it_can_change_a_result(package, rule):
    write, digest = package
    source, without_effect, with_effect = RULES[rule]
    write("helper", source)
    before = digest()
    write("helper", without_effect)
    assert digest() == before
    write("helper", with_effect)
    assert digest() != before


def test_how_an_exception_is_made_counts_where_it_is_not_raised_at_once(package):
    write, digest = package
    write("helper", "def scale():\n    return ValueError('no')\n")
    before = digest()
    write("helper", "def scale():\n    return ValueError('yes')\n")
    assert digest() != before


# ------------------------------------------------------------------- one definition of a module

OPTIONS = """
from toyplug.base import Base
from toyplug.other import paint
LIMIT = 2
UNUSED = 5
class Mine(Base):
    size: int = LIMIT
class Sibling(Base):
    lr: float = 0.1
    colour = paint()
"""


@pytest.fixture
def options(package, defined):
    """Writes a module of two options models, with changes, and digests the first of them."""
    write, _ = package
    write("base", "class Base:\n    seed: int = 0\n")
    write("other", "def paint():\n    return 1\n")

    def digest(old: str = "", new: str = "") -> closure.Closure:
        assert old in OPTIONS
        write("options", OPTIONS.replace(old, new, 1) if old else OPTIONS)
        return defined("toyplug.options", "Mine")

    return digest


def test_what_stands_beside_a_definition_does_not_count(options):
    before = options()
    assert before.modules == ("toyplug.base", "toyplug.options:LIMIT", "toyplug.options:Mine")
    assert options("lr: float = 0.1", "lr: float = 0.2\n    momentum: float = 0.9") == before
    assert options("UNUSED = 5", "UNUSED = 6") == before
    assert options("import paint", "import paint as brush") == before


def test_the_definition_and_what_it_uses_of_its_module_count(options):
    before = options()
    assert options("size: int = LIMIT", "size: int = LIMIT + 1") != before
    assert options("LIMIT = 2", "LIMIT = 3") != before


def test_a_base_class_in_another_module_counts(package, options):
    write, _ = package
    before = options()
    write("base", "class Base:\n    seed: int = 1\n")
    assert options() != before
    write("base", "class Base:\n    '''What all have.'''\n    seed: int = 0\n")
    assert options() == before


def test_what_only_a_sibling_imports_does_not(package, options):
    write, _ = package
    before = options()
    write("other", "def paint():\n    return 2\n")
    assert options() == before


def test_a_definition_that_is_made_elsewhere_stands_for_its_module(package, defined):
    write, _ = package
    write("made", "globals()['Made'] = type('Made', (), {})\n")
    assert defined("toyplug.made", "Made").modules == ("toyplug.made",)


def test_what_another_reader_has_cached_is_read_again(package, monkeypatch):
    _, digest = package
    before = digest()
    monkeypatch.setattr(closure, "recall", lambda name: '["digest", [], {}]')
    assert digest() == before
