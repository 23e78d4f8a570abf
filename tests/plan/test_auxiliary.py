"""Labels of auxiliary tasks: from the tasks and attributes of a data set into the key and the batches of a training."""

import json

import pytest
import torch
from tests.conftest import read_csv, toy_matrix

from derm_bench.errors import UserError
from derm_bench.machine import Machine
from derm_bench.matrix.cells import cells
from derm_bench.matrix.load import load_matrix
from derm_bench.plan.planner import make_plan
from derm_bench.plugins import Plugins
from derm_bench.stages.auxiliary import inherited
from derm_bench.stages.synthetic import joined
from derm_bench.testing.phantoms import phantoms

TINY = {"name": "ab-mtedeep", "preset": "tiny", "input_size": 32}
BLOBS = {"name": "toy-blobs", "size": 8, "images": 90}


@pytest.fixture
def plan(toys, write_matrix):
    def make(auxiliary=None, dataset=None, **changes):
        plugins = Plugins()
        classifier = TINY | ({"auxiliary": auxiliary} if auxiliary else {})
        content = {
            "dataset": BLOBS | (dataset or {}),
            "seeds": [0],
            "strategies": [{"name": "real-only"}],
            "classifiers": [classifier],
        }
        matrix = load_matrix(write_matrix(toy_matrix(**(content | changes))), plugins)
        return make_plan(matrix, cells(matrix, plugins), plugins, Machine("cpu", ("cpu",), "fp32", 2))

    return make


def the(plan, kind):
    (stage,) = [stage for stage in plan.stages.values() if stage.kind == kind]
    return stage


def planned_labels(plan, task):
    stated = the(plan, "train").params.auxiliary[task]
    codes = json.loads(plan.data[stated["labels"]])
    return {name: stated["classes"][code] for name, code in codes.items()}


def test_the_values_of_an_attribute_are_the_labels_of_training_images(plan):
    made = plan("site")
    (split,) = made.splits.values()
    train = {split.ids[i] for i in split.indices("train")}
    labels = planned_labels(made, "site")
    assert set(labels) == train
    assert labels == {name: "arm" if int(name[4:]) % 2 else "leg" for name in train}


def test_a_task_of_the_data_set_may_lack_labels(plan):
    labels = planned_labels(plan("side", {"graded": True}), "side")
    assert set(labels.values()) == {"left", "right"}
    assert all(int(name[4:]) % 3 != 2 for name in labels)


def test_without_an_auxiliary_task_none_is_planned(plan):
    assert the(plan(), "train").params.auxiliary == {}


def test_keys_change_with_the_labels_that_are_used_and_only_with_them(plan, monkeypatch):
    from toy_plugins.data import Blobs

    described = Blobs.describe

    def relabelled(of):
        def describe(self, options):
            found = described(self, options)
            changed = {name: of(name, found.ids, column) for name, column in found.attributes.items()}
            object.__setattr__(found, "attributes", changed)
            return found

        return describe

    before, without = plan("site"), plan()
    train = set(planned_labels(before, "site"))
    seen, unseen = sorted(train)[0], sorted({f"blob{k:03d}" for k in range(90)} - train)[0]

    def swapped(which):
        def of(name, ids, column):
            if name != "site":
                return column
            return ["face" if image == which else value for image, value in zip(ids, column, strict=True)]

        return of

    monkeypatch.setattr(Blobs, "describe", relabelled(swapped(seen)))
    assert the(plan("site"), "train").key != the(before, "train").key
    assert the(plan("site"), "decode").key == the(before, "decode").key
    assert the(plan(), "train").key == the(without, "train").key
    monkeypatch.setattr(Blobs, "describe", relabelled(swapped(unseen)))
    assert the(plan("site"), "train").key == the(before, "train").key


def test_a_task_of_the_data_set_is_in_the_key_of_its_images(plan, monkeypatch):
    from toy_plugins.data import Blobs

    before, described = plan(dataset={"graded": True}), Blobs.describe

    def describe(self, options):
        found = described(self, options)
        object.__setattr__(found, "aux_labels", {"side": ["left", *found.aux_labels["side"][1:]][::-1]})
        return found

    monkeypatch.setattr(Blobs, "describe", describe)
    assert the(plan(dataset={"graded": True}), "decode").key != the(before, "decode").key


@pytest.mark.parametrize(
    ("auxiliary", "words"),
    [
        ("sites", ["neither a task nor an attribute of the data set 'toy-blobs'", "site", "classifiers"]),
        ("hair_type", ["it has age, site"]),
    ],
)
def test_a_task_that_does_not_exist_is_refused_with_those_that_do(plan, auxiliary, words):
    with pytest.raises(UserError) as caught:
        plan(auxiliary)
    assert all(word in str(caught.value) for word in words), caught.value


def test_a_task_of_one_label_is_refused(plan):
    with pytest.raises(UserError, match=r"have only \['young'\]"):
        plan("age", {"aged_in_words": True})


def test_classes_that_a_derived_task_names_are_checked_while_planning(plan):
    with pytest.raises(UserError) as caught:
        plan(classifiers=[TINY | {"derived": {"warm": ["red", "gren"], "cold": ["blue"]}}])
    assert "no class 'gren'" in str(caught.value) and "green" in str(caught.value)


# ----------------------------------------------------------------------------------- synthetic images


def test_synthetic_images_have_the_labels_of_their_sources_and_otherwise_none():
    real = phantoms(classes=2, per_class=2, size=8)
    real = real.__class__(
        real.images,
        real.labels,
        real.classes,
        real.ids,
        real.groups,
        aux_labels={"site": torch.tensor([2, 0, -1, 1])},
    )
    sources = [real.ids[3], real.ids[2], "elsewhere", real.ids[0]]
    assert inherited(real, sources, 4)["site"].tolist() == [1, -1, -1, 2]
    assert inherited(real, [], 4) == {}
    made = phantoms(classes=2, per_class=1, size=8, seed=3)
    assert joined(real, made).aux_labels["site"].tolist() == [2, 0, -1, 1, -1, -1]


@pytest.mark.parametrize("generator", ["duplicate", pytest.param("toy-mean", marks=pytest.mark.slow)])
def test_labels_reach_the_loss_with_real_and_synthetic_images(
    in_process, write_matrix, tmp_path, toys, generator
):
    strategy = {
        "name": "more",
        "generator": {"name": generator},
        "synthetic": {"per_class": 6, "replace_real": True},
    }
    if generator == "toy-mean":
        strategy["generator"] |= {"scope": "per_class", "budget": {"updates": 2}}
    matrix = write_matrix(
        dataset=BLOBS,
        seeds=[0],
        strategies=[strategy],
        classifiers=[TINY | {"auxiliary": "site"}],
        budget={"updates": 3},
    )
    ran = in_process("run", matrix, "--out", "out")
    assert ran.code == 0, ran.err
    losses = [
        float(row["value"])
        for row in read_csv(tmp_path / "out/history.csv")
        if row["metric"] == "loss_auxiliary"
    ]
    # Copies of real images have the labels of their sources; images of a GAN have none.
    assert losses and all((loss > 0) == (generator == "duplicate") for loss in losses)
