"""`union`: several data sets as one, with classes by a label map, ids and groups apart, and copies left out."""

import json

import numpy as np
import pandas as pd
import pytest
from tests.conftest import read_csv, toy_matrix

from derm_bench.errors import UserError
from derm_bench.machine import Machine
from derm_bench.matrix.cells import cells
from derm_bench.matrix.load import load_matrix
from derm_bench.plan.planner import make_plan
from derm_bench.plugins import Plugins

ONE = {"name": "toy-blobs", "label": "one", "images": 60}
TWO = {"name": "toy-blobs", "label": "two", "images": 60, "first": 500, "names": ["crimson", "lime", "navy"]}
MAP = {"red": "red", "green": "green", "blue": "blue", "crimson": "red", "lime": "green", "navy": None}


def union(*parts, **options):
    return {"name": "union", "size": 8, "of": list(parts or (ONE, TWO)), "label_map": MAP} | options


@pytest.fixture
def plan(toys, write_matrix):
    def make(dataset, sets=(), **changes):
        plugins = Plugins()
        content = toy_matrix(
            dataset=dataset, **({"strategies": [{"name": "real-only"}], "seeds": [0]} | changes)
        )
        matrix = load_matrix(write_matrix(content), plugins, sets=sets)
        return make_plan(matrix, cells(matrix, plugins), plugins, Machine("cpu", ("cpu",), "fp32", 2))

    return make


def split_of(plan):
    return next(iter(plan.splits.values()))


def refused(plan, dataset) -> str:
    with pytest.raises(UserError) as caught:
        plan(dataset)
    return str(caught.value)


def test_ids_and_groups_begin_with_the_label_of_their_data_set(plan):
    split = split_of(plan(union()))
    sources = {name.partition("/")[0] for name in split.ids}
    assert sources == {"one", "two"} and {name.partition("/")[0] for name in split.groups} == sources
    assert all(
        a.partition("/")[0] == b.partition("/")[0] for a, b in zip(split.ids, split.groups, strict=True)
    )
    assert len(split.ids) == 60 + 50, "the 10 images of navy are mapped to null"
    assert split.classes == ("red", "green", "blue")


def test_a_label_map_may_be_a_file_or_one_map_for_each_data_set(plan, tmp_path):
    inline = split_of(plan(union())).digest
    (tmp_path / "map.yaml").write_text("\n".join(f"{k}: {v or 'null'}" for k, v in MAP.items()))
    assert split_of(plan(union(label_map="map.yaml"))).digest == inline
    each = {
        "one": {"red": "red", "green": "green", "blue": "blue"},
        "two": {"crimson": "red", "lime": "green", "navy": None},
    }
    assert split_of(plan(union(label_map=each))).digest == inline


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("red: red\ngreen: green\nblue: blue\ncrimson: red\nlime: green\n", ["map.yaml:1", "'navy'", "no row"]),
        ("red: red\ngreen: green\nblue: blue\ncrimson: red\nlime: green\nnavi: blue\nnavy: blue\n",
         ["map.yaml:6", "no label 'navi'", "'navy'"]),
        ("one: {red: a, green: b, blue: c}\ntwe: {crimson: a}\n", ["map.yaml:2", "no data set is named 'twe'", "two"]),
        ("one: {red: a, green: b, blue: c}\ntwo: {crimson: a, lime: b}\n",
         ["map.yaml:2", "'navy' of 'two' has no row"]),
    ],
)  # fmt: skip
def test_a_wrong_label_map_of_a_union_is_refused_with_its_line(plan, tmp_path, text, said):
    (tmp_path / "map.yaml").write_text(text)
    message = refused(plan, union(label_map="map.yaml"))
    assert all(part in message for part in said), message


def test_parts_are_read_like_data_sets_with_their_errors_located(plan):
    assert "datasets.0.of.1.imagez" in refused(plan, union(ONE, TWO | {"imagez": 3})).replace(
        "dataset.", "datasets.0."
    )
    message = refused(plan, union(ONE, {"name": "toy-blob"}))
    assert "toy-blobs" in message and "of.1" in message
    assert "both labelled 'toy-blobs'" in refused(plan, union("toy-blobs", "toy-blobs", label_map=None))


