"""table: any table beside images. What is read from its columns, and the errors that name file, line and column."""

import numpy as np
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydantic import ValidationError

from derm_bench.errors import UserError
from derm_bench.specs import Task, create
from derm_bench.yamlio import load_yaml
from derm_bench_plugins.datasets import specs

SPEC = {spec.name: spec for spec in specs()}["table"]
HEADER = ("file", "dx", "patient", "years", "half", "tone")
ROWS = [
    ("001.jpg", "nv", "p1", "45", "training", "3"),
    ("002", "mel", "p1", "", "valid", "3"),
    ("sub/003.png", "nv", "NaN", "60", "Test", ""),
    ("004.JPG", "none", "p2", "71", "", "5"),
]
COLUMNS = {"image": "file", "label": "dx", "group": "patient", "split": "half"}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("DERM_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))


def put(path, colour=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), colour, np.uint8)).save(path)


@pytest.fixture
def place(tmp_path):
    for k, name in enumerate(("001.jpg", "002.jpg", "sub/003.png", "004.jpg")):
        put(tmp_path / "data" / name, 10 * k)
    return tmp_path / "data"


def write(place, rows=ROWS, header=HEADER, separator=",", name="table.csv"):
    (place / name).write_text("\n".join(separator.join(row) for row in (header, *rows)) + "\n")
    return place / name


def opened(file, **options):
    columns = COLUMNS | {name: options.pop(name) for name in (*COLUMNS, "mask") if name in options}
    options = SPEC.options(file=file, columns=columns, **options)
    return create(SPEC, options, Task((), 16)), options


def described(file, **options):
    dataset, options = opened(file, **options)
    return dataset.describe(options)


def noted(found):
    return {note.text: list(note.names) for note in found.notes}


def as_xlsx(place):
    book = openpyxl.Workbook()
    for row in (HEADER, *ROWS):
        book.active.append(row)
    book.save(place / "table.xlsx")
    return place / "table.xlsx"


def as_parquet(place):
    columns = {name: [row[k] for row in ROWS] for k, name in enumerate(HEADER)}
    pq.write_table(pa.table(columns), place / "table.parquet")
    return place / "table.parquet"


@pytest.mark.parametrize(
    "write_it",
    [
        write,
        lambda place: write(place, separator=";"),
        lambda place: write(place, separator="\t", name="t.tab"),
    ],
)
def test_columns_become_labels_groups_splits_and_attributes(place, write_it):
    expect_the_rows(described(write_it(place), attributes={"age": "Years", "tone": "tone"}))


@pytest.mark.parametrize("write_it", [as_xlsx, as_parquet])
def test_xlsx_and_parquet_give_the_same(place, write_it):
    expect_the_rows(described(write_it(place), attributes={"age": "Years", "tone": "tone"}))


def expect_the_rows(found):
    assert found.ids == ["001.jpg", "002", "sub/003.png", "004.JPG"]
    assert found.labels == ["nv", "mel", "nv", "none"] and found.classes == ["mel", "none", "nv"]
    assert found.groups == ["p1", "p1", "alone:sub/003.png", "p2"]
    assert found.given_split == ["train", "val", "test", ""]
    assert found.attributes == {"age": [45, None, 60, 71], "tone": ["3", "3", None, "5"]}
    assert not found.masks and not found.ordinal and found.notes == []


def test_images_are_read_from_a_root_of_their_own(place, tmp_path):
    dataset, options = opened(write(tmp_path), root=place)
    assert set(dataset.fingerprint(options)) == set(dataset.describe(options).ids)
    images = list(dataset.read(["004.JPG", "002"]))
    assert [round(int(image.pixels[0, 0, 0]), -1) for image in images] == [30, 10]


@pytest.mark.parametrize("otherwise", [None, "other"])
def test_a_one_hot_label_is_a_list_of_columns(place, otherwise):
    header = ("image", "MEL", "NV", "BKL")
    rows = [("001", "1.0", "0", "0"), ("002", "0", "1", "0"), ("003", "0", "1", "0"), ("004", "0", "0", "0")]
    how = {
        "image": "image",
        "label": ["MEL", "nv", "BKL"],
        "group": None,
        "split": None,
        "otherwise": otherwise,
    }
    file = write(place, rows, header)
    if otherwise is None:
        with pytest.raises(UserError, match=r"csv:5: exactly one of MEL, NV, BKL must be 1, but none is 1"):
            described(file, **how)
    else:
        found = described(file, **how)
        assert found.labels == ["MEL", "nv", "nv", "other"] and found.classes == ["MEL", "nv", "other"]


def test_grades_are_ordered(place):
    found = described(write(place), grades=["nv", "mel", "severe", "none"])
    assert found.ordinal and found.classes == ["nv", "mel", "none"]
    with pytest.raises(UserError, match=r"csv:3: column 'dx': the label 'mel' is no grade"):
        described(write(place), grades=["nv", "none"])


def test_masks_are_those_of_a_column_or_lie_beside_the_images(place):
    for name in ("masks/one.png", "masks/three.png"):
        put(place / name, 255)
    rows = [(*row, mask) for row, mask in zip(ROWS, ("masks/one.png", "", "three", ""), strict=True)]
    dataset, options = opened(write(place, rows, (*HEADER, "seg")), mask="seg")
    assert dataset.describe(options).masks
    with_mask, without = dataset.read(["001.jpg", "002"])
    assert with_mask.mask.min() == 255 and without.mask is None
    with pytest.raises(UserError, match=r"csv:2: column 'seg': there is no mask 'masks/two.png'"):
        described(write(place, [(*row, "masks/two.png") for row in ROWS], (*HEADER, "seg")), mask="seg")


