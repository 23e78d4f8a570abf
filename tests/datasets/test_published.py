"""The readers of published data sets: every layout is read, and what is wrong is said."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import defaultdict

import pytest
from tests.datasets.trees import TREES

from derm_bench.dataset_parts import create_dataset
from derm_bench.errors import UserError
from derm_bench.matrix.model import DatasetEntry
from derm_bench.plugins import Plugins
from derm_bench.specs import RawImage, Task
from derm_bench_plugins.datasets import specs

SPECS = {spec.name: spec for spec in specs()}
EVERY = [(name, layout) for name, layouts in TREES.items() for layout in layouts]
FIRST = [(name, next(iter(layouts))) for name, layouts in TREES.items()]
NAMES = [name for name, _ in FIRST]


def opened(name, options):
    spec = SPECS[name]
    chosen = spec.options(**options)
    return create_dataset(spec, chosen, Task((), 16), Plugins(builtins_only=True)), chosen


def described(name, options):
    dataset, chosen = opened(name, options)
    return dataset.describe(chosen)


def grown(name, layout, root):
    root.mkdir()
    return TREES[name][layout](root)


def shared(found):
    """The sets of ids that share a group, for groups of more than one image."""
    members = defaultdict(set)
    for name, group in zip(found.ids, found.groups, strict=True):
        members[group].add(name)
    return sorted((ids for ids in members.values() if len(ids) > 1), key=min)


def said(found):
    return [note.sentence(50) for note in found.notes]


@pytest.mark.parametrize(("name", "layout"), EVERY)
def test_every_layout_is_read(name, layout, tmp_path):
    tree = grown(name, layout, tmp_path / "root")
    dataset, options = opened(name, tree.options)
    found = dataset.describe(options)
    assert dict(zip(found.ids, found.labels, strict=True)) == tree.labels
    assert set(found.classes) == set(tree.labels.values())
    assert (found.groups and shared(found)) == (None if tree.groups is None else sorted(tree.groups, key=min))
    given = found.given_split and dict(zip(found.ids, found.given_split, strict=True))
    assert given == tree.given
    for attribute, values in tree.attributes.items():
        column = dict(zip(found.ids, found.attributes[attribute], strict=True))
        assert {key: column[key] for key in values} == values, attribute
    assert found.masks == tree.masks
    images = list(dataset.read([found.ids[0], found.ids[-1], found.ids[1]]))
    assert all(isinstance(image, RawImage) for image in images)
    assert all((image.mask is not None) == tree.masks for image in images)
    assert set(dataset.fingerprint(options)) == set(found.ids)


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_folder_is_said_to_be_empty_with_what_belongs_there(name, tmp_path):
    with pytest.raises(UserError, match=r"(?i)empty|no .*npz") as error:
        described(name, {"root": tmp_path})
    assert str(tmp_path) in str(error.value)
    assert "get it from http" in error.value.hint or "Kaggle" in error.value.hint


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_something_else_is_refused_with_what_was_looked_for(name, tmp_path):
    other = "fitzpatrick17k" if name.startswith(("isic", "ham", "milk")) else "isic-2018"
    grown(other, next(iter(TREES[other])), tmp_path / "root")
    with pytest.raises(UserError, match="no ") as error:
        described(name, {"root": tmp_path / "root"})
    text = str(error.value)
    assert str(tmp_path / "root") in text and ("get it from" in text)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_does_not_exist_is_named_in_full(name, tmp_path):
    with pytest.raises(UserError, match=str(tmp_path / "nowhere")):
        described(name, {"root": tmp_path / "nowhere"})


@pytest.mark.parametrize(("name", "layout"), [pair for pair in FIRST if pair[0] != "dermnet"])
def test_a_missing_column_is_named_with_its_file(name, layout, tmp_path):
    tree = grown(name, layout, tmp_path / "root")
    pattern = tree.spoil()
    with pytest.raises(UserError, match=pattern) as error:
        described(name, tree.options)
    assert str(tmp_path / "root") in str(error.value)


@pytest.mark.parametrize("name", NAMES)
def test_no_option_is_called_like_a_key_of_every_data_set(name):
    assert not set(SPECS[name].options.model_fields) & set(DatasetEntry.model_fields)


def test_no_reader_imports_torch():
    modules = sorted({spec.create.partition(":")[0] for spec in specs()})
    code = f"import sys, {', '.join(modules)}; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


# ---------------------------------------------------------------------------------- labels and notes


def changed(root, name, old, new):
    (file,) = root.rglob(name)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "message"),
    [
        ("pad-ufes-20", "metadata.csv", ",NEV,", ",NEVUS,", r"csv:4: .*'NEVUS' is not a known label"),
        ("isic-2020", "train.csv", ",malignant,", ",bad,", r"csv:4: .*'bad' is not a known label"),
        ("isic-2024", "train-metadata.csv", ",1,IP", ",2,IP", r"csv:2: .*'2' is not a known label"),
        ("isic-2018", "*_Training_GroundTruth.csv", "1.0", "0.5", r"csv:2: .*'0\.5' is neither 0 nor 1"),
        ("ddi", "ddi_metadata.csv", "True", "maybe", r"csv:2: .*'maybe' is not a known label"),
        ("ph2", "PH2_dataset.csv", ",2,", ",3,", r"csv:6: .*'3' is not a known label"),
        ("acne04", "NNEW_test_0.txt", "  3  ", "  4  ", r"txt:4: .*grade \(0 to 3\)"),
        ("milk10k", "*_GroundTruth.csv", "IL_0000003", "IL_0000033", r"csv:8: .*'IL_0000003' has no row in"),
    ],
)
def test_an_unknown_label_is_named_with_its_row(name, file, old, new, message, tmp_path):
    tree = grown(name, next(iter(TREES[name])), tmp_path / "root")
    changed(tmp_path / "root", file, old, new)
    with pytest.raises(UserError, match=message):
        described(name, tree.options)


@pytest.mark.parametrize(
    ("name", "layout", "text"),
    [
        ("dermnet", "train and test", "no licence is known"),
        ("medmnist", "28 pixels", "images of one lesion are in several parts"),
        ("medmnist", "28 pixels", "14 / 7 / 7 images (train / val / test), where 7,007 / 1,003 / 2,005"),
        ("figaro1k", "training and testing", "masks of another name (1): GT/Testing/Frame00150-gt(1).pbm"),
        ("isic-archive", "isic-cli", "each image has its own licence"),
        ("isic-2017", "all parts", "validation 6 of 150"),
        ("isic-2017", "part: test", "parts that `part` does not select (12)"),
        ("isic-2019", "unlabelled test part", "labels are not there (3)"),
        ("isic-2019", "training", "no images of the classes (1): UNK"),
        ("isic-2020", "competition", "labels are not there (3)"),
        ("isic-2020", "competition", "image formats that are not read (8)"),
        ("isic-2020", "with duplicates", "lists as copies are in one group"),
        ("isic-2024", "files", "columns that tell the label"),
        ("milk10k", "dermoscopic", "parts that `part` does not select (11)"),
        ("acne04", "no lists", "the grade is that of the file name"),
        ("ddi", "one folder", "are in the test part"),
        ("pad-ufes-20", "as unpacked", "12 images, where 2,298 were published"),
    ],
)
def test_what_a_user_should_know_is_noted(name, layout, text, tmp_path):
    tree = grown(name, layout, tmp_path / "root")
    found = described(name, tree.options)
    assert any(text in sentence for sentence in said(found)), said(found)


def test_grades_of_acne_are_ordered(tmp_path):
    found = described("acne04", grown("acne04", "VOC", tmp_path / "root").options)
    assert found.ordinal and list(found.classes) == ["0", "1", "2", "3"]


def test_codes_of_2018_and_2019_are_kept_apart(tmp_path):
    """AKIEC holds Bowen's disease, AK does not: no reader renames one to the other."""
    older = described("isic-2018", grown("isic-2018", "all parts", tmp_path / "a").options)
    newer = described("isic-2019", grown("isic-2019", "training", tmp_path / "b").options)
    assert "AKIEC" in older.classes and "AKIEC" not in newer.classes and "AK" in newer.classes


