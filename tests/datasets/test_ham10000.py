"""ham10000: the layouts that archives unpack to, and downloads that are not whole."""

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from derm_bench.errors import UserError
from derm_bench.specs import Task, Unreadable, create
from derm_bench_plugins.datasets import specs

PARTS = ("HAM10000_images_part_1", "HAM10000_images_part_2")
SPEC = {spec.name: spec for spec in specs()}["ham10000"]
HEADER = ("lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization", "dataset")
ROWS = [
    ("HAM_1", "ISIC_0000001", "mel", "histo", "60.0", "male", "back", "rosendahl"),
    ("HAM_1", "ISIC_0000002", "mel", "histo", "60.0", "male", "back", "rosendahl"),
    ("HAM_2", "ISIC_0000003", "nv", "follow_up", "", "unknown", "face", "vidir_molemax"),
    ("", "ISIC_0000004", "nv", "histo", "35", "female", "", "vidir_modern"),
    ("", "ISIC_0000005", "df", "histo", "35", "female", "foot", "vidir_modern"),
]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("DERM_BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))


def build(
    root,
    folders=("HAM10000_images_part_1", "HAM10000_images_part_2"),
    table="HAM10000_metadata.csv",
    rows=ROWS,
):
    separator = "," if table.endswith(".csv") else "\t"
    root.mkdir(exist_ok=True)
    (root / table).write_text("\n".join(separator.join(row) for row in (HEADER, *rows)) + "\n")
    for i, row in enumerate(ROWS):
        folder = root / folders[i % len(folders)]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((45, 60, 3), 40 * i, np.uint8)).save(folder / f"{row[1]}.jpg")
    return root


def opened(root):
    options = SPEC.options(root=root)
    return create(SPEC, options, Task((), 16)), options


def described(root):
    dataset, options = opened(root)
    return dataset.describe(options)


@pytest.mark.parametrize(
    ("folders", "table"),
    [
        (PARTS, "HAM10000_metadata.csv"),
        (
            ("ham10000_images_part_1/ham10000_images_part_1", "ham10000_images_part_2"),
            "HAM10000_metadata.tab",
        ),
        (("Images",), "HAM10000_metadata"),
        ((".",), "ham10000_metadata.csv"),
    ],
)
def test_layouts(tmp_path, folders, table):
    found = described(build(tmp_path / "ham", folders, table))
    assert list(found.ids) == [row[1] for row in ROWS]
    assert found.labels == ["mel", "mel", "nv", "nv", "df"]
    assert found.groups[0] == found.groups[1] == "HAM_1"
    assert len(set(found.groups)) == 4  # images without a lesion stand alone
    assert found.attributes["age"] == [60.0, 60.0, None, 35.0, 35.0]
    assert found.attributes["localization"][3] == "unknown"
    assert found.licence == "CC BY-NC 4.0" and "Tschandl" in found.citation
    assert not found.masks


def test_masks_are_read_and_belong_to_the_fingerprint(tmp_path):
    root = build(tmp_path / "ham")
    dataset, options = opened(root)
    before = dataset.fingerprint(options)
    masks = root / "HAM10000_segmentations_lesion_tschandl"
    masks.mkdir()
    mask = np.zeros((45, 60), np.uint8)
    mask[:20] = 255
    Image.fromarray(mask).save(masks / "ISIC_0000001_segmentation.png")
    dataset, options = opened(root)
    assert dataset.describe(options).masks
    after = dataset.fingerprint(options)
    assert [name for name in after if after[name] != before[name]] == ["ISIC_0000001"]
    first, second = dataset.read(["ISIC_0000001", "ISIC_0000002"])
    assert first.mask.shape == (45, 60) and (first.mask == 255).sum() == 20 * 60
    assert second.mask is None
    (masks / "ISIC_0000001_segmentation.png").write_text("broken")
    (broken,) = dataset.read(["ISIC_0000001"])
    assert isinstance(broken, Unreadable) and broken.reason.startswith("its mask")


@pytest.mark.parametrize(("whole", "shape"), [(True, (45, 60, 3)), (False, (23, 30, 3))])
def test_a_jpeg_is_read_whole_where_the_task_asks(tmp_path, whole, shape):
    options = SPEC.options(root=build(tmp_path / "ham"))
    dataset = create(SPEC, options, Task((), 8, whole=whole))
    (image,) = dataset.read(["ISIC_0000001"])
    assert image.pixels.shape == shape


def test_a_partial_download_is_understandable(tmp_path):
    root = build(tmp_path / "ham")
    (root / "HAM10000_images_part_2" / "ISIC_0000002.jpg").unlink()
    (root / "HAM10000_images_part_2" / "ISIC_0000004.jpg").unlink()
    with pytest.raises(UserError, match=r"2 of 5 rows .* no image .*ISIC_0000002, ISIC_0000004") as error:
        described(root)
    assert "incomplete" in error.value.hint


def test_images_without_rows_are_named(tmp_path):
    root = build(tmp_path / "ham", rows=ROWS[:-1])
    with pytest.raises(UserError, match=r"1 of 5 images .* no row .*ISIC_0000005"):
        described(root)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([*ROWS[:4], (*ROWS[4][:2], "melanoma", *ROWS[4][3:])], "unknown dx 'melanoma'"),
        ([*ROWS, ROWS[0]], "occurs twice"),
        ([*ROWS[:4], (*ROWS[4][:4], "old", *ROWS[4][5:])], "age 'old'"),
    ],
)
def test_wrong_rows_are_errors(tmp_path, rows, message):
    with pytest.raises(UserError, match=message):
        described(build(tmp_path / "ham", rows=rows))


def test_missing_pieces_are_named(tmp_path):
    with pytest.raises(UserError, match=str(tmp_path / "none")):
        described(tmp_path / "none")
    with pytest.raises(UserError, match="no HAM10000_metadata"):
        described(tmp_path)
    root = build(tmp_path / "ham", folders=("elsewhere",))
    with pytest.raises(UserError, match="no images in"):
        described(root)
    (root / "HAM10000_metadata.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UserError, match="UTF-8"):
        described(root)


@pytest.mark.ham
def test_the_real_thing():
    root = os.environ.get("DERM_BENCH_DATA")
    if not root:
        pytest.skip("DERM_BENCH_DATA does not name the root of HAM10000")
    dataset, options = opened(Path(root))
    found = dataset.describe(options)
    assert Counter(found.labels) == {
        "nv": 6705, "mel": 1113, "bkl": 1099, "bcc": 514, "akiec": 327, "vasc": 142, "df": 115,
    }  # fmt: skip
    assert len(set(found.groups)) == 7470
    for image in dataset.read(found.ids[:4]):
        assert image.pixels.ndim == 3 and image.pixels.shape[2] == 3
