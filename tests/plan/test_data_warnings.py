"""What a plan says about classes with few images, and about groups that are no lesions or patients."""

import pytest
from tests.conftest import toy_matrix

from derm_bench.machine import Machine
from derm_bench.matrix.cells import cells
from derm_bench.matrix.load import load_matrix
from derm_bench.plan.data_warnings import warnings_of_groups
from derm_bench.plan.planner import make_plan
from derm_bench.plan.split import Selection
from derm_bench.plugins import Plugins


@pytest.fixture
def planned(toys, write_matrix, tmp_path, monkeypatch):
    """The warnings of a plan for class folders with these numbers of (empty) files."""
    monkeypatch.setenv("DERM_BENCH_CACHE", str(tmp_path / "cache"))

    def make(
        counts, classifiers=({"name": "dermagan-cnn", "batch_size": 16},), strategies=("real-only",), **more
    ):
        for name, n in counts.items():
            (tmp_path / "data" / name).mkdir(parents=True)
            for k in range(n):
                (tmp_path / "data" / name / f"{k}.jpg").write_text(f"{name} {k}")
        dataset = {"name": "image-folder", "root": str(tmp_path / "data"), "size": 32, **more}
        strategies = [{"name": s} if isinstance(s, str) else s for s in strategies]
        plugins = Plugins()
        written = toy_matrix(dataset=dataset, classifiers=list(classifiers), strategies=strategies, seeds=[0])
        matrix = load_matrix(write_matrix(written), plugins)
        return make_plan(
            matrix, cells(matrix, plugins), plugins, Machine("cpu", ("cpu",), "fp32", 2)
        ).warnings

    return make


def test_a_class_smaller_than_a_batch_is_named_with_its_number(planned):
    classifier = {"name": "dermagan-cnn", "batch_size": 24}
    (said,) = planned({"common": 200, "rare": 30, "other": 40}, classifiers=[classifier])
    assert "fewer training images than a batch of dermagan-cnn (24): rare 21" in said and "other" not in said


def test_the_largest_batch_counts_that_of_a_generator_too(planned):
    generator = {"name": "dcgan", "batch_size": 48, "budget": {"updates": 2}}
    strategies = [{"name": "gan", "generator": generator, "synthetic": {"ratio": 1}}]
    (said,) = [w for w in planned({"a": 200, "b": 60}, strategies=strategies) if "batch" in w]
    assert "a batch of dcgan (48): b 42" in said


def test_very_few_images_to_train_on_and_to_test_with_are_named(planned):
    trained, tested, _ = planned({"common": 200, "few": 5, "fewer": 3})
    assert "very few training images: fewer 1, few 3" in trained
    assert "very few test images: few 1, fewer 1; one image is up to 100 points of a recall" in tested


def test_a_training_fraction_has_numbers_of_its_own(planned):
    said = planned({"a": 200, "b": 100}, train_fraction=[0.1, 1.0])
    assert [w.partition(":")[0] for w in said] == ["image-folder@0.1", "image-folder@0.1"]
    assert "very few training images: b 7" in said[0] and "than a batch" in said[1]


def test_enough_images_are_no_warning(planned):
    assert planned({"a": 40, "b": 30}) == []


def selection(groups, labels):
    ids = tuple(str(k) for k in range(len(labels)))
    return Selection(ids, tuple(labels), tuple(groups), ("a", "b"))


@pytest.mark.parametrize("value", ["nan", "unknown patient", "0"])
def test_a_group_over_a_tenth_of_the_images_is_a_warning(value):
    groups = [*([value] * 12), *(str(k) for k in range(1, 89))]
    (said,) = warnings_of_groups("set", selection(groups, ["a"] * 100))
    assert f"the group '{value}' has 12 of 100 images, more than a tenth" in said


@pytest.mark.parametrize("n", [1, 3, 8])
def test_groups_over_several_classes_are_a_warning(n):
    groups = [*(f"p{k % n}" for k in range(2 * n)), *(f"q{k}" for k in range(100))]
    labels = [*["a"] * n, *["b"] * n, *["a"] * 100]
    (said,) = warnings_of_groups("set", selection(groups, labels))
    assert (
        f"{n} group{'s' * (n > 1)} of {100 + n} contain images of several classes, such as 'p0' (a 1, b 1)"
        in said
    )


def test_images_without_groups_are_no_warning():
    chosen = selection(["x"] * 40, ["a", "b"] * 20)
    alone = Selection(chosen.ids, chosen.labels, chosen.ids, chosen.classes)
    assert list(warnings_of_groups("set", alone)) == []
