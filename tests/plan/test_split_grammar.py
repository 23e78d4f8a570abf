"""The grammar of splits on data with groups of unequal sizes and skewed classes: what is in each part and fold."""

import itertools
import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from derm_bench.errors import UserError
from derm_bench.matrix.model import PerClass, Split
from derm_bench.plan.split import plan_split, select
from derm_bench.specs import DatasetDescription

SHARES = {"nv": 0.80, "mel": 0.15, "df": 0.05}


def skewed(groups: int = 500, seed: int = 0, mixed: float = 0.0, largest: int = 6) -> DatasetDescription:
    """`groups` patients of 1 to `largest` images, most of one class; a share `mixed` has images of two classes."""
    rng = np.random.default_rng(seed)
    ids, labels, names = [], [], []
    for group in range(groups):
        own = str(rng.choice(list(SHARES), p=list(SHARES.values())))
        for view in range(int(rng.integers(1, largest + 1))):
            other = str(rng.choice(list(SHARES), p=list(SHARES.values())))
            ids.append(f"img{group:04d}v{view}")
            labels.append(other if rng.random() < mixed else own)
            names.append(f"patient{group:04d}")
    return DatasetDescription(
        ids=ids,
        labels=labels,
        classes=tuple(SHARES),
        groups=names,
        attributes={"site": [f"s{i % 40}" for i in range(len(ids))]},
    )


def planned(split: Split, seed: int = 0, source=None, limit=None, classes=None):
    source = source or skewed()
    selection = select(source, classes, limit or PerClass(), split.group, split.seed)
    return plan_split(selection, split, seed)


def together(split) -> bool:
    parts = defaultdict(set)
    for group, part in zip(split.groups, split.parts, strict=True):
        parts[group].add(part)
    return all(len(found) == 1 for found in parts.values())


def shares(counts: Counter) -> dict[str, float]:
    total = sum(counts.values())
    return {name: counts[name] / total for name in SHARES}


