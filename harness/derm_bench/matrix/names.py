"""Checks the names in a matrix: of the matrix, of the entries of its lists, and of classes."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from derm_bench.matrix.labels import MAX_BYTES, is_label
from derm_bench.matrix.locations import Problem
from derm_bench.matrix.model import Matrix
from derm_bench.plain_text import printable

CONTROL = "control"
"""The strategy under which fidelity.csv lists the controls, so that no other may have this name."""

MAX_CLASS = 200
"""The largest number of characters of a class; columns of tables (`precision_<class>`) have at most 255."""


def name_problems(matrix: Matrix) -> Iterator[Problem]:
    """Names that cannot be used, and names that occur twice in a list."""
    if not is_label(matrix.name):
        yield Problem(
            ("name",),
            f"'{printable(matrix.name)}' cannot be the name of a folder",
            f"use letters, digits, - and _, at most {MAX_BYTES} bytes",
        )
    label = "write `label:` in one of them"
    yield from _unique("datasets", [entry.label for entry in matrix.datasets], label)
    hint = "a strategy's name is its label: give one another name"
    yield from _unique("strategies", [entry.name for entry in matrix.strategies], hint)
    yield from _unique("classifiers", [entry.label for entry in matrix.classifiers], label)
    yield from _unique("test_sets", [entry.name for entry in matrix.test_sets], "give one another name")
    yield from _unique("metrics", [entry.label for entry in matrix.metrics], f"name it once, or {label}")
    for index, strategy in enumerate(matrix.strategies):
        if strategy.name == CONTROL:
            message = "a strategy cannot be called 'control': fidelity.csv lists the controls under this name"
            yield Problem(("strategies", index, "name"), message, "give it another name")
    for index, dataset in enumerate(matrix.datasets):
        for name, why in class_problems(dataset.classes or ()):
            yield Problem(("datasets", index, "classes", name), why, "give the class another name")


def class_problems(classes: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield each class whose name cannot be used, with the reason.

    Names of classes become parts of columns, labels of figures and names of folders.
    """
    seen: dict[str, str] = {}
    for name in classes:
        shown = printable(name)
        if shown != name or "\n" in name or "\t" in name:
            yield name, f"the class {shown!r} has a line break or another control character in its name"
        elif not name.strip():
            yield name, "a class has no name"
        elif len(name) > MAX_CLASS:
            yield name, f"the class '{name[:40]}...' has a name of more than {MAX_CLASS} characters"
        same = seen.setdefault(unicodedata.normalize("NFC", name), name)
        if same != name:
            yield name, f"two classes look like '{name}', written in different characters of Unicode"


def _unique(section: str, labels: Sequence[str], hint: str) -> Iterator[Problem]:
    seen: set[str] = set()
    for index, label in enumerate(labels):
        if label in seen:
            yield Problem((section, index), f"two {section} are both labelled '{label}'", hint)
        if not is_label(label) or (section == "datasets" and "@" in label):
            yield Problem(
                (section, index),
                f"'{printable(label)}' cannot be a label",
                f"no / * @ or control characters, a comma only inside brackets, at most {MAX_BYTES} bytes; write "
                "`label:`",
            )
        seen.add(label)
