"""Names that cannot be folders, columns or labels are refused when the matrix is read, with their key path."""

import pytest

from derm_bench.errors import UserError, UserErrors
from derm_bench.matrix.model import PerClass
from derm_bench.matrix.names import class_problems
from derm_bench.plan.split import select
from derm_bench.protocols import DatasetDescription

MATRIX = """
name: {name}
dataset: {{name: phantom, label: {dataset}, classes: {classes}}}
strategies: [{{name: {strategy}}}]
classifiers: [{{name: dermagan-cnn, label: {classifier}}}]
"""
PLAIN = {"name": "n", "dataset": "d", "classes": "null", "strategy": "s", "classifier": "c"}
PLACES = {
    "name": "name",
    "dataset": "datasets.0",
    "strategy": "strategies.0",
    "classifier": "classifiers.0",
}


def problems_of(load, **names):
    with pytest.raises(UserError) as caught:
        load(MATRIX.format(**PLAIN | names))
    found = caught.value.errors if isinstance(caught.value, UserErrors) else [caught.value]
    return {".".join(map(str, error.path)): str(error) for error in found}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    "name", [f"'{'皮' * 200}'", f"'{'皮' * 67}'", '"a\\x1b[31m"', '"a\\u202eb"', '"a\\x9bb"', "'a/b'"]
)
def test_a_name_that_is_too_long_in_bytes_or_has_control_characters_is_refused(load, place, name):
    found = problems_of(load, **{place: name})
    assert PLACES[place] in found and "\x1b" not in found[PLACES[place]]


@pytest.mark.parametrize("name", [".", "..", "..."])
def test_nothing_is_called_like_a_folder_above(load, name):
    assert "cannot be the name of a folder" in problems_of(load, name=f"'{name}'")["name"]
    assert "cannot be a label" in problems_of(load, strategy=f"'{name}'")["strategies.0"]


def test_a_name_of_two_hundred_bytes_is_accepted(load):
    assert load(MATRIX.format(**PLAIN | {"name": "皮" * 66, "strategy": "x" * 200})).name == "皮" * 66


def test_a_strategy_is_not_called_control(load):
    assert "fidelity.csv lists the controls" in problems_of(load, strategy="control")["strategies.0.name"]
    load(MATRIX.format(**PLAIN | {"strategy": "controls", "classifier": "control"}))


@pytest.mark.parametrize(
    "name", ["a\nb", "a\rb", "a\tb", "\x1b[2J", "\u2028", "", " ", "x" * 201, "皮" * 201, "a\udcff"]
)
def test_a_class_has_a_name_that_tables_and_figures_can_hold(load, name):
    (problem,) = class_problems(["mel", name])
    assert problem[0] == name
    description = DatasetDescription(["1", "2"], ["mel", name], ["mel", name])
    with pytest.raises(UserError, match="class"):
        select(description, None, PerClass(), "auto", 0)


def test_a_merged_class_is_named_with_its_place_in_the_matrix(load):
    found = problems_of(load, classes='{"a\\nb": [nevus]}')
    assert any("control character" in error for error in found.values())


def test_classes_that_only_look_equal_are_refused():
    assert list(class_problems(["mé", "me\u0301"])) and not list(
        class_problems(["nv", "NV", "acne, severe", "a+b"])
    )


@pytest.mark.parametrize("ids", [["a", "b\udcff"], ["a", "x" * 10_000]])
def test_ids_and_groups_of_a_data_set_can_be_written_to_tables(ids):
    for description in (
        DatasetDescription(ids, ["x", "x"], ["x"]),
        DatasetDescription(["1", "2"], ["x", "x"], ["x"], groups=ids),
    ):
        with pytest.raises(UserError, match="valid Unicode of at most"):
            select(description, None, PerClass(), "auto", 0)
