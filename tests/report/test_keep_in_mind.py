"""What the report and the terminal say that a reader should keep in mind: once, in plain words."""

from types import SimpleNamespace

import pytest
from tests.report.test_tables import data_of, row

from derm_bench.report.keep_in_mind import changed_shares, keep_in_mind, only_class


def scores(recalls, precision, accuracy):
    return {f"recall_{name}": value for name, value in recalls.items()} | {
        "recall_macro": 0.5, "precision_nv": precision, "precision_mel": 0.0, "accuracy": accuracy,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("recalls", "precision", "accuracy", "expected"),
    [
        ({"mel": 0.0, "nv": 1.0}, 0.8, 0.8, "nv"),
        ({"mel": 0.0, "nv": 1.0, "bkl": 0.0}, 0.6, 0.6, "nv"),
        ({"mel": 0.0, "nv": 1.0, "bkl": 0.0}, 0.7, 0.6, None),  # mel and bkl are mistaken for each other too
        ({"mel": 0.1, "nv": 1.0}, 0.8, 0.81, None),
        ({"nv": 1.0, "mel": None}, 1.0, 1.0, None),  # the test set has one class
        ({"nv": 1.0, "mel": 1.0}, 1.0, 1.0, None),
    ],
)
def test_a_classifier_that_calls_everything_one_class_is_told_by_its_scores(
    recalls, precision, accuracy, expected
):
    assert only_class(scores(recalls, precision, accuracy)) == expected


def test_such_classifiers_are_named_in_one_line():
    constant = scores({"mel": 0.0, "nv": 1.0}, 0.8, 0.8)
    fine = scores({"mel": 0.5, "nv": 0.9}, 0.9, 0.8)
    results = [row("gan", seed, 0.5, **(constant if seed else fine)) for seed in range(3)]
    results += [row("real-only", seed, 0.5, **constant) for seed in range(3)]
    (line,) = [line for line in keep_in_mind(data_of(results)) if "same class" in line]
    assert "gan/net ('nv', 2 of 3 scores) and real-only/net ('nv', 3 of 3 scores)" in line


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (
            {("gan", 1)},
            "1 cell has no result. Where some seeds of an arm are missing, its mean is over the others.",
        ),
        ({("gan", 0), ("gan", 1)}, "2 cells have no result."),
        ({("gan", 0), ("gan", 1), ("real-only", 0)}, "3 cells have no result. Where some seeds"),
    ],
)
def test_a_mean_over_other_seeds_is_only_spoken_of_where_there_is_one(missing, said):
    results = [
        row(name, seed, 0.5, status="failed" if (name, seed) in missing else "done")
        for name in ("real-only", "gan")
        for seed in range(2)
    ]
    (line,) = [line for line in keep_in_mind(data_of(results)) if "no result" in line]
    assert line.startswith(said) and (line == said or len(missing) == 3)


def training_set(strategy, generator="", **counts):
    """Rows of composition.csv; `mel=(20, 60)` is 20 real and 60 synthetic images."""
    return [
        {
            "dataset": "d", "train_fraction": 1.0, "strategy": strategy, "generator": generator, "split_seed": 0,
            "generator_seed": 0 if generator else None, "split": "train", "class": name, "real": real,
            "synthetic": synthetic,
        }
        for name, (real, synthetic) in counts.items()
    ]  # fmt: skip


def run_with(*strategies, rows):
    """A run with these (name, generator, balance)."""
    data = data_of([row("real-only", 0, 0.5)], composition=[one for each in rows for one in each])
    entries = [
        {"name": name, "generator": {"name": generator} if generator else None, "balance": balance}
        for name, generator, balance in strategies
    ]
    data.manifest["matrix"]["strategies"] = entries
    return data


REAL = training_set("real-only", mel=(20, 0), nv=(80, 0))
FILLED = training_set("filled", "g", mel=(20, 60), nv=(80, 0))


@pytest.mark.parametrize(
    ("other", "rows", "warned"),
    [
        (("again", "duplicate", None), training_set("again", "d", mel=(20, 60), nv=(80, 0)), False),
        (("again", "duplicate", None), training_set("again", "d", mel=(20, 10), nv=(80, 0)), True),
        (("even", "", "oversample"), training_set("even", mel=(20, 0), nv=(80, 0)), False),
        (("weighted", "", "class-weights"), training_set("weighted", mel=(20, 0), nv=(80, 0)), True),
    ],
)
def test_an_arm_whose_class_shares_changed_without_a_control_is_named(other, rows, warned):
    data = run_with(("real-only", "", None), ("filled", "dcgan", None), other, rows=[REAL, FILLED, rows])
    said = changed_shares(data)
    assert len(said) == warned
    assert all("filled" in line and "duplicate" in line for line in said)


def test_arms_that_keep_the_shares_or_add_nothing_are_not_named():
    doubled = training_set("doubled", "g", mel=(20, 20), nv=(80, 80))
    empty = training_set("empty", "g", mel=(20, 0), nv=(80, 0))
    names = (("real-only", "", None), ("doubled", "dcgan", None), ("empty", "dcgan", None))
    assert changed_shares(run_with(*names, rows=[REAL, doubled, empty])) == []


def test_arms_that_changed_the_shares_of_several_data_sets_are_one_line():
    other = [one | {"train_fraction": 0.1} for one in (*REAL, *FILLED)]
    (line,) = changed_shares(
        run_with(("real-only", "", None), ("filled", "dcgan", None), rows=[REAL, FILLED, other])
    )
    assert line.startswith("d and d@0.1: the synthetic images of filled change the shares")


def test_equal_warnings_about_generators_are_one_line(monkeypatch):
    from derm_bench.rundir import tables

    rows = [
        {"strategy": "gan", "class": "mel", "generator_seed": seed, "dataset": "d", "flags": ["one image"]}
        for seed in range(6)
    ]
    monkeypatch.setattr(tables, "health_rows", lambda *_: iter(rows))
    stages = SimpleNamespace(warnings=["said", "said"], cells=[], decodes={})
    found = tables.warnings_of(stages, None)
    assert found[0] == "said" and len(found) == 2
    assert found[1].startswith("gan [mel] seed 0 on d, ") and found[1].endswith(" and 2 more: one image")


@pytest.mark.parametrize(
    ("done", "said"), [(0, None), (1, "One seed"), (2, "Two seeds: there are no intervals"), (5, None)]
)
def test_few_seeds_are_named_and_none_are_not_called_few(done, said):
    results = [row("real-only", seed, 0.5) for seed in range(done)]
    results += [row("real-only", 7, 0.5, status="pending")] if not done else []
    data = data_of(results)
    lines = [line for line in keep_in_mind(data) if "seed" in line.lower() and "interval" in line]
    assert (said is None) == (not lines) and all(said in line for line in lines)


def test_what_is_said_of_several_data_sets_is_one_line():
    data = data_of([row("real-only", seed, 0.5) for seed in range(5)])
    data.manifest["datasets"] = {"plain": {}, "filtered": {}, "other": {}}
    data.manifest["warnings"] = [
        "plain: 3 images are blurred",
        {"message": "filtered: few images of tone 6"},
        "filtered: 3 images are blurred",
        "other: 4 images are blurred",
        "note: 3 images are blurred",
    ]
    assert keep_in_mind(data)[:4] == [
        "plain, filtered: 3 images are blurred",
        "filtered: few images of tone 6",
        "other: 4 images are blurred",
        "note: 3 images are blurred",  # no data set
    ]
