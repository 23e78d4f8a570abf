"""The readers of published data sets: every layout is read, and what is wrong is said."""

from __future__ import annotations

from collections import defaultdict

import pytest
from tests.datasets.trees import TREES

from derm_bench.errors import UserError
from derm_bench.specs import RawImage, Task, create
from derm_bench_plugins.datasets import specs

SPECS = {spec.name: spec for spec in specs()}
EVERY = [(name, layout) for name, layouts in TREES.items() for layout in layouts]
FIRST = [(name, next(iter(layouts))) for name, layouts in TREES.items()]
NAMES = [name for name, _ in FIRST]


def opened(name, options):
    spec = SPECS[name]
    chosen = spec.options(**options)
    return create(spec, chosen, Task((), 16)), chosen


def described(name, options):
    dataset, chosen = opened(name, options)
    return dataset.describe(chosen)


def grown(name, layout, root):
    root.mkdir()
    return TREES[name][layout](root)


def shared(found):
    """The sets of ids that share a group, for groups of more than one image."""
    members = defaultdict(set)
    for name, group in zip(found.ids, found.groups, strict=True):
        members[group].add(name)
    return sorted((ids for ids in members.values() if len(ids) > 1), key=min)


def said(found):
    return [note.sentence(50) for note in found.notes]


@pytest.mark.parametrize(("name", "layout"), EVERY)
def test_every_layout_is_read(name, layout, tmp_path):
    tree = grown(name, layout, tmp_path / "root")
    dataset, options = opened(name, tree.options)
    found = dataset.describe(options)
    assert dict(zip(found.ids, found.labels, strict=True)) == tree.labels
    assert set(found.classes) == set(tree.labels.values())
    assert (found.groups and shared(found)) == (None if tree.groups is None else sorted(tree.groups, key=min))
    given = found.given_split and dict(zip(found.ids, found.given_split, strict=True))
    assert given == tree.given
    for attribute, values in tree.attributes.items():
        column = dict(zip(found.ids, found.attributes[attribute], strict=True))
        assert {key: column[key] for key in values} == values, attribute
    assert found.masks == tree.masks
    images = list(dataset.read([found.ids[0], found.ids[-1], found.ids[1]]))
    assert all(isinstance(image, RawImage) for image in images)
    assert all((image.mask is not None) == tree.masks for image in images)
    assert set(dataset.fingerprint(options)) == set(found.ids)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_folder_is_said_to_be_empty_with_what_belongs_there(name, tmp_path):
    with pytest.raises(UserError, match=r"(?i)empty|no .*npz") as error:
        described(name, {"root": tmp_path})
    assert str(tmp_path) in str(error.value)
    assert "get it from http" in error.value.hint or "Kaggle" in error.value.hint


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_something_else_is_refused_with_what_was_looked_for(name, tmp_path):
    other = "fitzpatrick17k" if name.startswith(("isic", "ham", "milk")) else "isic-2018"
    grown(other, next(iter(TREES[other])), tmp_path / "root")
    with pytest.raises(UserError, match="no ") as error:
        described(name, {"root": tmp_path / "root"})
    text = str(error.value)
    assert str(tmp_path / "root") in text and ("get it from" in text)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_does_not_exist_is_named_in_full(name, tmp_path):
    with pytest.raises(UserError, match=str(tmp_path / "nowhere")):
        described(name, {"root": tmp_path / "nowhere"})


@pytest.mark.parametrize(("name", "layout"), [pair for pair in FIRST if pair[0] != "dermnet"])
def test_a_missing_column_is_named_with_its_file(name, layout, tmp_path):
    tree = grown(name, layout, tmp_path / "root")
    pattern = tree.spoil()
    with pytest.raises(UserError, match=pattern) as error:
        described(name, tree.options)
    assert str(tmp_path / "root") in str(error.value)