def test_a_part_that_is_not_there_is_named(tmp_path):
    tree = grown("isic-2018", "training alone", tmp_path / "root")
    with pytest.raises(UserError, match="no ISIC2018_Task3_Test_GroundTruth"):
        described("isic-2018", {**tree.options, "part": "test"})


def test_a_part_whose_images_are_not_there_is_not_read(tmp_path):
    tree = grown("isic-2018", "all parts", tmp_path / "root")
    shutil.rmtree(tmp_path / "root" / "ISIC2018_Task3_Test_Input")
    found = described("isic-2018", tree.options)
    assert set(found.given_split) == {"train", "val"} and len(found.ids) == 18
    assert "the part test is not read: none of its 9 images is there" in said(found)
    with pytest.raises(UserError, match=r"rows? of .*Test_GroundTruth"):
        described("isic-2018", {**tree.options, "part": "test"})


def test_rows_without_a_label_are_set_aside_and_listed(tmp_path):
    tree = grown("isic-archive", "level 3", tmp_path / "root")
    changed(tmp_path / "root", "metadata.csv", ",Nevus,", ",,")
    found = described("isic-archive", tree.options)
    assert set(found.classes) == {"Melanoma Invasive", "Basal cell carcinoma"}
    assert any("without a label (3): ISIC_0060000" in text for text in said(found))


def test_a_label_that_the_archive_does_not_have_is_refused_with_the_option(tmp_path):
    tree = grown("isic-archive", "isic-cli", tmp_path / "root")
    with pytest.raises(UserError, match=r"`label_column`: there is no column 'diagnosis_6'") as error:
        described("isic-archive", {**tree.options, "label_column": "diagnosis_6"})
    assert "did you mean 'diagnosis_" in str(error.value)


def test_a_partial_set_of_atlas_photographs_is_read_on_purpose(tmp_path):
    tree = grown("fitzpatrick17k", "images", tmp_path / "root")
    for path in sorted((tmp_path / "root" / "images").iterdir())[:4]:
        path.unlink()
    with pytest.raises(UserError, match="4 rows of fitzpatrick17k"):
        described("fitzpatrick17k", tree.options)
    assert len(described("fitzpatrick17k", {**tree.options, "partial": True}).ids) == 5


def test_two_tables_of_one_name_that_differ_are_refused(tmp_path):
    for folder in ("a", "b"):
        grown("pad-ufes-20", "one folder", tmp_path / folder)
    changed(tmp_path / "b", "metadata.csv", "ARM", "FACE")
    with pytest.raises(UserError, match=r"differ: a/metadata\.csv, b/metadata\.csv"):
        described("pad-ufes-20", {"root": tmp_path})


def test_the_order_of_a_table_does_not_matter(tmp_path):
    tree = grown("isic-2019", "training", tmp_path / "root")
    before = described("isic-2019", tree.options)
    for file in (tmp_path / "root").glob("*.csv"):
        header, *rows = file.read_text().splitlines()
        file.write_text("\n".join([header, *reversed(rows)]) + "\n")
    assert described("isic-2019", tree.options) == before
