"""csv-lesions keeps the rules for data sets, on sample data that are made here, and reads what tables hold."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from derm_bench_csv_lesions import CsvLesionsOptions
from derm_bench_csv_lesions.reader import CsvLesions
from PIL import Image

from derm_bench.api import DatasetConformance, RawImage, Task, Unreadable, UserError


def write_sample(root: Path) -> Path:
    """24 images of 12 lesions, two classes, with masks and ages, one of which is unknown."""
    rng = np.random.default_rng(0)
    (root / "images").mkdir()
    (root / "masks").mkdir()
    rows = [["image", "label", "lesion", "age", "site"]]
    for number in range(24):
        label = ["nevus", "melanoma"][number // 2 % 2]
        rows.append(
            [f"{number:03d}.jpg", label, f"lesion-{number // 2}", 40 + number if number else "", "back"]
        )
        pixels = rng.integers(0, 256, (40, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{number:03d}.jpg")
        Image.fromarray(np.where(pixels[..., 0] > 99, 255, 0).astype(np.uint8)).save(
            root / "masks" / f"{number:03d}.png"
        )
    with (root / "labels.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows(rows)
    return root


@pytest.fixture
def root(tmp_path):
    return write_sample(tmp_path)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """One sample for the whole kit, whose rules share what they have read."""
    return write_sample(tmp_path_factory.mktemp("sample"))


def reader(root: Path, **options) -> tuple[CsvLesions, CsvLesionsOptions]:
    chosen = CsvLesionsOptions(root=root, **options)
    return CsvLesions(chosen, Task((), 32)), chosen


class TestCsvLesions(DatasetConformance):
    plugin = "csv-lesions"

    @pytest.fixture(autouse=True)
    def _sample_data(self, kept):
        self.options = {"root": str(kept), "masks": "masks", "columns": {"attributes": ["age", "site"]}}


def test_labels_lesions_and_attributes_are_read(root):
    made, options = reader(root, columns={"attributes": ("age", "site")}, licence="CC0")
    described = made.describe(options)
    assert described.classes == ["melanoma", "nevus"]
    assert described.groups[:3] == ["lesion-0", "lesion-0", "lesion-1"]
    assert described.attributes["age"][:3] == [None, 41.0, 42.0]
    assert described.attributes["site"][0] == "back"
    assert described.licence == "CC0"


def test_other_names_of_columns_and_no_groups(root):
    text = (root / "labels.csv").read_text().replace("image,label,lesion", "file,dx,x", 1)
    (root / "meta.csv").write_text(text)
    made, options = reader(root, table="meta.csv", columns={"image": "file", "label": "dx", "group": None})
    described = made.describe(options)
    assert len(described.ids) == 24 and described.groups is None


def test_another_mask_is_another_fingerprint(root):
    made, options = reader(root, masks="masks")
    before = made.fingerprint(options)
    Image.new("L", (48, 40), 255).save(root / "masks" / "003.png")
    after = made.fingerprint(options)
    assert {name for name in before if before[name] != after[name]} == {"003.jpg"}


def test_a_broken_image_is_set_aside_with_the_reason(root):
    (root / "images" / "001.jpg").write_bytes(b"no image")
    (root / "images" / "002.jpg").unlink()
    made, _ = reader(root)
    whole, broken, absent = made.read(["000.jpg", "001.jpg", "002.jpg"])
    assert isinstance(whole, RawImage) and whole.pixels.shape == (40, 48, 3)
    assert isinstance(broken, Unreadable) and "not an image" in broken.reason
    assert isinstance(absent, Unreadable) and "no such file" in absent.reason


def test_a_path_in_the_table_leads_nowhere_else(root, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret.png"
    Image.new("RGB", (9, 9)).save(outside)
    made, _ = reader(root)
    (found,) = made.read([str(outside)])
    assert isinstance(found, Unreadable) and "leads out" in found.reason


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("image,label,lesion\na.png,,1\n", "labels.csv:2: label missing"),
        ("image,label,lesion\na.png,x,1\na.png,y,2\n", "labels.csv:3: 'a.png' is listed twice"),
        ("image,lable,lesion\na.png,x,1\n", "labels.csv:1: there is no column 'label'"),
        ("image,label,lesion\n", "contains no images"),
    ],
)
def test_a_table_that_is_wrong_is_refused_with_the_line(tmp_path, table, said):
    (tmp_path / "labels.csv").write_text(table)
    made, options = reader(tmp_path)
    with pytest.raises(UserError, match=said):
        made.describe(options)


def test_a_table_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "labels.csv").write_bytes(b"image,label,lesion\n\xff\xfe")
    made, options = reader(tmp_path)
    with pytest.raises(UserError, match=r"labels.csv: not a text file in UTF-8"):
        made.describe(options)
