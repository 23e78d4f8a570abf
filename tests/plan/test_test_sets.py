"""Test sets: external data sets under a label map, and synthetic images that strategies hold out."""

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

MAP = "crimson: red\nlime: green\nnavy: blue\n"
OTHERS = {"name": "toy-blobs", "images": 30, "first": 500, "names": ["crimson", "lime", "navy"]}
EXTERNAL = {"name": "elsewhere", "dataset": OTHERS, "label_map": "map.yaml"}
HELD_OUT = {"name": "made", "generator": {"name": "toy-mean", "budget": {"updates": 4}}}
PAPER = {"name": "paper", "allow": ["synthetic_in_test"]}


@pytest.fixture
def plan(toys, write_matrix, tmp_path):
    """Plans a toy matrix with an external test set under a label map, with changes."""

    def make(label_map: str = MAP, external: dict | None = None, **changes):
        (tmp_path / "map.yaml").write_text(label_map)
        sets = {"test_sets": ["test", EXTERNAL | (external or {})]}
        plugins = Plugins()
        matrix = load_matrix(write_matrix(toy_matrix(**{**sets, **changes})), plugins)
        return make_plan(matrix, cells(matrix, plugins), plugins, Machine("cpu", ("cpu",), "fp32", 2))

    return make


def refused(plan, **given) -> str:
    with pytest.raises(UserError) as caught:
        plan(**given)
    return str(caught.value)


# ------------------------------------------------------------------------------------- external


def test_every_cell_is_scored_on_all_images_of_an_external_test_set_with_the_classes_of_its_data_set(plan):
    planned = plan()
    split = planned.splits[planned.tests["toy-blobs", "elsewhere"], 0]
    assert set(split.parts) == {"test"} and len(split.ids) == 30
    assert split.classes == ("red", "green", "blue") and set(split.labels) == set(split.classes)
    assert all(set(cell.evaluations) == {"test", "elsewhere"} for cell in planned.cells)
    assert len({key for cell in planned.cells for key in cell.evaluations.values()}) == 2 * len(planned.cells)


def test_an_external_test_set_takes_size_resize_and_preprocess_of_the_data_set_of_the_cells(plan):
    dataset = {"name": "toy-blobs", "size": 16, "images": 90, "resize": "pad", "preprocess": [{"gamma": 1.5}]}
    planned = plan(dataset=dataset)
    own, other = (
        planned.stages[planned.decodes[label]].params for label in ("toy-blobs", *planned.tests.values())
    )
    assert (other.size, other.resize, other.preprocess) == (own.size, own.resize, own.preprocess)


def test_adding_an_external_test_set_repeats_no_other_stage(plan):
    without, planned = plan(test_sets=["test"]), plan()
    ordinary = {key for key, stage in without.stages.items() if key not in without.analysis.values()}
    assert ordinary <= planned.stages.keys()


@pytest.mark.parametrize(
    ("label_map", "said"),
    [
        (MAP + "crimsom: red\n", ["map.yaml:4", "has no label 'crimsom'", "did you mean 'crimson'?"]),
        ("crimson: red\nlime: gren\nnavy: blue\n", ["map.yaml:2", "no class is named 'gren'", "'green'"]),
        (
            "crimson: red\nlime: green\n",
            ["map.yaml:1", "label 'navy' of 'elsewhere' has no row", "navy: null"],
        ),
        ("crimson: red\nlime: green\nnavy: 3\n", ["map.yaml:3", "a class or null", "quote"]),
        ("1: red\n" + MAP, ["map.yaml:1", "the label 1 is no text", "quotes"]),
        ("[red, green]\n", ["map.yaml:1", "one row per label", "crimson, lime, navy"]),
        ("crimson: null\nlime: null\nnavy: null\n", ["no image of 'elsewhere' is of a class", "test_sets.1"]),
    ],
)
def test_a_wrong_label_map_is_refused_with_its_line_and_the_nearest_name(plan, label_map, said):
    message = refused(plan, label_map=label_map)
    assert all(part in message for part in said), message


def test_all_errors_of_a_label_map_are_shown_at_once(plan):
    message = refused(plan, label_map="crimsom: red\nlime: gren\n")
    assert "crimsom" in message and "gren" in message and "'navy' of 'elsewhere' has no row" in message


