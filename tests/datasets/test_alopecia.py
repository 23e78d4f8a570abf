"""alopecia: severities of DermNet's photographs from a table, and what is wrong with such a table."""

import csv

import pytest
from tests.datasets.trees.alopecia import FOLDER, both

from derm_bench.dataset_parts import create_dataset
from derm_bench.errors import UserError
from derm_bench.plugins import Plugins
from derm_bench.specs import Task

FOUND = Plugins(builtins_only=True)


def opened(options):
    spec = FOUND.get("dataset", "alopecia")
    chosen = spec.options(**options)
    return create_dataset(spec, chosen, Task((), 16), FOUND), chosen


def described(options):
    dataset, chosen = opened(options)
    return dataset.describe(chosen)


@pytest.fixture
def root(tmp_path):
    both(tmp_path)
    return tmp_path


@pytest.fixture
def edited(root):
    """Edits the table of severities and returns the options that read it."""

    def edit(old, new):
        file = root / "severity.csv"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))
        return {"root": root}

    return edit


def test_the_two_data_sets_may_lie_in_different_folders(tmp_path):
    tree = both(tmp_path, below=False)
    found = described(tree.options)
    assert dict(zip(found.ids, found.labels, strict=True)) == tree.labels


def test_classes_are_ordered_and_the_style_of_hair_is_an_auxiliary_task(root):
    found = described({"root": root})
    assert list(found.classes) == ["healthy", "mild", "moderate", "severe"] and found.ordinal
    hair = dict(zip(found.ids, found.aux_labels["hair_type"], strict=True))
    assert hair["figaro1k/Frame00001"] == "straight" and hair["figaro1k/Frame01050"] == "short"
    assert {hair[name] for name in found.ids if name.startswith("dermnet/")} == {""}
    said = [note.sentence() for note in found.notes]
    assert any("severity.csv says exclude (2)" in text for text in said)


def test_the_table_may_grade_other_photographs_of_hair_loss(edited):
    name = f"dermnet/train/{FOLDER}/androgenetic-alopecia-train.jpg"
    found = described(edited("severity\n", f"severity\n{name},Mild\n"))
    assert dict(zip(found.ids, found.labels, strict=True))[f"dermnet/{name}"] == "mild"


def test_a_label_map_may_say_otherwise(root):
    styles = ("straight", "wavy", "curly", "kinky", "braids", "dreadlocks", "short")
    hair = {**dict.fromkeys(styles, "healthy"), "short": None}
    grades = {"mild": "areata", "moderate": "areata", "severe": "areata"}
    found = described({"root": root, "label_map": {"figaro1k": hair, "dermnet": grades}})
    assert list(found.classes) == ["healthy", "areata"] and not found.ordinal
    assert "figaro1k/Frame01050" not in found.ids


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",severity", ",grade", r"severity.csv:1: .*there is no column 'severity'.*image, grade"),
        ("image,", "file,", r"severity.csv:1: .*there is no column 'image'"),
        (
            ",moderate",
            ",middling",
            r"severity.csv:3: .*'middling' is no severity.*(?s:.*)mild, moderate, severe",
        ),
        ("areata-train1", "areata-train9", r"severity.csv:3: .*areata-train9.jpg' is no image"),
        (",moderate", ",", r"severity.csv:3: .*1 images have no severity yet"),
    ],
)
def test_what_is_wrong_in_the_table_is_named_with_its_line(edited, old, new, message):
    with pytest.raises(UserError, match=message):
        described(edited(old, new))


def test_a_photograph_without_a_row_is_named(root, edited):
    (line,) = [row for row in (root / "severity.csv").read_text().splitlines(True) if "areata-test2" in row]
    with pytest.raises(UserError, match=r"1 of 8 photographs .* have no row: .*areata-test2") as error:
        described(edited(line, ""))
    assert "exclude" in error.value.hint


def test_two_rows_of_one_photograph_are_refused(edited):
    with pytest.raises(UserError, match=r"csv:10: .*has another row, in line 2"):
        described(
            edited(
                "alopecia-areata-test3.jpg,exclude\n",
                "alopecia-areata-test3.jpg,exclude\nalopecia-areata-train0,mild\n",
            )
        )


def test_without_a_table_it_says_how_to_write_one(root, tmp_path):
    (root / "severity.csv").unlink()
    with pytest.raises(UserError, match="DermNet has no severities") as error:
        described({"root": root})
    assert "--template severity.csv" in error.value.hint
    with pytest.raises(UserError, match="there is no such file") as error:
        described({"root": root, "severity": tmp_path / "other.csv"})
    assert "--template severity.csv" in error.value.hint


def test_a_folder_must_be_given(root):
    spec = FOUND.get("dataset", "alopecia")
    with pytest.raises(ValueError, match="give `figaro1k`, or `root`"):
        spec.options(dermnet=root)


def test_data_inspect_writes_a_table_that_can_be_filled_in(root, in_process):
    (root / "severity.csv").unlink()
    file = root / "severity.csv"
    ran = in_process("data", "inspect", root, "--template", file)
    assert ran.code == 0, ran.err
    rows = list(csv.DictReader(file.open()))
    assert len(rows) == 8 and {row["severity"] for row in rows} == {""}
    again = in_process("data", "inspect", root, "--template", file)
    assert again.code == 2 and "is not written over" in again.err
    early = in_process("data", "inspect", root)
    assert early.code == 2 and "8 images have no severity yet" in early.err
    grades = ("mild", "moderate", "severe", "mild")
    lines = [f'"{row["image"]}",{grades[k % 4]}\n' for k, row in enumerate(rows)]
    file.write_text("image,severity\n" + "".join(lines))
    ran = in_process("data", "inspect", root)
    assert ran.code == 0, ran.err
    assert "alopecia: 22 images of 4 classes" in ran.out and "further task hair_type: 7 labels" in ran.out


def test_a_data_set_that_needs_no_labels_has_no_table_to_fill_in(root, in_process, tmp_path):
    ran = in_process("data", "inspect", root / "figaro1k", "--template", tmp_path / "x.csv")
    assert ran.code == 2 and "needs no labels from a person" in ran.err
