"""Cells: names, seeds, exclude and include, and what `--only` selects."""

from __future__ import annotations

import tracemalloc

import pytest

from derm_bench.errors import UserError
from derm_bench.matrix.cells import cells, generator_runs, select_cells

BASE = """
dataset: phantom
strategies:
  - real-only
  - {name: gan, generator: {name: dcgan}, synthetic: {balance: true}}
classifiers: [dermagan-cnn, {name: timm, model: resnet18}]
"""


def names(matrix) -> list[str]:
    return [cell.name for cell in cells(matrix)]


def test_a_list_of_seeds_moves_generator_and_classifier_and_leaves_the_split(load):
    made = cells(load(BASE, "seeds=[3, 4]", "datasets.0.split.seed=9"))
    assert len(made) == 8 and {cell.split_seed for cell in made} == {9}
    gan = [cell for cell in made if cell.strategy == "gan"]
    assert all(cell.seed == cell.generator_seed == cell.classifier_seed for cell in gan)
    assert {cell.generator_seed for cell in made if cell.strategy == "real-only"} == {None}
    assert made[0].name == "phantom/real-only/dermagan-cnn/3"


def test_a_map_of_seeds_is_crossed_where_a_cell_depends_on_the_axis(load):
    matrix = load(
        BASE, "classifiers=[dermagan-cnn]", "seeds={split: [5], generator: [0, 1], classifier: [2, 3]}"
    )
    assert names(matrix) == [
        "phantom/real-only/dermagan-cnn/2-s5-c2",
        "phantom/real-only/dermagan-cnn/3-s5-c3",
        "phantom/gan/dermagan-cnn/2-s5-g0-c2",
        "phantom/gan/dermagan-cnn/3-s5-g0-c3",
        "phantom/gan/dermagan-cnn/2-s5-g1-c2",
        "phantom/gan/dermagan-cnn/3-s5-g1-c3",
    ]


def test_an_axis_that_the_map_leaves_out_stands_still_and_out_of_the_name(load):
    matrix = load(BASE, "classifiers=[dermagan-cnn]", "seeds={generator: [6, 7]}", "datasets.0.split.seed=1")
    made = cells(matrix)
    assert [cell.name for cell in made] == [
        "phantom/real-only/dermagan-cnn/0",
        "phantom/gan/dermagan-cnn/0-g6",
        "phantom/gan/dermagan-cnn/0-g7",
    ]
    assert {(cell.split_seed, cell.classifier_seed) for cell in made} == {(1, 0)}


def test_the_split_seed_of_kfold_is_the_fold(load):
    matrix = load(BASE, "datasets.0.split={method: kfold, folds: 3, seed: 8}", "seeds={split: [0, 2]}")
    assert {cell.split_seed for cell in cells(matrix)} == {0, 2}


def test_kfold_runs_all_folds_with_every_seed_unless_some_are_listed(load):
    matrix = load(BASE, "datasets.0.split={method: kfold, folds: 3}", "seeds=[0, 1]")
    mine = [name for name in names(matrix) if "real-only/dermagan-cnn" in name]
    assert mine == [f"phantom/real-only/dermagan-cnn/{seed}-s{fold}" for fold in range(3) for seed in (0, 1)]
    crossed = load(BASE, "datasets.0.split={method: kfold, folds: 4}", "seeds={classifier: [5, 6]}")
    assert {(cell.split_seed, cell.classifier_seed) for cell in cells(crossed)} == {
        (fold, seed) for fold in range(4) for seed in (5, 6)
    }


def test_only_a_data_set_that_is_split_by_kfold_has_folds(load):
    two = load(BASE, "datasets=[{name: phantom, split: {method: kfold}}, {name: phantom, label: plain}]")
    splits = {(cell.dataset, cell.split_seed) for cell in cells(two)}
    assert splits == {*(("phantom", fold) for fold in range(5)), ("plain", 0)}


def test_an_offset_changes_the_seeds_that_run_but_not_the_seed_that_pairs(load):
    strategies = "strategies=[real-only, {name: again, seed_offset: 1000}]"
    again = [cell for cell in cells(load(BASE, strategies, "seeds=[0, 1]")) if cell.strategy == "again"]
    assert [(cell.seed, cell.classifier_seed) for cell in again[:2]] == [(0, 1000), (1, 1001)]


