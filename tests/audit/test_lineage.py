"""Where synthetic images come from: recorded with each sample, and refused if their generator saw held-out images."""

import csv
import json

import numpy as np
import pytest
from PIL import Image

PERMITTED = json.dumps({"name": "paper", "allow": ["generator_sees_test"]})


@pytest.fixture
def split(in_process, write_matrix, tmp_path):
    """The rows of the split of the toys, as a run directory keeps them."""
    ran = in_process("plan", write_matrix(strategies=["real-only"], seeds=[0]), "--json")
    assert ran.code == 0, ran.err
    ran = in_process("run", write_matrix(strategies=["real-only"], seeds=[0]), "--out", "first")
    assert ran.code == 0, ran.err
    return tmp_path / "first" / "splits" / "toy-blobs-s0.csv"


@pytest.fixture
def from_folder(tmp_path, write_matrix):
    """A matrix with a folder of synthetic images, whose model is stated to be trained on the ids of a file."""
    for k in range(6):
        (tmp_path / "made" / "red").mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8, 3), 20 * k, np.uint8)).save(tmp_path / "made" / "red" / f"{k}.png")

    def write(ids):
        generator = {
            "name": "folder",
            "root": "made",
            "trained_on": "another clinic",
            "training_ids": str(ids),
        }
        strategies = [
            {"name": "real-only"},
            {"name": "made", "generator": generator, "synthetic": {"per_class": {"red": 6}}},
        ]
        return write_matrix(strategies=strategies, seeds=[0], metrics=[])

    return write


def test_a_model_that_saw_held_out_images_is_refused_unless_permitted(
    split, from_folder, in_process, tmp_path
):
    with split.open(newline="") as file:
        rows = list(csv.DictReader(file))
    seen = [row["image_id"] for row in rows if row["split"] == "train"][:5]
    held = next(row["image_id"] for row in rows if row["split"] == "test")
    (tmp_path / "ids.txt").write_text("\n".join([*seen, held]))
    ran = in_process("plan", from_folder(tmp_path / "ids.txt"))
    assert (
        ran.code == 2 and f"trained on 1 of the validation and test images of toy-blobs ({held})" in ran.err
    )
    assert "generator_sees_test" in ran.err
    ran = in_process("plan", from_folder(tmp_path / "ids.txt"), "--set", f"protocol={PERMITTED}")
    assert ran.code == 0 and "permitted by generator_sees_test" in " ".join((ran.out + ran.err).split())


def test_the_split_of_a_run_directory_states_its_training_images(split, from_folder, in_process, tmp_path):
    assert in_process("plan", from_folder(split)).code == 0
    other = split.read_text().replace(",test", ",x").replace(",train", ",test").replace(",x", ",train")
    (tmp_path / "other.csv").write_text(other)
    assert in_process("plan", from_folder(tmp_path / "other.csv")).code == 2


def test_a_missing_file_of_ids_is_named(from_folder, in_process, tmp_path):
    ran = in_process("plan", from_folder(tmp_path / "none.txt"))
    assert ran.code == 2 and "none.txt" in ran.err


def test_samples_say_which_state_drew_them_and_what_it_was_fitted_on(in_process, write_matrix, tmp_path):
    ran = in_process("run", write_matrix(seeds=[0]), "--out", "out")
    assert ran.code == 0, ran.err
    (split,) = json.loads((tmp_path / "out" / "manifest.json").read_text())["splits"].values()
    drawn = [json.loads(path.read_text()) for path in (tmp_path / "store").glob("objects/*/*/samples.json")]
    assert drawn
    for one in drawn:
        lineage = one["lineage"]
        assert lineage["generator"].startswith("toy-") and lineage["trained_on"]["split"] == split
        assert lineage["trained_on"]["part"] == "train" and len(lineage["checkpoint"]["sha256"]) == 64
