"""predictions.parquet keeps the truth whatever a data set calls its attributes."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from derm_bench.coordinates import Coordinates
from derm_bench.images import ImageSet
from derm_bench.rundir.planned import CellStages, RunStages
from derm_bench.rundir.predictions import write_predictions
from derm_bench.stages.evaluate import predictions

TAKEN = ("label", "predicted", "split", "group", "image_id", "cell", "test_set", "p_mel", "p_anything")


@pytest.fixture
def images():
    attributes = {name: ["wrong", "wrong"] for name in TAKEN} | {
        "age": [50, 60],
        "attribute_label": [1.0, 2.0],
    }
    return ImageSet(
        images=torch.zeros(2, 3, 4, 4, dtype=torch.uint8),
        labels=torch.tensor([0, 1]),
        classes=("mel", "nv"),
        ids=("a", "b"),
        groups=("g", "h"),
        attributes=attributes,
    )


def test_an_attribute_never_takes_the_place_of_a_column(images):
    table = predictions("test", images, np.array([[0.75, 0.25], [0.5, 0.5]]))
    assert table["label"].to_pylist() == ["mel", "nv"] and table["predicted"].to_pylist() == ["mel", "mel"]
    assert table["split"].to_pylist() == ["test", "test"] and table["group"].to_pylist() == ["g", "h"]
    assert table["image_id"].to_pylist() == ["a", "b"] and table["p_mel"].to_pylist() == [0.75, 0.5]
    assert [name for name in table.column_names if name.startswith("p_")] == ["p_mel", "p_nv"]


def test_attributes_of_such_names_are_kept_apart(images):
    table = predictions("test", images, np.array([[0.75, 0.25], [0.5, 0.5]]))
    kept = {name for name in table.column_names if name.startswith("attribute_")}
    assert kept == {f"attribute_{name}" for name in TAKEN} | {"attribute_attribute_label"} - set()
    assert table["age"].to_pylist() == [50, 60] and table["attribute_cell"].to_pylist() == ["wrong", "wrong"]
    assert len(set(table.column_names)) == len(table.column_names)


def test_validation_images_are_there_also_if_the_first_test_set_was_not_scored(images, tmp_path):
    at = Coordinates("d", 1.0, "s", "", 0, None)
    cell = CellStages(at, "d/s/c/0", "c", 0, 0, "t", {"first": "a", "second": "b"}, (), ())
    proba = np.array([[0.75, 0.25], [0.5, 0.5]])
    table = pa.concat_tables([predictions("val", images, proba), predictions("test", images, proba)])
    with (
        pa.OSFile(str(tmp_path / "predictions.arrow"), "wb") as sink,
        pa.ipc.new_file(sink, table.schema) as file,
    ):
        file.write_table(table)
    for failed, expected in (("a", ["second"]), ("b", ["first"]), ("", ["first", "second"])):
        records = SimpleNamespace(
            folder=lambda key: tmp_path,
            outcome=lambda key, failed=failed: SimpleNamespace(status="failed" if key == failed else "done"),
        )
        write_predictions(RunStages({}, cells=[cell]), records, tmp_path / "all.parquet")
        found = pq.read_table(tmp_path / "all.parquet").to_pydict()
        rows = list(zip(found["split"], found["test_set"], strict=True))
        assert rows == [("val", "")] * 2 + [("test", name) for name in expected for _ in range(2)]