@pytest.mark.parametrize("mixed", [0.0, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_every_part_of_a_random_split_is_grouped_and_stratified(seed, mixed):
    split = planned(Split(test=0.2, val=0.1, reserve=0.1), seed, skewed(mixed=mixed))
    assert together(split)
    whole = shares(Counter(split.labels))
    for part, share in (("test", 0.2), ("val", 0.1), ("reserve", 0.1), ("train", 0.6)):
        counts = split.counts(part)
        assert sum(counts.values()) == pytest.approx(share * len(split.ids), rel=0.06), part
        assert all(abs(n - whole[name]) < 0.02 for name, n in shares(counts).items()), part


@pytest.mark.parametrize("mixed", [0.0, 0.3])
@pytest.mark.parametrize("folds", [3, 5])
def test_folds_are_grouped_stratified_and_of_equal_size(folds, mixed):
    source = skewed(mixed=mixed)
    splits = [planned(Split(method="kfold", folds=folds, val=0.1), k, source) for k in range(folds)]
    tested = Counter(split.ids[i] for split in splits for i in split.indices("test"))
    assert set(tested.values()) == {1} and len(tested) == len(source.ids), "each image is tested once"
    whole = shares(Counter(source.labels))
    for split in splits:
        assert together(split)
        for part in ("test", "train", "val"):
            assert all(abs(n - whole[name]) < 0.02 for name, n in shares(split.counts(part)).items()), part
        assert sum(split.counts("test").values()) == pytest.approx(len(source.ids) / folds, rel=0.03)


def test_a_rare_class_with_one_group_a_fold_is_in_every_fold():
    ids = [f"i{k:03d}" for k in range(100)]
    labels = ["common"] * 90 + ["rare"] * 10
    source = DatasetDescription(
        ids=ids, labels=labels, classes=("common", "rare"), groups=[f"g{k // 2}" for k in range(100)]
    )
    for fold in range(4):
        split = planned(Split(method="kfold", folds=4, val=0.0), fold, source)
        assert split.counts("test")["rare"] >= 2 and split.counts("train")["rare"] >= 6


@pytest.mark.parametrize("fractions", [(0.05, 0.1, 0.25, 0.5, 1.0), (0.01, 0.02, 0.03, 0.9)])
@pytest.mark.parametrize("largest", [2, 6, 40])
def test_training_fractions_are_nested_whatever_the_sizes_of_groups_and_val_and_test_stay(fractions, largest):
    split = planned(Split(), 0, skewed(200, mixed=0.1, largest=largest))
    subsets = [set(split.indices("train", fraction=f)) for f in fractions]
    for small, large in itertools.pairwise(subsets):
        assert small <= large
    for fraction, subset in zip(fractions, subsets, strict=True):
        assert {split.labels[i] for i in subset} == set(SHARES), "every class has an image"
        kept = {split.groups[i] for i in subset}
        assert subset == {i for i in split.indices("train") if split.groups[i] in kept}
        for part in ("val", "test"):
            assert split.indices(part, fraction=fraction) == split.indices(part)


def test_a_training_fraction_has_its_share_of_every_class():
    split = planned(Split(), 0, skewed(2000))
    whole = split.counts("train")
    for fraction in (0.1, 0.5):
        part = split.counts("train", fraction)
        for name in SHARES:
            assert part[name] == pytest.approx(fraction * whole[name], abs=max(4, 0.03 * whole[name])), name


@pytest.mark.parametrize("amount", [20, {"nv": 60, "mel": 30, "df": 7}])
def test_counts_a_class_are_met_exactly_where_groups_allow_and_never_exceeded(amount):
    split = planned(Split(test=PerClass(per_class=amount), val=PerClass(per_class=5)))
    for name, n in split.counts("test").items():
        wanted = amount if isinstance(amount, int) else amount[name]
        assert wanted - 2 <= n <= wanted, name
    assert together(split)


def test_a_count_that_leaves_a_class_out_is_refused():
    with pytest.raises(UserError, match="no count for the class 'df'") as caught:
        planned(Split(test=PerClass(per_class={"nv": 60, "mel": 30})))
    assert caught.value.path == ("split", "test", "per_class")


def test_limits_are_of_whole_groups_and_the_split_is_of_what_is_left():
    split = planned(Split(), limit=PerClass(per_class={"nv": 100, "mel": 40}))
    sizes = Counter(skewed().groups)
    assert all(n == sizes[group] for group, n in Counter(split.groups).items())
    counts = Counter(split.labels)
    assert 95 <= counts["nv"] <= 100 and 35 <= counts["mel"] <= 40
    assert counts["df"] == Counter(skewed().labels)["df"]


def test_merged_classes_are_stratified_as_merged():
    merged = {"malignant": ("mel",), "benign": ("nv", "df")}
    split = planned(Split(test=0.2), classes=merged)
    assert split.classes == ("malignant", "benign")
    totals = Counter(split.labels)
    for name, n in split.counts("test").items():
        assert n == pytest.approx(0.2 * totals[name], abs=3)


def test_a_column_groups_and_images_without_a_value_stand_alone():
    source = skewed(100, largest=1)
    missing = [None, "", math.nan, "NaN", "n/a", "unknown", "None"]
    column = [missing[i % 7] if i % 2 else f"clinic{i % 4}" for i in range(len(source.ids))]
    source = DatasetDescription(
        ids=source.ids,
        labels=source.labels,
        classes=source.classes,
        groups=source.groups,
        attributes={"clinic": column},
    )
    chosen = select(source, None, PerClass(), "clinic", 0)
    counts = Counter(chosen.groups)
    assert {name for name, n in counts.items() if n > 1} == {"clinic0", "clinic2"}
    assert len(counts) == 2 + 50, "each image without a clinic is a group of its own"


def test_without_grouping_every_image_is_a_group():
    assert len(set(planned(Split(group="none")).groups)) == len(skewed().ids)


def test_a_given_split_is_kept_with_its_val_and_a_reserve_is_taken_from_train():
    source = skewed()
    parts = {
        group: ("test", "val", "train", "train")[k % 4] for k, group in enumerate(sorted(set(source.groups)))
    }
    given = [parts[group] for group in source.groups]
    source = DatasetDescription(
        ids=source.ids, labels=source.labels, classes=source.classes, groups=source.groups, given_split=given
    )
    split = planned(Split(method="given", reserve=0.1), 0, source)
    for name, part in zip(source.ids, given, strict=True):
        now = split.parts[split.ids.index(name)]
        assert now == part or (part, now) == ("train", "reserve")
    assert together(split) and split.counts("reserve")


def test_a_given_split_with_a_group_on_both_sides_is_refused_unless_permitted():
    source = skewed(50, largest=4)
    given = ["test" if i % 3 == 0 else "train" for i in range(len(source.ids))]
    source = DatasetDescription(
        ids=source.ids, labels=source.labels, classes=source.classes, groups=source.groups, given_split=given
    )
    with pytest.raises(UserError, match=r"groups .* in several parts.*") as caught:
        planned(Split(method="given"), 0, source)
    assert "ungrouped_split" in caught.value.hint and caught.value.path == ("split", "method")
    selection = select(source, None, PerClass(), "auto", 0)
    split = plan_split(selection, Split(method="given"), 0, allow_ungrouped=True)
    assert Counter(split.parts)["test"] == given.count("test")


def test_validation_on_the_test_set_uses_its_images():
    split = planned(Split(val="test"))
    assert split.select_on_test and not split.counts("val")


def test_folds_do_not_depend_on_the_order_of_the_source_and_differ_by_seed():
    source = skewed()
    order = np.random.default_rng(0).permutation(len(source.ids)).tolist()
    shuffled = DatasetDescription(
        ids=[source.ids[i] for i in order],
        labels=[source.labels[i] for i in order],
        classes=source.classes,
        groups=[source.groups[i] for i in order],
    )
    kfold = Split(method="kfold", folds=4)
    assert planned(kfold, 1, source).digest == planned(kfold, 1, shuffled).digest
    other = planned(Split(method="kfold", folds=4, seed=1), 1, source)
    assert planned(kfold, 1, source).digest != other.digest


@pytest.mark.ham
def test_ham10000_has_no_lesion_across_splits_in_twenty_seeds_and_class_shares_in_every_fold():
    import os

    from derm_bench.dataset_parts import create_dataset
    from derm_bench.plugins import Plugins
    from derm_bench.specs import Task

    plugins = Plugins(builtins_only=True)
    spec = plugins.get("dataset", "ham10000")
    options = spec.options(root=os.environ["DERM_BENCH_DATA"])
    source = create_dataset(spec, options, Task((), 64), plugins).describe(options)
    assert (len(source.ids), len(set(source.groups))) == (10_015, 7_470)
    selection = select(source, None, PerClass(), "auto", 0)
    whole = Counter(source.labels)
    for seed in range(20):
        split = plan_split(selection, Split(), seed)
        assert together(split)
    folds = [plan_split(selection, Split(method="kfold"), fold) for fold in range(5)]
    for split in folds:
        assert together(split)
        counts, n = split.counts("test"), sum(split.counts("test").values())
        worst = max(abs(counts[name] / n - whole[name] / len(source.ids)) for name in whole)
        assert worst < 0.02, worst
