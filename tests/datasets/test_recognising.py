"""Each data set recognises its own folders, in every layout, and no other data set is surer of them."""

import pytest
from tests.datasets.trees import TREES

from derm_bench.inspection.recognition import reader_of
from derm_bench.plugins import Plugins

EVERY = [(name, layout) for name, layouts in TREES.items() for layout in layouts]


@pytest.fixture(scope="module")
def plugins():
    return Plugins(builtins_only=True)


@pytest.mark.parametrize(("name", "layout"), EVERY)
def test_a_data_set_is_recognised_in_every_layout(name, layout, tmp_path, plugins):
    (tmp_path / "root").mkdir()
    tree = TREES[name][layout](tmp_path / "root")
    found = reader_of(tree.options["root"], plugins, None, {})
    assert found.name == name, found
