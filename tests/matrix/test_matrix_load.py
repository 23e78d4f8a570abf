"""A matrix file -> a resolved matrix: the grammar that is accepted."""

from __future__ import annotations

from pathlib import Path

from derm_bench.matrix.cells import cells
from derm_bench.specs import Budget

SMALL = """
dataset: phantom
strategies:
  - real-only
  - {name: gan, generator: {name: dcgan, base: 64}, synthetic: {balance: true}}
classifiers: [dermagan-cnn]
"""

WHOLE = Path(__file__).with_name("whole.yaml").read_text(encoding="utf-8")


def line_of(part: str) -> int:
    return WHOLE[: WHOLE.index(part)].count("\n") + 1


def test_the_contracts_example_loads(load, tmp_path):
    matrix = load(WHOLE)
    data = matrix.datasets[0]
    assert data.options.root == (tmp_path.parent / "data" / "ham10000")
    assert data.label == "ham10000" and data.train_fraction == (0.1, 1.0)
    assert [use.options.model_dump() for use in data.preprocess] == [
        {"d": 9, "sigma_color": 75.0, "sigma_space": 75.0},
        {"gamma": 1.5},
    ]
    assert matrix.strategies[1].augment[2].options.degrees == 30
    assert matrix.strategies[3].generator.options.base == 64
    labels = [classifier.label for classifier in matrix.classifiers]
    assert labels == [f"dermagan-cnn[dropout={d}]" for d in (0.0, 0.2, 0.5)] + [
        "resnet50",
        "dcgan-discriminator",
    ]
    taken = matrix.classifiers[-1].taken_from
    assert (taken.generator.name, taken.generator.options.scope, taken.part) == (
        "dcgan-mutepfe",
        "pooled",
        "head",
    )
    # 2 fractions x (7 strategies x 5 classifiers - the excluded pair) x 3 seeds
    assert len(cells(matrix)) == 2 * (7 * 5 - 1) * 3


def test_a_preset_changes_what_is_there_and_skips_the_rest(load):
    matrix = load(WHOLE, presets=["smoke"])
    assert matrix.budget.updates == 20 and matrix.datasets[0].limit.per_class == 24
    assert matrix.strategies[0].generator is None
    assert matrix.strategies[3].generator.options.budget == Budget(updates=20)


def test_presets_are_applied_in_order(load):
    text = SMALL + "presets: {big: {budget.updates: 9, seeds: [4]}, small: {budget.updates: 2}}\n"
    for presets, updates in ((["big", "small"], 2), (["small", "big"], 9)):
        matrix = load(text, presets=presets)
        assert matrix.budget == Budget(updates=updates) and matrix.seeds.together == (4,)
    assert load(text, "budget.updates=7", presets=["big", "small"]).budget.updates == 7


def test_a_later_preset_changes_what_an_earlier_one_brought(load):
    text = (
        SMALL
        + "presets: {gan: {strategies.0: {name: late, generator: dcgan}}, narrow: {strategies.*.generator.base: 8}}\n"
    )
    assert load(text, presets=["gan", "narrow"]).strategies[0].generator.options.base == 8
    assert load(text, presets=["narrow", "gan"]).strategies[0].generator.options.base != 8


def test_short_spellings_and_defaults(load):
    matrix = load(
        SMALL + "protocol: paper\nseeds: [3]\n", "datasets.0.limit=12", "datasets.0.classes=[mel, nv]"
    )
    assert matrix.name == "matrix" and matrix.protocol.name == "paper"
    assert matrix.datasets[0].limit.per_class == 12
    assert matrix.datasets[0].classes == {"mel": ("mel",), "nv": ("nv",)}
    domain = ["mmd_domain", "coverage_domain", "density_domain", "nn_accuracy_domain", "sharpness"]
    assert [use.name for use in matrix.metrics] == domain
    assert matrix.seeds.together == (3,) and matrix.test_sets[0].name == "test"
    assert matrix.budget.updates == 2000


def test_a_data_set_made_to_order_is_told_which_labels_the_classes_name(load):
    matrix = load(SMALL, "datasets.0.classes={malignant: [mel, bcc], benign: nv}")
    assert matrix.datasets[0].options.classes == ("mel", "bcc", "nv")
    assert matrix.datasets[0].classes == {"malignant": ("mel", "bcc"), "benign": ("nv",)}
    assert load(SMALL).datasets[0].options.classes == ("mel", "nv")


