"""Data derived from the images of a data set: made once for all that want the same, and served with each batch."""

import json

import numpy as np
import pytest
from tests.conftest import read_csv

MAPPED = {"name": "toy-mapped", "budget": {"updates": 4}}
STRATEGIES = [
    {"name": "real-only"},
    {"name": "mapped", "generator": MAPPED, "synthetic": {"per_class": {"red": 5}}},
]


def derived(planned) -> list[dict]:
    return [stage for stage in planned["stages"] if stage["kind"] == "derive"]


@pytest.fixture
def plan(in_process, write_matrix):
    def make(**changes):
        ran = in_process("plan", write_matrix(**changes), "--json")
        assert ran.code == 0, ran.err
        return json.loads(ran.out)

    return make


def test_a_map_is_derived_once_for_all_cells_fits_and_classifiers_that_want_the_same(plan):
    planned = plan(strategies=STRATEGIES, classifiers=["toy-mapper", "toy-centroid"], seeds=[0, 1])
    made = next(stage for stage in derived(planned) if "decode" in stage["inputs"])
    assert made["title"] == "derive light of toy-blobs"
    assert list(made["inputs"]) == ["decode"]
    readers = {
        stage["title"].split()[0] for stage in planned["stages"] if made["key"] in stage["inputs"].values()
    }
    assert readers == {"fit", "check", "train"}, "who samples or predicts does without"
    assert not [
        stage
        for stage in planned["stages"]
        if "toy-centroid" in stage["title"] and made["key"] in stage["inputs"].values()
    ]


def test_other_options_of_the_map_are_another_stage(plan):
    two = [{"name": "toy-mapper"}, {"name": "toy-mapper", "label": "brighter", "gain": 3}]
    assert len(derived(plan(strategies=["real-only"], classifiers=two))) == 2
    other_rate = [{"name": "toy-mapper"}, {"name": "toy-mapper", "label": "quicker", "lr": 0.5}]
    assert len(derived(plan(strategies=["real-only"], classifiers=other_rate))) == 1


def test_each_batch_has_the_rows_that_belong_to_its_images(in_process, write_matrix, tmp_path):
    """The toys compare the map of each image with what it is made of."""
    strategies = [{"name": "real-only"}, {"name": "look", "generator": MAPPED}]
    matrix = write_matrix(strategies=strategies, classifiers=["toy-mapper"], seeds=[0])
    ran = in_process("run", matrix, "--out", "out")
    assert ran.code == 0, ran.err
    assert [row["status"] for row in read_csv(tmp_path / "out/results.csv")] == ["done"]
    (path,) = (tmp_path / "store").glob("objects/*/*/data.npy")
    made = np.load(path)
    assert (made.shape, made.dtype) == ((90, 8, 8), np.float32), "one row per image of the data set"


def test_synthetic_images_have_theirs_too(in_process, write_matrix, tmp_path):
    """A classifier that wants the map is trained on real and on synthetic images: it compares the map of each."""
    matrix = write_matrix(strategies=STRATEGIES[1:], classifiers=["toy-mapper"], seeds=[0])
    planned = json.loads(in_process("plan", matrix, "--json").out)
    assert [stage["title"] for stage in derived(planned)] == [
        "derive light of toy-blobs",
        "derive light of red, synthetic",
    ]
    ran = in_process("run", matrix, "--out", "out")
    assert ran.code == 0, ran.err
    (row,) = read_csv(tmp_path / "out/results.csv")
    assert (row["status"], row["n_train_synthetic"]) == ("done", "5")


def test_a_map_that_is_not_one_row_per_image_fails_in_words(in_process, write_matrix, tmp_path, monkeypatch):
    monkeypatch.setattr("toy_plugins.mapped.light", lambda images, gain: images[:1].float())
    matrix = write_matrix(strategies=["real-only"], classifiers=["toy-mapper"], seeds=[0])
    assert in_process("run", matrix, "--out", "out").code == 1
    (row,) = read_csv(tmp_path / "out/results.csv")
    assert row["status"] == "skipped"
    assert "toy_plugins.mapped:light returned [1, 3, 8, 8], expected [64]" in row["error"]
