"""ham10000: masks, downloads that are not whole, rows that are wrong, and the real data set."""

import os
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.datasets.trees import ham

from derm_bench.errors import UserError
from derm_bench.matrix.model import PerClass, Split
from derm_bench.plan.split import plan_split, select
from derm_bench.specs import Task, Unreadable, create
from derm_bench_plugins.datasets import specs

SPEC = {spec.name: spec for spec in specs()}["ham10000"]


def opened(root, **options):
    chosen = SPEC.options(root=root, **options)
    return create(SPEC, chosen, Task((), 16)), chosen


def described(root, **options):
    dataset, chosen = opened(root, **options)
    return dataset.describe(chosen)


def said(found):
    return [note.sentence() for note in found.notes]


@pytest.fixture
def root(tmp_path):
    ham.tree(tmp_path / "ham")
    return tmp_path / "ham"


def test_licence_and_citation_are_stated(root):
    found = described(root)
    assert found.licence == "CC BY-NC 4.0" and "Tschandl" in found.citation
    assert found.attributes["dx_type"][0] == "histo"


def test_a_lesion_that_is_not_known_stands_alone(root):
    file = root / "HAM10000_metadata.csv"
    file.write_text(file.read_text().replace("HAM_0000102", "").replace("HAM_0000103", ""))
    assert len(set(described(root).groups)) == len(ham.IDS) - 1


def test_masks_are_read_and_belong_to_the_fingerprint(root):
    dataset, options = opened(root)
    before = dataset.fingerprint(options)
    masks = root / "HAM10000_segmentations_lesion_tschandl"
    masks.mkdir()
    mask = np.zeros((18, 24), np.uint8)
    mask[:10] = 255
    Image.fromarray(mask).save(masks / f"{ham.IDS[0]}_segmentation.png")
    dataset, options = opened(root)
    found = dataset.describe(options)
    assert not found.masks and any("images without a mask (9)" in text for text in said(found))
    after = dataset.fingerprint(options)
    assert [name for name in after if after[name] != before[name]] == [ham.IDS[0]]
    first, second = dataset.read(ham.IDS[:2])
    assert first.mask.shape == (18, 24) and (first.mask == 255).sum() == 10 * 24
    assert second.mask is None
    (masks / f"{ham.IDS[0]}_segmentation.png").write_text("broken")
    (broken,) = dataset.read(ham.IDS[:1])
    assert isinstance(broken, Unreadable) and broken.reason.startswith("its mask")


@pytest.mark.parametrize(("whole", "shape"), [(True, (45, 60, 3)), (False, (23, 30, 3))])
def test_a_jpeg_is_read_whole_where_the_task_asks(root, whole, shape):
    image = np.random.default_rng(0).integers(0, 256, (45, 60, 3), dtype=np.uint8)
    Image.fromarray(image).save(root / ham.PARTS[0] / f"{ham.IDS[0]}.jpg")
    dataset = create(SPEC, SPEC.options(root=root), Task((), 8, whole=whole))
    (image,) = dataset.read(ham.IDS[:1])
    assert image.pixels.shape == shape


def test_a_partial_download_is_refused_or_used_on_purpose(root):
    for name in ham.IDS[1::2]:
        (root / ham.PARTS[1] / f"{name}.jpg").unlink()
    with pytest.raises(UserError, match=r"5 rows of HAM10000_metadata\.csv without an image, of 10") as error:
        described(root)
    assert "doi.org/10.7910/DVN/DBW86T" in error.value.hint and "`partial: true`" in error.value.hint
    found = described(root, partial=True)
    assert sorted(found.ids) == sorted(ham.IDS[::2])
    text = "; ".join(said(found))
    assert "rows of HAM10000_metadata.csv without an image (5)" in text
    assert "5 images, where 10,015 were published" in text
    assert described(root, missing=0.5).ids == found.ids


def test_images_without_rows_are_refused_or_set_aside(root):
    file = root / "HAM10000_metadata.csv"
    file.write_text("\n".join(file.read_text().splitlines()[:-1]) + "\n")
    with pytest.raises(UserError, match=rf"1 images without a row .*{ham.IDS[-1]}"):
        described(root)
    assert ham.IDS[-1] not in described(root, missing=0.2).ids


def test_two_copies_of_the_images_count_once(root):
    """Kaggle's download has every part twice, in folders of upper and lower case."""
    for part in ham.PARTS:
        (root / part.lower()).mkdir()
        for path in (root / part).iterdir():
            (root / part.lower() / path.name).write_bytes(path.read_bytes())
    found = described(root)
    assert sorted(found.ids) == sorted(ham.IDS)
    assert any("equal files under one name" in text and "(10)" in text for text in said(found))


def test_the_test_images_of_isic_2018_beside_are_set_aside(tmp_path):
    ham.with_the_test_set(tmp_path)
    text = "; ".join(said(described(tmp_path)))
    assert "labels are not there (3): ISIC2018_Task3_Test_Images/ISIC_0034524.jpg" in text


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",df,", ",melanoma,", "csv:10: column 'dx': 'melanoma' is not a known label"),
        (",df,", ",,", "csv:10: column 'dx': this row has no label"),
        (ham.IDS[3], ham.IDS[2], "csv:5: .*occurs twice, first in line 4"),
        ("60.0", "old", "csv:2: column 'age': 'old' is not a number"),
    ],
)
def test_wrong_rows_are_named_with_their_line(root, old, new, message):
    file = root / "HAM10000_metadata.csv"
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(UserError, match=message):
        described(root)


# ------------------------------------------------------------------------------------ the real one


@pytest.fixture(scope="module")
def real():
    root = os.environ.get("DERM_BENCH_DATA")
    if not root:
        pytest.skip("DERM_BENCH_DATA does not name the root of HAM10000")
    return Path(root)


@pytest.mark.ham
def test_the_real_thing(real):
    dataset, options = opened(real)
    found = dataset.describe(options)
    assert Counter(found.labels) == {
        "nv": 6705, "mel": 1113, "bkl": 1099, "bcc": 514, "akiec": 327, "vasc": 142, "df": 115,
    }  # fmt: skip
    assert len(set(found.groups)) == 7470
    assert not [text for text in said(found) if "published" in text]
    for image in dataset.read(found.ids[:4]):
        assert image.pixels.ndim == 3 and image.pixels.shape[2] == 3


def refuse_leaks(planned):
    parts_of = defaultdict(set)
    for group, part in zip(planned.groups, planned.parts, strict=True):
        parts_of[group].add(part)
    assert [group for group, parts in parts_of.items() if len(parts) > 1] == []


@pytest.mark.ham
def test_no_lesion_of_the_real_thing_is_in_two_splits_and_shares_are_kept(real):
    selection = select(described(real), None, PerClass(), "auto", 0)
    whole = {name: count / 10015 for name, count in Counter(selection.labels).items()}
    for seed in range(20):
        refuse_leaks(plan_split(selection, Split(), seed))
    for fold in range(5):
        planned = plan_split(selection, Split(method="kfold"), fold)
        refuse_leaks(planned)
        counts = planned.counts("test")
        for name, share in whole.items():
            assert abs(counts[name] / sum(counts.values()) - share) < 0.02, (fold, name)
