"""Tables beside images: separators, encodings, formats, columns, missing values, and errors that name the line."""

import builtins
import os

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from derm_bench.errors import UserError
from derm_bench_plugins.datasets import table_formats
from derm_bench_plugins.datasets.tables import find_table, open_table

ROWS = [("image_id", "dx", "age"), ("001", "nv", "45.0"), ("002", "mel", ""), ("003", "naïve", "60")]


def written(place, separator=",", encoding="utf-8", rows=ROWS, end="\n"):
    place.write_bytes((end.join(separator.join(row) for row in rows) + end).encode(encoding))
    return place


def columns(file, *names, verbatim=()):
    table = open_table(file)
    rows = table.read([table.column(name) for name in names], verbatim)
    return [rows[table.column(name)] for name in names]


def the_same(file):
    ids, labels, ages = columns(file, "image_id", "dx", "age")
    assert ids == ["001", "002", "003"] and labels == ["nv", "mel", "naïve"]
    assert ages[1:] == [None, "60"] and ages[0] in ("45.0", "45")


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.tab", "a.txt", "a"])
def test_the_separator_is_found_whatever_the_suffix(tmp_path, separator, name):
    the_same(written(tmp_path / name, separator))


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_the_encoding_is_found(tmp_path, encoding, end):
    file = written(tmp_path / "a.csv", encoding=encoding, end=end)
    the_same(file)
    assert ("is read as" in open_table(file).note) == (not encoding.startswith("utf-8"))


def test_a_byte_that_is_not_utf_8_at_the_end_of_a_long_file_is_found(tmp_path):
    rows = [("image", "text"), *((f"{k}", "x" * 100) for k in range(2000)), ("last", "naïve")]
    ids, texts = columns(written(tmp_path / "a.csv", encoding="cp1252", rows=rows), "image", "text")
    assert ids[-1] == "last" and texts[-1] == "naïve"


