"""Wrong matrices: each is refused with the file, the key path, the line and the way out."""

from __future__ import annotations

import pytest

from derm_bench.errors import UserErrors

GOOD = """name: good
datasets:
  - name: phantom
    n: 50
strategies:
  - name: real-only
  - name: gan
    generator: {name: dcgan, base: 64}
    synthetic: {balance: true}
classifiers:
  - name: dermagan-cnn
"""


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("n: 50", "n: 50\n    sise: 3", 5, ["datasets.0.sise", "unknown key 'sise'", "did you mean 'size'?"]),
        ("base: 64", "bse: 64", 8, ["strategies.1.generator.bse", "did you mean 'base'?"]),
        ("base: 64", "batch: 1", 8, ["strategies.1.generator.batch", "unknown key"]),
        ("name: dcgan", "name: dcgann", 8, ["strategies.1.generator.name", "did you mean 'dcgan'?"]),
        ("n: 50", "n: many", 4, ["datasets.0.n", "a whole number is expected, got 'many'"]),
        ("base: 64", "base: 65", 8, ["strategies.1.generator.base", "base is even"]),
        (
            "base: 64",
            "budget: {epoch: 3}",
            8,
            ["strategies.1.generator.budget.epoch", "did you mean 'epochs'?"],
        ),
        ("base: 64", "preset: []", 8, ["strategies.1.generator.preset", "'dcgan' has no preset []"]),
        ("base: 64", "preset: {a: 1}", 8, ["strategies.1.generator.preset", "has no preset"]),
        ("base: 64", "preset: tinny", 8, ["strategies.1.generator.preset", "no preset 'tinny'"]),
        ("{balance: true}", "{balance: true, ratio: 1}", 9, ["strategies.1.synthetic", "exactly one of"]),
        ("{balance: true}", "{}", 9, ["exactly one of balance, ratio, per_class, total"]),
        ("{balance: true}", "{balance: false}", 9, ["strategies.1.synthetic.balance"]),
        ("n: 50", "split: {test: {per_clas: 3}}", 4, ["datasets.0.split.test.per_clas", "'per_class'"]),
        ("n: 50", "classes: [0, 001]", 4, ["classes.0: a string is expected, got 0", "quotes, such as '0'"]),
        ("n: 50", "classes: [a, true]", 4, ["classes.1: a string is expected, got True", "such as 'true'"]),
        ("n: 50", "classes: {a: [0], b: 1}", 4, ["a string is expected, got 1", "in quotes"]),
        ("n: 50", "limit: {per_class: {0: 5}}", 4, ["limit.per_class.0: a string is expected", "in quotes"]),
        ("name: good", "nam: good", 1, ["unknown key 'nam'", "did you mean 'name'?"]),
        ("name: good", "name: a/b", 1, ["cannot be the name of a folder"]),
        ("n: 50", "preprocess: [hflip]", 4, ["datasets.0.preprocess.0", "image transform"]),
        ("base: 64", "augment: [mixup]", 8, ["generator.augment.0", "batch transform"]),
        (
            "name: real-only",
            "name: real-only\n    augment: [{rotate: {degres: 3}}]",
            7,
            ["did you mean 'degrees'?"],
        ),
        ("name: real-only", "name: real-only\n    augment: [{hflip: 3}]", 7, ["takes a map of options"]),
        ("name: real-only", "name: real-only\n    augment: hflip", 7, ["a list is expected, got 'hflip'"]),
        ("base: 64", "scope: pooled", 8, ["unconditional", "cannot fill a quota"]),
        ("base: 64", "preset: tinny", 8, ["generator.preset", "did you mean 'tiny'?"]),
        ("name: dermagan-cnn", "name: timm", 11, ["classifiers.0.model", "missing"]),
        ("name: dermagan-cnn", "name: dermagan-cnn\n    patience: 3", 12, ["patience", "matched budget"]),
        ("n: 50", "split: {val: 0}", 11, ["classifiers.0.select", "select: last"]),
        ("name: gan", "name: real-only", 7, ["both labelled 'real-only'", "another name"]),
        (
            "name: dermagan-cnn",
            "name: dermagan-cnn\n  - name: dermagan-cnn",
            12,
            ["classifiers.1", "write `label:`"],
        ),
        ("name: dermagan-cnn", "name: dermagan-cnn\n    label: a*b", 11, ["cannot be a label"]),
        (
            "name: dermagan-cnn",
            "name: dermagan-cnn\n    sweep: {dropot: [0, 1]}",
            12,
            ["did you mean 'dropout'?"],
        ),
        (
            "name: dermagan-cnn",
            "name: dermagan-cnn\n    sweep: {dropout: [0, 2]}",
            12,
            ["dropout.1", "less than 1"],
        ),
        ("name: good", "seeds: 3", 1, ["seeds must be a list or a map"]),
        ("name: good", "seeds: [0, 0]", 1, ["listed twice"]),
        ("name: good", "seeds: {together: [1]}", 1, ["unknown key 'together'"]),
        (
            "name: good",
            "compare: {baselines: [real]}",
            1,
            ["compare.baselines.0", "did you mean 'real-only'?"],
        ),
        ("name: good", "exclude: [{strategy: gam}]", 1, ["exclude.0.strategy", "did you mean 'gan'?"]),
        ("name: good", "exclude: [{startegy: gan}]", 1, ["did you mean 'strategy'?"]),
        ("name: good", "include: [{split_seed: 3}]", 1, ["seeds: {split: [...]}"]),
        ("name: good", "product: false", 1, ["leaves no cell"]),
        ("name: good", "metrics: [fidd]", 1, ["metrics.0.name", "did you mean 'fid'?"]),
        ("name: good", "analysis: {primary: accuracyy}", 1, ["did you mean 'accuracy'?"]),
        ("name: good", "protocol: {name: paper, allow: [anything]}", 1, ["no permit is named"]),
        ("name: good", "dataset: phantom", 1, ["dataset or datasets, not both"]),
    ],
)
def test_the_error_says_where_and_what_is_right(refused, tmp_path, old, new, line, said):
    message = refused(GOOD.replace(old, new, 1))
    assert f"{tmp_path / 'matrix.yaml'}:{line}: " in message
    for words in said:
        assert words in message