def test_a_label_map_that_is_not_there_is_named_with_its_place_in_the_matrix(plan):
    message = refused(plan, external={"label_map": "absent.yaml"})
    assert "matrix.yaml" in message and "test_sets.1.label_map" in message and "absent.yaml" in message


def test_without_a_label_map_the_labels_are_the_classes(plan):
    names = {"names": ["red", "green", "blue"]}
    planned = plan(external={"dataset": OTHERS | names, "label_map": None})
    assert set(planned.splits[planned.tests["toy-blobs", "elsewhere"], 0].labels) == {"red", "green", "blue"}
    message = refused(plan, external={"label_map": None})
    assert "the label 'crimson', which is no class (red, green, blue)" in message and "label_map" in message


def test_images_whose_label_is_null_and_classes_without_an_image_are_said(plan):
    planned = plan(label_map="crimson: red\nlime: red\nnavy: null\n")
    warnings = "\n".join(planned.warnings)
    assert "elsewhere: its label map leaves out 4 of 'navy'" in warnings
    assert "'elsewhere' has no image of 'green' and 'blue' of toy-blobs" in warnings
    assert len(planned.splits[planned.tests["toy-blobs", "elsewhere"], 0].ids) == 26


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("size", 16, "takes the size of the data set"),
        ("preprocess", [{"gamma": 2.0}], "takes the preprocess of the data set"),
        ("split", {"test": 0.5}, "is used whole"),
        ("limit", 3, "is used whole"),
        ("train_fraction", [0.5], "is used whole"),
    ],
)
def test_an_external_data_set_states_nothing_that_the_data_set_of_the_cells_decides(plan, key, value, said):
    message = refused(plan, external={"dataset": OTHERS | {key: value}})
    assert said in message and f"test_sets.1.dataset.{key}" in message


def test_images_that_the_data_set_has_too_are_refused_dropped_or_permitted(plan):
    same = OTHERS | {"first": 80}  # ten images are also images of the data set
    message = refused(plan, external={"dataset": same})
    assert "10 of the images of 'elsewhere' are images of 'toy-blobs' too (blob080" in message
    assert "test_sets.1.dataset" in message and "duplicates_across_splits" in message
    dropped = plan(external={"dataset": same | {"clean": {"duplicates": "drop"}}})
    assert len(dropped.splits[dropped.tests["toy-blobs", "elsewhere"], 0].ids) == 20
    assert any("they are left out of the test set" in warning for warning in dropped.warnings)
    allowed = plan(
        external={"dataset": same}, protocol={"name": "paper", "allow": ["duplicates_across_splits"]}
    )
    assert len(allowed.splits[allowed.tests["toy-blobs", "elsewhere"], 0].ids) == 30
    assert any("they are no unseen images" in warning for warning in allowed.warnings)


def test_names_of_the_isic_archive_are_one_image_whatever_its_bytes_and_other_names_are_not(plan, tmp_path):
    from PIL import Image

    for root, shade in (("ours", 40), ("theirs", 90)):
        for k, (label, name) in enumerate(
            [(f"c{i % 2}", f"ISIC_{i:07d}" if i < 2 else f"{root}{i}") for i in range(24)]
            + [("c0", "plain"), ("c1", "plain")]
        ):
            place = tmp_path / root / label
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((9, 9, 3), shade + k, np.uint8)).save(place / f"{name}.png")
    ours, theirs = ({"name": "image-folder", "root": str(tmp_path / root)} for root in ("ours", "theirs"))
    message = refused(plan, dataset=ours | {"size": 8}, external={"dataset": theirs, "label_map": None})
    assert "2 of the images of 'elsewhere'" in message and "ISIC_0000000" in message


