"""Halves of the reals share no group, are equally large, and do not depend on the order of the images."""

from derm_bench.fidelity.halves import split_halves


def names(n, per_group):
    return [f"i{i:05d}" for i in range(n)], [f"g{i // per_group}" for i in range(n)]


def test_halves_are_disjoint_by_group_and_equally_large():
    ids, groups = names(101, 3)
    a, b = split_halves(ids, groups)
    assert not {groups[i] for i in a} & {groups[i] for i in b}
    assert len(a) == len(b) >= 48
    assert len(set(a)) == len(a)


def test_halves_depend_on_names_not_on_order_and_differ_by_seed():
    ids, groups = names(60, 2)
    a, b = split_halves(ids, groups, seed=0)
    turned = split_halves(ids[::-1], groups[::-1], seed=0)
    assert [{ids[::-1][i] for i in half} for half in turned] == [{ids[i] for i in half} for half in (a, b)]
    assert split_halves(ids, groups, seed=0) == (a, b)
    assert split_halves(ids, groups, seed=1) != (a, b)


def test_no_half_is_larger_than_the_limit():
    a, b = split_halves(*names(5000, 1))
    assert len(a) == len(b) == 2000


def test_one_group_leaves_no_holdout():
    assert split_halves(["a", "b", "c"], ["g", "g", "g"]) == ([0, 1, 2], [])
    assert split_halves([], []) == ([], [])