def test_a_mask_beside_an_image_is_not_an_image_without_a_row(place):
    put(place / "001_segmentation.png", 255)
    found = described(write(place))
    assert found.masks and noted(found) == {
        "files used as masks of the images beside them": ["001_segmentation.png"]
    }


def test_masks_in_a_folder_of_their_own_are_not_images_without_a_row(place):
    for name in ("001", "002", "003", "004"):
        put(place / "tschandl_segmentations" / f"{name}_segmentation.png", 255)
    found = described(write(place))
    assert found.masks and len(noted(found)["files used as masks of the images beside them"]) == 4


def test_rows_without_a_label_need_the_allowance(place):
    file = write(place, [*ROWS[:3], ("004.JPG", "NaN", "p2", "71", "", "5")])
    with pytest.raises(UserError, match=r"1 rows of table.csv without a label, of 4: 004.JPG"):
        described(file)
    found = described(file, missing=0.25)
    assert len(found.ids) == 3
    assert noted(found) == {"set aside: rows of table.csv without a label": ["004.JPG"]}


def test_rows_and_images_without_a_partner_need_the_allowance(place):
    file = write(place, ROWS[:3])
    with pytest.raises(UserError, match=r"1 images without a row in table.csv, of 4: 004.jpg"):
        described(file)
    assert len(described(file, missing=0.25).ids) == 3
    (place / "002.jpg").unlink()
    with pytest.raises(UserError, match=r"1 rows of table.csv without an image, of 4: 002"):
        described(write(place))
    assert len(described(write(place), partial=True).ids) == 3


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"image": "fil"}, "`columns.image`: there is no column 'fil'", "did you mean 'file'?"),
        ({"label": "diagnosis"}, "`columns.label`: there is no column 'diagnosis'", ""),
        ({"group": "patients"}, "`columns.group`: there is no column 'patients'", "did you mean 'patient'?"),
        (
            {"attributes": {"age": "year"}},
            "`attributes.age`: there is no column 'year'",
            "did you mean 'years'?",
        ),
        ({"label": ["dx", "melanoma"]}, "`columns.label.1`: there is no column 'melanoma'", ""),
        ({"split": "tone"}, "csv:2: column 'tone': '3' is no split", "write train, val or test"),
        ({"attributes": {"age": "dx"}}, "csv:2: column 'dx': 'nv' is not a number", ""),
        ({"label": "patient"}, "is no classification", ""),
    ],
)
def test_an_error_names_the_option_the_column_and_the_line(place, options, message, hint):
    rows = [(*row[:2], "p1", *row[3:]) for row in ROWS]
    with pytest.raises(UserError) as error:
        described(write(place, rows), **options)
    assert message in str(error.value) and hint in error.value.hint and "table.csv" in str(error.value)


def test_an_empty_folder_a_wrong_one_and_a_table_without_rows_are_refused(place, tmp_path):
    (tmp_path / "empty").mkdir()
    file = write(tmp_path)
    with pytest.raises(UserError, match="no images in .*empty"):  # noqa: RUF043
        described(file, root=tmp_path / "empty")
    with pytest.raises(UserError, match="does not exist"):
        described(file, root=tmp_path / "nowhere")
    put(tmp_path / "other" / "IMG_1.png")
    with pytest.raises(UserError, match="4 rows of table.csv without an image") as error:  # noqa: RUF043
        described(file, root=tmp_path / "other")
    assert "named like 'IMG_1'" in error.value.hint
    with pytest.raises(UserError, match="a header and no rows"):
        described(write(place, []))


@pytest.mark.parametrize("wrong", [{"label": ["a"]}, {"otherwise": "x"}, {"grades": ["a"]}, {"missing": 2}])
def test_options_that_mean_nothing_are_refused(place, wrong):
    with pytest.raises(ValidationError):
        opened(place / "table.csv", **wrong)


@pytest.mark.parametrize("at", [".", "table.csv"])
def test_a_table_beside_images_is_recognised_and_the_matrix_that_is_written_plans(place, in_process, at):
    header = ("isic_id", "diagnosis", "patient_id", "age_approx")
    rows = []
    for k in range(40):
        put(place / "img" / f"I{k}.jpg", 3 * k)
        rows.append((f"I{k}", ("nv", "mel")[k % 2], f"p{k // 2}" if k % 3 else "NaN", str(30 + k)))
    for name in ("001.jpg", "002.jpg", "sub/003.png", "004.jpg"):
        (place / name).unlink()
    write(place, rows, header)
    written = in_process("data", "inspect", str(place / at), "--write", str(place / "mine.yaml"))
    assert written.code == 0, written.err
    (entry,) = load_yaml(place / "mine.yaml").data["datasets"]
    assert entry["name"] == "table" and entry["file"] == "table.csv"
    assert entry["columns"] == {"image": "isic_id", "label": "diagnosis", "group": "patient_id"}
    assert entry["attributes"] == {"age": "age_approx"}
    planned = in_process("plan", str(place / "mine.yaml"))
    assert planned.code == 0, planned.err