def test_an_external_test_set_has_rows_in_all_tables_and_verifies(in_process, write_matrix, tmp_path):
    (tmp_path / "map.yaml").write_text("crimson: red\nlime: green\nnavy: null\n")
    strategies = [{"name": "real-only"}, {"name": "flipped", "augment": ["hflip"]}]
    dataset = OTHERS | {"unreadable": 0, "copies": 0}
    write_matrix(strategies=strategies, test_sets=["test", EXTERNAL | {"dataset": dataset}])
    ran = in_process("run", "matrix.yaml", "--out", "out")
    assert ran.code == 0, ran.err
    rows = read_csv(tmp_path / "out" / "results.csv")
    assert [row["test_set"] for row in rows] == ["test", "elsewhere"] * 4
    assert {row["n_test"] for row in rows if row["test_set"] == "elsewhere"} == {"26"}
    scored = [row for row in rows if row["test_set"] == "elsewhere"]
    assert all(row["recall_blue"] == "" and row["balanced_accuracy"] for row in scored), "no image, no recall"
    macro = float(scored[0]["balanced_accuracy"])
    assert macro == pytest.approx(np.mean([float(scored[0][f"recall_{name}"]) for name in ("red", "green")]))
    predicted = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    counts = predicted[predicted.split == "test"].groupby(["cell", "test_set"], observed=True).size()
    assert set(counts.xs("elsewhere", level="test_set")) == {26}
    summary = read_csv(tmp_path / "out" / "summary.csv")
    assert {row["test_set"] for row in summary if row["classifier"]} == {"test", "elsewhere"}
    report = in_process("report", "out")
    assert report.code == 0, report.err
    text = (tmp_path / "out" / "report.md").read_text()
    assert "has no image of 'blue'" in text and "test set elsewhere" in text
    checked = in_process("verify", "out")
    assert checked.code == 0, checked.out + checked.err


def test_verify_finds_predictions_of_other_images_than_the_external_test_set_has(
    in_process, write_matrix, tmp_path
):
    (tmp_path / "map.yaml").write_text(MAP)
    write_matrix(strategies=[{"name": "real-only"}], seeds=[0], test_sets=["test", EXTERNAL])
    assert in_process("run", "matrix.yaml", "--out", "out").code == 0
    path = tmp_path / "out" / "predictions.parquet"
    frame = pd.read_parquet(path)
    frame.loc[frame.test_set == "elsewhere", "image_id"] = "blob000"
    frame.to_parquet(path)
    found = json.loads(in_process("verify", "out", "--json").out)
    said = [d for d in found["differences"] if d["file"] == "predictions.parquet" and "test_set" in d]
    assert any(d["test_set"] == "elsewhere" and "predicted twice" in d["message"] for d in said)


def test_pixels_of_the_split_in_an_external_test_set_fail_its_rows_alone(in_process, write_matrix, tmp_path):
    """The bytes differ and the pixels do not, so only decoding can show it."""
    (tmp_path / "map.yaml").write_text(MAP)
    same = OTHERS | {"first": 84, "unreadable": 1}  # another option, so other content digests
    sets = {"strategies": [{"name": "real-only"}], "seeds": [0]}
    write_matrix(test_sets=["test", EXTERNAL | {"dataset": same}], **sets)
    assert in_process("run", "matrix.yaml", "--out", "out").code == 1
    statuses = {row["test_set"]: row for row in read_csv(tmp_path / "out" / "results.csv")}
    assert statuses["test"]["status"] == "done" and statuses["elsewhere"]["status"] == "failed"
    assert "6 images of the external test set have the pixels" in statuses["elsewhere"]["error"]
    same |= {"clean": {"duplicates": "drop"}}
    write_matrix(test_sets=["test", EXTERNAL | {"dataset": same}], name="dropped.yaml", **sets)
    assert in_process("run", "dropped.yaml", "--out", "dropped").code == 0
    rows = {row["test_set"]: row for row in read_csv(tmp_path / "dropped" / "results.csv")}
    assert rows["elsewhere"]["n_test"] == "24"
    warnings = json.loads((tmp_path / "dropped" / "manifest.json").read_text())["warnings"]
    assert "6 images were left out of the test set 'elsewhere' (in the split)" in warnings


