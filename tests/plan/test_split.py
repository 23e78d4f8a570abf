"""The split: grouped, stratified, nested, frozen."""

from collections import Counter, defaultdict

import pytest

from derm_bench.errors import UserError
from derm_bench.matrix.model import PerClass, Split
from derm_bench.plan.split import plan_split, select
from derm_bench.specs import DatasetDescription
from derm_bench.splits import read_split


def description(
    lesions: int = 120, views: int = 3, classes: tuple[str, ...] = ("mel", "nv", "bkl")
) -> DatasetDescription:
    """`lesions` lesions, of 1 to `views` images each, classes in turn."""
    ids, labels, groups = [], [], []
    for lesion in range(lesions):
        for view in range(1 + lesion % views):
            ids.append(f"img{lesion:04d}v{view}")
            labels.append(classes[lesion % len(classes)])
            groups.append(f"lesion{lesion}")
    return DatasetDescription(
        ids=ids, labels=labels, classes=classes, groups=groups, attributes={"site": ["arm"] * len(ids)}
    )


def planned(split: Split, seed: int = 0, **changes):
    selection = select(description(**changes), None, PerClass(), split.group, split.seed)
    return plan_split(selection, split, seed)


def test_no_lesion_is_in_two_splits():
    parts = defaultdict(set)
    split = planned(Split(test=0.2, val=0.1, reserve=0.1))
    for group, part in zip(split.groups, split.parts, strict=True):
        parts[group].add(part)
    assert all(len(found) == 1 for found in parts.values())
    assert set(split.parts) == {"train", "val", "test", "reserve"}


def test_shares_are_met_in_every_class():
    split = planned(Split(test=0.25, val=0.1), lesions=300)
    totals = Counter(split.labels)
    for name, n in split.counts("test").items():
        assert abs(n - 0.25 * totals[name]) <= 2, name


def test_counts_a_class_are_exact_where_groups_allow():
    split = planned(Split(test=PerClass(per_class=20), val=0.1), lesions=300, views=2)
    assert set(split.counts("test").values()) == {20}


def test_the_split_does_not_depend_on_the_order_of_the_source():
    forward = description()
    order = list(reversed(range(len(forward.ids))))
    backward = DatasetDescription(
        ids=[forward.ids[i] for i in order],
        labels=[forward.labels[i] for i in order],
        classes=forward.classes,
        groups=[forward.groups[i] for i in order],
    )
    splits = [plan_split(select(d, None, PerClass(), "auto", 0), Split(), 0) for d in (forward, backward)]
    assert splits[0].digest == splits[1].digest


def test_another_seed_gives_another_split_and_the_same_seed_the_same():
    assert planned(Split(), 0).digest == planned(Split(), 0).digest != planned(Split(), 1).digest


def test_the_digest_is_that_of_the_sorted_csv():
    import hashlib

    split = planned(Split())
    lines = split.csv.decode().splitlines()
    assert lines[0] == "image_id,group,label,split"
    assert lines[1:] == sorted(lines[1:])
    assert split.digest == hashlib.sha256(split.csv).hexdigest()
    assert read_split(split.csv, split.classes) == split


def test_fractions_of_train_are_nested_and_leave_val_and_test_alone():
    split = planned(Split(), lesions=400)
    small, half, whole = (set(split.indices("train", fraction=f)) for f in (0.1, 0.5, 1.0))
    assert small < half < whole
    assert 0.35 < len(half) / len(whole) < 0.65
    assert split.indices("test", fraction=0.1) == split.indices("test")


def test_fractions_keep_whole_groups():
    split = planned(Split())
    kept = {split.groups[i] for i in split.indices("train", fraction=0.5)}
    left = {split.groups[i] for i in split.indices("train")} - kept
    assert all(split.groups[i] not in left for i in split.indices("train", fraction=0.5))


def test_folds_cover_every_image_once_and_stratify():
    splits = [planned(Split(method="kfold", folds=4, val=0.1), fold, lesions=200) for fold in range(4)]
    tested = Counter(i for split in splits for i in split.indices("test"))
    assert set(tested.values()) == {1}
    assert len(tested) == len(splits[0].ids)
    totals = Counter(splits[0].labels)
    for split in splits:
        for name, n in split.counts("test").items():
            assert abs(n - totals[name] / 4) <= 3


def test_the_given_split_is_kept():
    source = description(60, views=1)
    given = ["test" if i % 3 == 0 else "train" for i in range(len(source.ids))]
    source = DatasetDescription(ids=source.ids, labels=["a", "b"] * 30, classes=("a", "b"), given_split=given)
    split = plan_split(select(source, None, PerClass(), "auto", 0), Split(method="given", val=0.2), 0)
    assert [split.ids[i] for i in split.indices("test")] == sorted(
        i for i, g in zip(source.ids, given, strict=True) if g == "test"
    )
    assert split.counts("val")


def test_labels_merge():
    chosen = select(description(), {"malignant": ("mel",), "benign": ("nv", "bkl")}, PerClass(), "auto", 0)
    assert set(chosen.labels) == {"malignant", "benign"}
    assert chosen.classes == ("malignant", "benign")


def test_limits_take_whole_groups():
    source = description(200)
    chosen = select(source, None, PerClass(per_class={"mel": 30, "nv": 41}), "auto", 0)
    counts = Counter(chosen.labels)
    assert (counts["mel"], counts["nv"]) == (30, 40)  # every nv lesion has two views
    assert counts["bkl"] == Counter(source.labels)["bkl"]
    sizes, kept = Counter(source.groups), Counter(chosen.groups)
    assert all(kept[group] == sizes[group] for group in kept)


@pytest.mark.parametrize(
    ("classes", "said"),
    [({"m": ("melanoma",)}, "no class 'melanoma'"), ({"a": ("mel",), "b": ("mel",)}, "merged into both")],
)
def test_wrong_classes_are_refused(classes, said):
    with pytest.raises(UserError, match=said):
        select(description(), classes, PerClass(), "auto", 0)


def test_a_class_with_too_few_images_is_named():
    source = description(30, views=1)
    labels = ["rare" if i == 0 else label for i, label in enumerate(source.labels)]
    source = DatasetDescription(
        ids=source.ids, labels=labels, classes=(*source.classes, "rare"), groups=source.groups
    )
    with pytest.raises(UserError, match=r"class 'rare' has too few images.*1 images in 1 groups"):
        plan_split(select(source, None, PerClass(), "auto", 0), Split(), 0)


def test_a_class_of_large_groups_still_gets_a_validation_image():
    source = DatasetDescription(
        ids=[f"i{k:02d}" for k in range(24)],
        labels=["a"] * 12 + ["b"] * 12,
        classes=("a", "b"),
        groups=[f"lesion{k // 4}" for k in range(24)],
    )
    split = plan_split(select(source, None, PerClass(), "auto", 0), Split(test=0.3, val=0.05), 0)
    assert split.counts("val") == {"a": 4, "b": 4}


def test_grouping_by_an_unknown_column_names_the_known_ones():
    with pytest.raises(UserError, match="site"):
        select(description(), None, PerClass(), "patient", 0)