def test_excel_states_the_separator_in_a_line_of_its_own(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("sep=;\nimage;age\na,b;1,5\n")
    table = open_table(file)
    rows = table.read(["image", "age"])
    assert (rows["image"], rows.numbers("age"), list(rows.lines)) == (["a,b"], [1.5], [3])


@pytest.mark.parametrize("first", ["", "Unnamed: 0"])
def test_a_leading_index_column_is_dropped(tmp_path, first):
    rows = [(first, *ROWS[0]), *((str(k), *row) for k, row in enumerate(ROWS[1:]))]
    file = written(tmp_path / "a.csv", rows=rows)
    the_same(file)
    assert open_table(file).header == ROWS[0]


def test_row_names_of_r_are_dropped(tmp_path):
    the_same(written(tmp_path / "a.csv", rows=[ROWS[0], *(("7", *row) for row in ROWS[1:])]))


def test_empty_rows_and_columns_at_the_ends_are_no_error(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("\nimage,group,\n\na,1,\n,,\n\nb,2,\n\n")
    assert columns(file, "image", "group") == [["a", "b"], ["1", "2"]]


def test_xlsx_keeps_leading_zeros_and_whole_numbers(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet.append(["image_id", "dx", "age", None])
    for k, (dx, age) in enumerate((("nv", 45.0), ("mel", None), ("naïve", 60)), start=2):
        sheet.append([k - 1, dx, age])
        sheet.cell(k, 1).number_format = "000"
    book.create_sheet("other")
    book.save(tmp_path / "a.xlsx")
    the_same(tmp_path / "a.xlsx")
    assert "only the sheet" in open_table(tmp_path / "a.xlsx").note


def test_xlsx_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    openpyxl.Workbook().save(tmp_path / "a.xlsx")
    real = builtins.__import__

    def absent(name, *arguments, **keywords):
        if name == "openpyxl":
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(UserError, match=r"needs the package openpyxl\n.*derm-bench\[xlsx\]"):
        open_table(tmp_path / "a.xlsx")


def test_parquet(tmp_path):
    table = pa.table(
        {
            "image_id": ["001", "002", "003"],
            "dx": pa.array(["nv", "mel", "naïve"]).dictionary_encode(),
            "age": [45.0, None, 60.0],
            "bytes": [b"1", b"2", b"3"],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    the_same(tmp_path / "a.parquet")
    assert open_table(tmp_path / "a.parquet").header == ("image_id", "dx", "age")


@pytest.mark.parametrize("name", ["a.xlsx", "a.parquet"])
def test_a_broken_file_of_a_format_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"no such format")
    with pytest.raises(UserError, match=f"{name}.*not a valid"):
        open_table(tmp_path / name)


def test_a_column_is_found_by_any_of_its_names_and_spellings(tmp_path):
    table = open_table(written(tmp_path / "a.csv", rows=[("Image ID", "Clinical-Diagnosis"), ("1", "2")]))
    assert table.column("isic_id", "image_id") == "Image ID"
    assert table.optional("clinical_diagnosis") == "Clinical-Diagnosis"
    assert table.optional("age", None) is None
    with pytest.raises(
        UserError, match=r"a\.csv:1: there is no column 'clinical_diagnoses' \(or dx\)"
    ) as error:
        table.column("clinical_diagnoses", "dx")
    assert error.value.hint == "did you mean 'Clinical-Diagnosis'?"


def test_a_column_that_is_named_twice_is_refused(tmp_path):
    with pytest.raises(UserError, match="names the column dx twice"):
        open_table(written(tmp_path / "a.csv", rows=[("image", "dx", "dx"), ("1", "2", "3")]))
    table = open_table(written(tmp_path / "a.csv", rows=[("image", "dx", "DX"), ("1", "2", "3")]))
    assert table.column("dx") == "dx"
    with pytest.raises(UserError, match="two columns are called 'Dx': dx, DX"):
        table.column("Dx")


@pytest.mark.parametrize("text", ["", "NaN", "nan", "NA", "N/A", "None", "unknown", "null", " ", "?"])
def test_missing_values_are_none_except_where_the_text_counts(tmp_path, text):
    file = written(tmp_path / "a.csv", rows=[("image", "group"), ("a", text), ("b", "p")])
    assert columns(file, "group") == [[None, "p"]]
    written_out = text if text in ("NA", "N/A", "None", "unknown", "?") else None
    assert columns(file, "group", verbatim=["group"]) == [[written_out, "p"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3\n", "a.csv:3: 1 values, but the header has 2"),
        ('a,b\n"x\ny",2\n1,2,3\n', "a.csv:4: 3 values, but the header has 2"),
        (f"a,b\n1,{'x' * 200_000}\n", "a.csv:2: not a valid table: field larger"),
        ("\n\n", "is empty"),
        ("a\0b,c\n" + "1,2\n" * 5, "not a table of text"),
    ],
)
def test_an_error_names_the_line(tmp_path, text, message):
    file = tmp_path / "a.csv"
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        table = open_table(file)
        table.read(table.header)


def test_values_that_are_wrong_are_named_with_line_and_column(tmp_path):
    rows = [("image", "age", "a", "b"), ("x", "3", "1", "0"), ("y", "old", "0", "0"), ("x", "4", "1", "1")]
    read = open_table(written(tmp_path / "a.csv", rows=rows)).read(rows[0])
    with pytest.raises(UserError, match=r"csv:3: column 'age': 'old' is not a number"):
        read.numbers("age")
    with pytest.raises(UserError, match=r"csv:4: column 'image': 'x' occurs twice, first in line 2"):
        read.names("image")
    with pytest.raises(UserError, match=r"csv:3: exactly one of a, b must be 1, but none is 1"):
        read.one_hot(["a", "b"])
    with pytest.raises(UserError, match=r"csv:4: exactly one of a, b must be 1, but a, b are 1"):
        read.one_hot(["a", "b"], otherwise="c")
    with pytest.raises(UserError, match=r"csv:2: column 'age': '3' is neither 0 nor 1"):
        read.one_hot(["age"])


def test_one_hot_labels(tmp_path):
    rows = [("a", "b"), ("1.0", "0.0"), ("0", "1"), ("0", "0")]
    read = open_table(written(tmp_path / "a.csv", rows=rows)).read(rows[0])
    assert read.one_hot(["a", "b"], otherwise="neither") == ["a", "b", "neither"]


def test_only_regular_files_of_a_bounded_size_are_read(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "link.csv").symlink_to("/dev/zero")
    for name in ("pipe.csv", "link.csv", "."):
        with pytest.raises(UserError, match="not a regular file"):
            open_table(tmp_path / name)
    with pytest.raises(UserError, match="cannot be read: No such file"):
        open_table(tmp_path / "none.csv")
    with pytest.raises(UserError, match=r"format \.xls are not read"):
        open_table(tmp_path / "old.xls")
    file = written(tmp_path / "a.csv")
    monkeypatch.setattr(table_formats, "MAX_TABLE_BYTES", 20)
    with pytest.raises(UserError, match="is too large"):
        open_table(file)


def test_a_table_is_found_by_its_name_in_any_spelling(tmp_path):
    for name in ("HAM10000_metadata (1).csv", "GROUPS.TSV", "both.csv", "both.xlsx", "both - Copy.csv"):
        (tmp_path / name).write_text("a,b\n")
    assert find_table(tmp_path, "ham10000_metadata").name == "HAM10000_metadata (1).csv"
    assert find_table(tmp_path, "none", "groups").name == "GROUPS.TSV"
    assert find_table(tmp_path, "both").name == "both.csv"
    assert find_table(tmp_path, "other") is None
    (tmp_path / "HAM10000_metadata (2).csv").write_text("")
    with pytest.raises(UserError, match="several copies of one table"):
        find_table(tmp_path, "ham10000_metadata")