def test_a_plugins_own_default_stands_over_the_common_one(load):
    matrix = load(SMALL, "strategies.1.generator=cgan", "classifiers=[{name: timm, model: resnet18}]")
    options = matrix.strategies[1].generator.options
    assert options.budget == Budget(updates=500) and options.fit_on == "train"
    assert options.augment[0].options.model_dump() == {}
    assert matrix.classifiers[0].options.lr == 0.01 and matrix.classifiers[0].options.batch_size == 64


def test_a_plugins_preset_gives_options_that_the_entry_overrides(load):
    generator = "strategies.1.generator={name: dcgan, preset: tiny, base: 16}"
    options = load(SMALL, generator).strategies[1].generator.options
    assert options.base == 16 and options.budget == Budget(updates=2)


def test_set_reaches_unwritten_defaults_and_the_rest_stays(load):
    matrix = load(
        SMALL,
        "dataset.split.val=0.2",
        "strategies.*.generator.budget.updates=7",
        "analysis.margin=0.05",
        "classifiers.0.lr=1e-4",
        "seeds=[4, 5]",
    )
    assert matrix.datasets[0].split.val == 0.2 and matrix.datasets[0].split.test == 0.2
    assert matrix.strategies[1].generator.options.budget == Budget(updates=7)
    assert matrix.analysis.margin == 0.05
    assert matrix.classifiers[0].options.lr == 1e-4
    assert matrix.seeds.together == (4, 5)


def test_paths_are_relative_to_the_file_and_from_set_to_the_current_folder(load, tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    text = SMALL.replace("dataset: phantom", "dataset: {name: ham10000, root: data}")
    assert load(text).datasets[0].options.root == tmp_path / "data"
    assert load(text, "datasets.0.root=data").datasets[0].options.root == elsewhere / "data"
    weights = load(text, "classifiers.0.weights=w.safetensors").classifiers[0].options.weights
    assert weights == elsewhere / "w.safetensors"


def test_a_swept_path_is_relative_to_the_file(load, tmp_path, monkeypatch):
    monkeypatch.chdir(Path("/"))
    text = SMALL.replace("dataset: phantom", "dataset: {name: ham10000, sweep: {root: [a, b/c]}}")
    datasets = load(text).datasets
    assert [entry.options.root for entry in datasets] == [tmp_path / "a", tmp_path / "b/c"]
    assert [entry.label for entry in datasets] == ["ham10000[root=a]", "ham10000[root=#2]"]


def test_a_sweep_map_is_a_product_labelled_by_shortest_ends(load):
    sweep = "strategies.1.sweep={generator.base: [32, 64], synthetic: [{ratio: 1}, {balance: true}]}"
    assert [entry.name for entry in load(SMALL, sweep).strategies[1:]] == [
        "gan[base=32,synthetic=#1]",
        "gan[base=32,synthetic=#2]",
        "gan[base=64,synthetic=#1]",
        "gan[base=64,synthetic=#2]",
    ]


def test_a_sweep_list_is_its_points_and_a_point_may_carry_its_label(load):
    sweep = "classifiers.0.sweep=[{lr: 1e-3, dropout: 0.1}, {lr: 1e-2, label: fast}]"
    classifiers = load(SMALL, sweep).classifiers
    assert [entry.label for entry in classifiers] == ["dermagan-cnn[lr=0.001,dropout=0.1]", "fast"]
    assert classifiers[1].options.lr == 0.01 and classifiers[1].options.dropout == 0.0


def test_permits_let_the_written_leaks_through(load):
    permits = "{name: paper, allow: [generator_sees_test, ungrouped_split, select_on_test, unmatched_budget]}"
    matrix = load(
        SMALL,
        f"protocol={permits}",
        "strategies.1.generator.fit_on=all",
        "datasets.0.split={group: none, val: test}",
        "budget={epochs: 3}",
        "classifiers.0.patience=4",
    )
    assert matrix.budget.epochs == 3 and matrix.classifiers[0].options.patience == 4


def test_an_arm_may_be_selected_on_its_own_samples_if_that_is_permitted(load):
    protocol = "protocol={name: paper, allow: [select_on_synthetic]}"
    matrix = load(SMALL, protocol, "strategies.1.synthetic={total: 9, holdout: 0.5, val: held_out}")
    assert matrix.strategies[1].synthetic.val == "held_out"


def test_a_generator_without_a_quota_needs_no_classifier(load):
    matrix = load("dataset: phantom\nstrategies: [{name: gan, generator: {name: dcgan, scope: pooled}}]\n")
    assert cells(matrix) == [] and not matrix.strategies[0].makes_cells