def test_images_with_one_id_are_kept_once_if_asked_for_and_counted(plan):
    overlapping = union(ONE, ONE | {"label": "again", "first": 30}, label_map=None, dedup=["id"])
    planned = plan(overlapping)
    assert len(split_of(planned).ids) == 60 + 30
    assert "union: 30 images of again have ids of earlier data sets and are left out" in planned.warnings
    whole = plan(overlapping | {"dedup": []})
    assert len(split_of(whole).ids) == 120 and not whole.warnings


def test_the_key_of_a_decode_has_the_source_and_the_images_of_every_part(plan):
    before = plan(union())
    (decode,) = [stage for stage in before.stages.values() if stage.kind == "decode"]
    used = [plugin["name"] for plugin in decode.shared["code"]["plugins"]]
    assert used == ["union", "toy-blobs"]
    other = plan(union(ONE, TWO | {"first": 700}))
    assert before.decodes != other.decodes


def test_a_union_is_decoded_split_and_scored_with_its_source_as_an_attribute(
    in_process, write_matrix, tmp_path
):
    write_matrix(toy_matrix(dataset=union(), strategies=[{"name": "real-only"}], seeds=[0]))
    ran = in_process("run", "matrix.yaml", "--out", "out")
    assert ran.code == 0, ran.err
    frame = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    assert set(frame.source) == {"one", "two"}
    assert (frame.source == frame.image_id.str.partition("/")[0]).all()
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert "union: 10 images of two are left out by the label map" in manifest["warnings"]
    assert manifest["datasets"]["union"]["licence"] == "CC0"
    assert [row["status"] for row in read_csv(tmp_path / "out" / "results.csv")] == ["done"]


def test_of_equal_pixels_in_several_parts_the_one_in_test_stays(in_process, write_matrix, tmp_path):
    same = union(ONE, ONE | {"label": "again", "unreadable": 0, "copies": 0}, label_map=None)
    write_matrix(toy_matrix(dataset=same, strategies=[{"name": "real-only"}], seeds=[0]))
    ran = in_process("run", "matrix.yaml", "--out", "out")
    assert ran.code == 0, ran.err
    split = pd.read_csv(tmp_path / "out" / "splits" / "union-s0.csv")
    split["image"] = split.image_id.str.partition("/")[2]
    tested = set(split[split.split == "test"].image)
    (row,) = read_csv(tmp_path / "out" / "results.csv")
    assert int(row["n_test"]) == len(tested), "each image once"
    trained = set(split[split.split == "train"].image) - tested - set(split[split.split == "val"].image)
    assert int(row["n_train_real"]) == len(trained)


def test_folders_can_be_parts_and_are_read_in_order(tmp_path):
    from PIL import Image

    from derm_bench.dataset_parts import create_dataset
    from derm_bench.specs import Task
    from derm_bench.worker.lookup import Lookup

    for part, shade in (("a", 10), ("b", 200)):
        for k in range(3):
            place = tmp_path / part / f"c{k % 2}"
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((9, 9, 3), shade + k, np.uint8)).save(place / f"{k}.png")
    plugins = Plugins(builtins_only=True)
    spec = plugins.get("dataset", "union")
    parts = [{"name": "image-folder", "label": p, "options": {"root": str(tmp_path / p)}} for p in "ab"]
    options = Lookup(plugins).options("dataset", "union", {"of": parts})
    dataset = create_dataset(spec, options, Task((), 9), plugins)
    ids = list(dataset.describe(options).ids)[::-1]
    assert len(ids) == 6 and set(dataset.fingerprint(options)) == set(ids)
    shades = {"a": 10, "b": 200}
    read = [int(image.pixels[0, 0, 0]) for image in dataset.read(ids)]
    assert read == [shades[name[0]] + int(name.removesuffix(".png")[-1]) for name in ids]
