"""Matrices that are valid word by word and cannot be meant: each is refused in words."""

from __future__ import annotations

import pytest
from tests.matrix.test_matrix_errors import GOOD

from derm_bench.matrix.labels import matches

PAIR = "compare={{pairs: [[{}, {}]]}}"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("seeds", "[true]", ["seeds.0", "a whole number is expected, got True"]),
        ("seeds", "{classifier: [false]}", ["seeds.classifier.0", "a whole number is expected"]),
        ("seeds", "['1']", ["a whole number is expected, got '1'", "without quotes"]),
        (
            "classifiers.0.lr",
            "'0.1'",
            ["classifiers.0.lr", "a number is expected, got '0.1'", "without quotes"],
        ),
        ("strategies.1.generator.base", "'64'", ["a whole number is expected, got '64'"]),
        ("strategies.1.generator.budget", "{updates: '5'}", ["budget.updates", "a whole number is expected"]),
        ("classifiers.0.betas", "['0.5', 0.9]", ["classifiers.0.betas.0", "a number is expected"]),
        ("datasets.0.split.val", "'0.1'", ["datasets.0.split.val", "a number is expected"]),
        ("datasets.0.limit", "{per_class: {mel: '3'}}", ["limit.per_class.mel", "a whole number"]),
        ("limits.timeout", "true", ["limits.timeout", "a number is expected, got True"]),
        ("strategies.1.synthetic.replace_real", "on", ["true or false is expected, got 'on'", "write true"]),
        ("classifiers.0.freeze", "1", ["classifiers.0.freeze", "true or false is expected, got 1"]),
        ("product", "'no'", ["product", "true or false is expected"]),
        ("strategies.0.augment", "[{rotate: '30'}]", ["rotate.degrees", "a number is expected, got '30'"]),
    ],
)
def test_a_scalar_of_another_type_is_not_converted(refused, path, value, said):
    message = refused(GOOD, f"{path}={value}")
    assert all(word in message for word in said), message


def test_numbers_that_are_whole_may_be_written_with_an_exponent_and_numbers_without_a_point(load):
    matrix = load(GOOD, "budget.updates=1e3", "classifiers.0.lr=1", "strategies.1.synthetic={balance: true}")
    assert matrix.budget.updates == 1000 and matrix.classifiers[0].options.lr == 1.0


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("test_sets", "[]", ["give at least one of test_sets"]),
        ("test_sets", "[{name: external}]", ["test_sets.0", "'external' has no data set"]),
        ("test_sets", "[test, {name: other}]", ["test_sets.1", "'other' has no data set"]),
        ("test_sets", "[{name: test, label_map: m.yaml}]", ["label_map", "no `dataset:`"]),
        ("datasets.0.classes", "[mel, mel]", ["datasets.0.classes", "the class 'mel' is listed twice"]),
        ("datasets.0.classes", "{a: [mel, mel], b: nv}", ["classes.a", "'mel' is listed twice"]),
        ("datasets.0.classes", "{a: [mel, nv]}", ["at least two classes", "one: 'a'"]),
        ("datasets.0.classes", "{a: [mel, nv], b: []}", ["classes.b", "no label is merged"]),
        ("strategies.1.generator.classes", "[mel, mel]", ["generator.classes", "'mel' is listed twice"]),
        ("strategies.1.generator.classes", "[]", ["an empty list of classes"]),
        ("strategies.1.generator.scope", "[[mel], [nv], [mel]]", ["scope", "'mel' is listed twice"]),
        ("strategies.0.name", "control", ["strategies.0.name", "cannot be called 'control'"]),
        ("analysis.margin", "5", ["analysis.margin", "less than or equal to 0.5"]),
        ("analysis.alpha", "0.999999", ["analysis.alpha", "less than or equal to 0.5"]),
        ("analysis.alpha", "1e-9", ["analysis.alpha", "greater than or equal"]),
        ("compare.baselines", "[real-only, real-only]", ["baseline 'real-only' is listed twice"]),
        ("classifiers.0.lr", "1000", ["classifiers.0.lr", "less than or equal to 10"]),
        (
            "classifiers.0.betas",
            "[0.9, 1.0]",
            ["classifiers.0.betas", "at least 0 and below 1, got [0.9, 1.0]"],
        ),
        ("classifiers.0.betas", "[-0.1, 0.9]", ["classifiers.0.betas", "at least 0 and below 1"]),
        ("numerics.threads", "1024", ["numerics.threads", "less than or equal to 256"]),
        ("datasets.0.clean.blurred", "1e12", ["clean.blurred", "less than or equal to 10000"]),
        ("seeds", f"{list(range(20_000))}", ["seeds", "at most 1000"]),
        (
            "datasets.0.train_fraction",
            f"{[k / 1000 for k in range(1, 1000)]}",
            ["train_fraction", "at most 100"],
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(refused, path, value, said):
    message = refused(GOOD, f"{path}={value}")
    assert all(word in message for word in said), message


@pytest.mark.parametrize(
    ("arm", "baseline"),
    [
        ("{strategy: gan}", "{strategy: gan}"),
        ("{strategy: gan, classifier: dermagan-cnn}", "{strategy: gan}"),
        ("{strategy: gan}", "{strategy: gan, classifier: dermagan-cnn}"),
    ],
)
def test_an_arm_is_not_compared_with_itself(refused, arm, baseline):
    assert "compared with itself" in refused(GOOD, PAIR.format(arm, baseline))


def test_a_pair_is_listed_once(refused):
    pair = "[{strategy: gan}, {strategy: real-only}]"
    assert "listed before" in refused(GOOD, f"compare={{pairs: [{pair}, {pair}]}}")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("seed: 7", "no cell has seed 7"),
        ("split_seed: 3", "no cell has split_seed 3"),
        ("generator_seed: 4", "no cell has generator_seed 4"),
        ("train_fraction: 0.5", "no cell has train_fraction 0.5"),
        ("seed: .nan", "a number is expected, got nan"),
        ("train_fraction: .inf", "a number is expected, got inf"),
        ("seed: 1e300", "below 2**32"),
    ],
)
def test_what_is_excluded_exists(refused, entry, said):
    assert said in refused(f"{GOOD}seeds: [0, 1]\nexclude: [{{strategy: gan, {entry}}}]\n")