def test_the_fraction_is_named_only_where_the_data_set_lists_some(load):
    assert names(load(BASE))[0] == "phantom/real-only/dermagan-cnn/0"
    both = names(load(BASE, "datasets.0.train_fraction=[0.1, 1.0]"))
    assert both[0] == "phantom@0.1/real-only/dermagan-cnn/0" and "phantom@1.0/gan/resnet18/0" in both


def test_exclude_drops_cells_that_match_all_keys(load):
    assert names(load(BASE, "exclude=[{strategy: ga*, classifier: resnet18}]")) == [
        "phantom/real-only/dermagan-cnn/0",
        "phantom/real-only/resnet18/0",
        "phantom/gan/dermagan-cnn/0",
    ]


def test_include_adds_cells_and_without_the_product_they_are_the_only_ones(load):
    added = names(load(BASE, "include=[{strategy: gan, classifier: resnet18, seed: 7, train_fraction: 0.5}]"))
    assert len(added) == 5 and added[-1] == "phantom@0.5/gan/resnet18/7"
    assert names(load(BASE, "product=false", "include=[{strategy: gan}]")) == [
        "phantom/gan/dermagan-cnn/0",
        "phantom/gan/resnet18/0",
    ]
    assert names(load(BASE, "exclude=[{strategy: gan}]", "include=[{strategy: gan, classifier: resnet18}]"))[
        -1
    ] == ("phantom/gan/resnet18/0")


def test_names_are_unique(load):
    made = names(
        load(BASE, "seeds={split: [0, 1], generator: [0, 1], classifier: [0, 1]}", "include=[{seed: 0}]")
    )
    assert len(made) == len(set(made)) == 2 * (2 * 2 + 2 * 2 * 2)


def test_a_scored_generator_runs_once_a_generator_seed_where_the_cells_are(load):
    scored = "strategies=[real-only, {name: gan, generator: dcgan}]"
    matrix = load(BASE, scored, "seeds={split: [0, 1], generator: [0, 1], classifier: [0, 1, 2]}")
    made = cells(matrix)
    assert {cell.strategy for cell in made} == {"real-only"}
    runs = generator_runs(matrix, matrix.strategies[1], [cell for cell in made if cell.split_seed == 1])
    assert [(run.split_seed, run.generator_seed, run.classifier) for run in runs] == [(1, 0, ""), (1, 1, "")]
    assert len(generator_runs(matrix, matrix.strategies[1], [])) == 4


def test_only_selects_by_and_or_and_stars(load):
    sweep = "strategies.1.sweep={generator.base: [32, 64], generator.z_dim: [10, 20]}"
    made = cells(load(BASE, sweep, "seeds=[0, 1]"))
    assert len(select_cells(made, [])) == len(made)
    assert len(select_cells(made, ["strategy=gan*"])) == 16
    assert len(select_cells(made, ["strategy=gan*,seed=0", "strategy=real-only,seed=1"])) == 10
    one = select_cells(made, ["strategy=gan[base=32,z_dim=20],classifier=resnet18,seed=1"])
    assert [cell.name for cell in one] == ["phantom/gan[base=32,z_dim=20]/resnet18/1"]
    assert select_cells(made, ["cell=phantom/real-only/resnet18/0"])[0].seed == 0
    assert len(select_cells(made, ["train_fraction=1,generator_seed=0"])) == 8


@pytest.mark.parametrize(
    ("only", "said"),
    [
        ("strategy=gam", "did you mean 'gan'?"),
        ("stratgy=gan", "did you mean 'strategy'?"),
        ("gan", "KEY=PATTERN"),
        ("strategy=g?n", "no cell has strategy"),
        ("strategy=real-only,generator_seed=0", "no cell matches all parts of it"),
    ],
)
def test_only_that_selects_nothing_is_refused(load, only, said):
    with pytest.raises(UserError) as caught:
        select_cells(cells(load(BASE)), [only])
    assert said in str(caught.value)


def test_ten_thousand_cells_stay_small(load):
    seeds = list(range(50))
    matrix = load(BASE, f"seeds={{split: {seeds}, classifier: {seeds}}}")
    tracemalloc.start()
    made = cells(matrix)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(made) == 10_000 and peak < 10_000_000


def test_a_matrix_that_explodes_is_refused(refused):
    seeds = str(list(range(100)))
    assert "more than" in refused(BASE, f"seeds={{split: {seeds}, generator: {seeds}, classifier: {seeds}}}")