@pytest.mark.parametrize(
    ("old", "new", "permit"),
    [
        ("base: 64", "fit_on: all", "generator_sees_test"),
        ("n: 50", "split: {group: none}", "ungrouped_split"),
        ("n: 50", "split: {val: test}", "select_on_test"),
        ("{balance: true}", "{balance: true, holdout: 0.2, val: held_out}", "select_on_synthetic"),
        (
            "{balance: true}",
            "{total: 9, replace_real: true, holdout: 0.5, val: held_out}",
            "select_on_synthetic",
        ),
        ("name: good", "budget: {epochs: 5}", "unmatched_budget"),
        ("name: good", "test_sets: [test, {name: fake, synthetic: only}]", "synthetic_in_test"),
    ],
)
def test_a_leak_without_its_permit_is_refused_and_the_permit_named(refused, old, new, permit):
    leaky = GOOD.replace(old, new, 1)
    assert permit in refused(leaky)
    assert permit in refused(leaky, "protocol=paper")
    allowed = f"protocol={{name: fair, allow: [{permit}]}}"
    assert "`fair` permits nothing" in refused(leaky, allowed)


def test_all_errors_come_in_one_go_in_the_order_of_the_file(load):
    text = (
        GOOD.replace("n: 50", "n: many").replace("dcgan,", "dcgann,").replace("dermagan-cnn", "dermagan-cn")
    )
    with pytest.raises(UserErrors) as caught:
        load(text)
    assert [error.line for error in caught.value.errors] == [4, 8, 11]


@pytest.mark.parametrize(
    ("flag", "said"),
    [
        ("datasets.0.siz=3", "did you mean 'size'?"),
        ("datasets.1.size=3", "out of range"),
        ("datasets.-1.size=3", "negative index"),
        ("datasets.first.size=3", "not an index"),
        ("strategies.0.generator.base=3", "strategies.0.generator"),
        ("strategies.*.generator.bas=3", "did you mean 'base'?"),
        ("budgett.updates=3", "did you mean 'budget'?"),
        ("budget", "PATH=VALUE"),
        ("budget=[", "not valid YAML"),
        ("datasets.0.classes.mel=[a]", "datasets.0.classes"),
    ],
)
def test_set_refuses_a_path_that_does_not_exist(refused, flag, said):
    message = refused(GOOD, flag)
    assert f"--set {flag}" in message and said in message


def test_a_value_from_set_is_not_blamed_on_a_line_of_the_file(refused):
    message = refused(GOOD, "datasets.0.n=0")
    assert "from --set datasets.0.n" in message and "matrix.yaml" not in message


def test_a_value_from_a_preset_is_found_in_the_preset(refused):
    text = GOOD + 'presets:\n  smoke:\n    "datasets.*.n": 0\n'
    assert "matrix.yaml:14: datasets.0.n" in refused(text, presets=["smoke"])


def test_an_unknown_preset_is_refused(refused):
    assert "did you mean 'smoke'?" in refused(GOOD + "presets: {smoke: {}}\n", presets=["smok"])
    assert "has no presets" in refused(GOOD, presets=["smoke"])
    assert "did you mean 'smoke'?" in refused(GOOD + "presets: {smoke: {}}\n", presets=["smoke", "smok"])


def test_kfold_takes_only_its_folds(refused):
    assert "fold 5 of 5" in refused(GOOD.replace("n: 50", "split: {method: kfold}"), "seeds={split: [0, 5]}")


@pytest.mark.parametrize("text", ["", "- a\n", "just words\n"])
def test_a_file_that_is_no_map_is_refused(refused, text):
    assert "a matrix is a map" in refused(text)


@pytest.mark.parametrize(
    "text", ["datasets: 3", "datasets: [3]", "strategies: [[a]]", "classifiers: [{lr: 1}]", "metrics: 3"]
)
def test_any_shape_of_nonsense_is_refused_in_words(refused, text):
    key = text.partition(":")[0]
    kept = {
        "datasets": "dataset: phantom",
        "strategies": "strategies: [real-only]",
        "classifiers": "classifiers: [dermagan-cnn]",
    }
    kept.pop(key, None)
    message = refused("\n".join([text, *kept.values()]))
    assert key in message and "Traceback" not in message