def test_a_preset_with_fewer_seeds_leaves_an_exclusion_without_effect(load):
    text = f"{GOOD}seeds: [0, 1]\nexclude: [{{strategy: gan, seed: 1}}]\npresets: {{smoke: {{seeds: [0]}}}}\n"
    assert load(text, presets=["smoke"]).seeds.together == (0,)


def test_an_included_fold_exists(refused):
    text = GOOD.replace("n: 50", "split: {method: kfold, folds: 3}")
    message = refused(text, "seeds={split: [0]}", "include=[{strategy: gan, split_seed: 3}]")
    assert "include.0.split_seed" in message and "fold 3 of 3" in message


@pytest.mark.parametrize(
    "sweep",
    [
        "[{lr: 0.1, label: a}, {lr: 0.1, label: b}]",
        "[{lr: 0.001, label: a}, {dropout: 0.5, label: b}, {dropout: 0.0, label: c}]",
        "{lr: [0.1, 1e-1]}",
    ],
)
def test_two_points_of_a_sweep_differ(refused, sweep):
    assert "is the same as" in refused(
        GOOD.replace("- name: dermagan-cnn", f"- {{name: dermagan-cnn, sweep: {sweep}}}")
    )


@pytest.mark.parametrize(
    ("path", "said"),
    [
        (r"a\0b", "cannot be a path"),
        ("~nobody-of-that-name/x", "cannot be a path"),
        ("x" * 5000, "cannot be a path"),
    ],
)
def test_what_cannot_be_a_path_is_refused(refused, path, said):
    text = GOOD.replace("name: phantom\n    n: 50", f'name: ham10000\n    root: "{path}"')
    message = refused(text)
    assert "datasets.0.root" in message and said in message and len(message) < 1000


@pytest.mark.parametrize("digits", ["0x" + "f" * 10_000, "0o" + "7" * 10_000, "9" * 400, "1" * 10_000 + ".5"])
def test_a_number_of_thousands_of_digits_is_refused(refused, digits):
    assert "too many digits" in refused(GOOD.replace("n: 50", f"n: {digits}"))


@pytest.mark.parametrize(
    "path", ["datasets." + "9" * 5000 + ".size", "datasets.0." + "a" * 5000, "dataset." * 5000]
)
def test_a_path_of_thousands_of_characters_is_refused(refused, path):
    message = refused(GOOD, f"{path}=3")
    assert "characters, more than" in message and len(message) < 1000


def test_set_with_bytes_that_are_not_utf_8_is_refused(refused):
    assert "not UTF-8" in refused(GOOD, "name=\udcff")


def test_an_error_at_a_hundred_places_is_said_once(refused):
    many = "".join(f"  - {{name: s{k}, generator: nowhere}}\n" for k in range(100))
    message = refused(GOOD.replace("classifiers:", f"{many}classifiers:"))
    assert message.count("no generator is named 'nowhere'") == 1
    assert "(and at 99 more places)" in message and len(message.splitlines()) == 2


def test_ten_errors_are_shown_and_the_others_counted(refused):
    keys = ", ".join(f"k{k}: 1" for k in range(10_000))
    message = refused(GOOD.replace("- name: real-only", f"- {{name: real-only, {keys}}}"))
    assert message.count("unknown key") == 10 and message.endswith("and 9990 more errors")


def test_a_sweep_of_thousands_of_options_or_points_is_refused_before_it_is_expanded(refused):
    options = ", ".join(f"k{k}: [1]" for k in range(2_000))
    points = ", ".join(f"{{lr: {k}}}" for k in range(10_001))
    for sweep in (f"{{{options}}}", f"[{points}]"):
        entry = f"- {{name: dermagan-cnn, sweep: {sweep}}}"
        assert "a sweep of more than" in refused(GOOD.replace("- name: dermagan-cnn", entry))


def test_thousands_of_exclusions_of_thousands_of_cells_are_refused(refused):
    many = ", ".join(["{strategy: 'g*n'}"] * 1500)
    seeds = f"seeds: {{split: {list(range(50))}, classifier: {list(range(50))}}}\n"
    assert "1500 entries for 5000 cells" in refused(f"{GOOD}{seeds}exclude: [{many}]\n")


def test_thousands_of_pairs_are_refused(refused):
    pairs = ", ".join(["[{strategy: gan}, {strategy: real-only}]"] * 2000)
    assert "at most 1000" in refused(f"{GOOD}compare: {{pairs: [{pairs}]}}\n")


def test_a_pattern_with_many_wildcards_is_matched_without_backtracking():
    assert not matches("*a" * 1000 + "b", "a" * 5000)
    assert matches("*a" * 1000, "a" * 5000)


@pytest.mark.parametrize(
    ("pattern", "text", "match"),
    [
        ("a*", "abc", True),
        ("*c", "abc", True),
        ("a*c", "ac", True),
        ("ab*b", "ab", False),
        ("a*b*a", "aba", True),
        ("a*bb*b", "abb", False),
        ("*", "", True),
        ("", "a", False),
        ("a**b", "ab", True),
        ("a.c", "abc", False),
    ],
)
def test_only_the_star_is_wild(pattern, text, match):
    assert matches(pattern, text) is match