def test_an_attribute_that_is_a_number_in_one_data_set_and_text_in_another_is_text(
    in_process, write_matrix, tmp_path
):
    dataset = OTHERS | {"aged_in_words": True}
    (tmp_path / "map.yaml").write_text(MAP)
    sets = ["test", EXTERNAL | {"dataset": dataset}]
    write_matrix(strategies=[{"name": "real-only"}], seeds=[0], test_sets=sets)
    ran = in_process("run", "matrix.yaml", "--out", "out")
    assert ran.code == 0, ran.err
    frame = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    assert set(frame[frame.test_set == "elsewhere"].age) == {"young"}
    assert set(frame[frame.test_set == "test"].age) <= {str(20 + n) for n in range(50)}


# ------------------------------------------------------------------------------------ synthetic


@pytest.mark.parametrize("kind", ["only", "added"])
def test_a_synthetic_test_set_needs_its_permit(plan, kind):
    sets = ["test", {"name": "made-up", "synthetic": kind}]
    strategies = [HELD_OUT | {"synthetic": {"per_class": 20, "holdout": 0.25}}]
    message = refused(plan, test_sets=sets, strategies=strategies)
    assert "synthetic_in_test" in message and "test_sets.1.synthetic" in message
    planned = plan(test_sets=sets, strategies=strategies, protocol=PAPER)
    assert all(set(cell.evaluations) == {"test", "made-up"} for cell in planned.cells)


def test_a_synthetic_test_set_without_held_out_images_is_refused(plan):
    sets = ["test", {"name": "made-up", "synthetic": "only"}]
    message = refused(plan, test_sets=sets, protocol=PAPER)
    assert "no strategy holds out synthetic images" in message and "holdout" in message


def test_held_out_samples_are_scored_alone_and_with_the_real_test_images(in_process, write_matrix, tmp_path):
    strategies = [
        {"name": "real-only"},
        HELD_OUT | {"synthetic": {"per_class": {"red": 20, "green": 8}, "holdout": 0.25}},
    ]
    sets = ["test", {"name": "synthetic", "synthetic": "only"}, {"name": "augmented", "synthetic": "added"}]
    write_matrix(strategies=strategies, seeds=[0], test_sets=sets, protocol=PAPER)
    ran = in_process("run", "matrix.yaml", "--out", "out")
    assert ran.code == 0, ran.err
    rows = {(row["strategy"], row["test_set"]): row for row in read_csv(tmp_path / "out" / "results.csv")}
    assert set(rows) == {("real-only", "test"), *(("made", n) for n in ("test", "synthetic", "augmented"))}
    n_real = int(rows["real-only", "test"]["n_test"])
    assert rows["made", "synthetic"]["n_test"] == "7", "a quarter of 20 and of 8"
    assert rows["made", "augmented"]["n_test"] == str(n_real + 7)
    assert rows["made", "test"]["n_train_synthetic"] == "21", "what is scored on is not trained on"
    assert all(row["protocol"] == "paper[synthetic_in_test]" for row in rows.values())
    predicted = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    made = predicted[predicted.test_set == "synthetic"].image_id.tolist()
    assert made == [f"synthetic/green/{k:06d}" for k in (6, 7)] + [
        f"synthetic/red/{k:06d}" for k in range(15, 20)
    ]
    warnings = "\n".join(json.loads((tmp_path / "out" / "manifest.json").read_text())["warnings"])
    assert (
        "no synthetic images are held out by real-only: there is no score on the test set 'synthetic'"
        in warnings
    )
    assert "made: the test set 'synthetic' has no image of 'blue'" in warnings
    assert in_process("verify", "out").code == 0


def test_validation_on_held_out_samples_needs_its_permit_and_is_in_the_composition(
    in_process, write_matrix, tmp_path
):
    strategies = [HELD_OUT | {"synthetic": {"per_class": 20, "holdout": 0.25, "val": "held_out"}}]
    write_matrix(strategies=strategies, seeds=[0])
    ran = in_process("run", "matrix.yaml", "--out", "out")
    assert ran.code == 2 and "select_on_synthetic" in ran.err
    write_matrix(
        strategies=strategies, seeds=[0], protocol={"name": "paper", "allow": ["select_on_synthetic"]}
    )
    assert in_process("run", "matrix.yaml", "--out", "out").code == 0
    rows = [row for row in read_csv(tmp_path / "out" / "composition.csv") if row["split"] == "val"]
    assert [(row["real"], row["synthetic"]) for row in rows] == [("0", "5")] * 3
