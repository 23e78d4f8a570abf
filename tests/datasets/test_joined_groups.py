"""Groups from several columns and pairs."""

from derm_bench_plugins.datasets.joined_groups import joined


def test_what_shares_a_value_of_any_column_is_one_group():
    patients = ["p", None, None, "q", None, None]
    lesions = ["a", "a", "b", None, "b", None]
    assert joined(list("uvwxyz"), [patients, lesions]) == ["p", "p", "b", "q", "b", None]


def test_pairs_join_groups_and_images_without_one():
    assert joined(list("uvwx"), [["p", "q", None, None]], [("u", "v"), ("x", "w"), ("u", "gone")]) == [
        "p", "p", "w", "w",
    ]  # fmt: skip


def test_chains_are_followed():
    assert set(joined(list("abcd"), [["1", "1", "2", "3"], [None, "x", "x", "x"]])) == {"1"}
