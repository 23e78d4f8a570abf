"""The schema of the run directory: written down for readers, kept by what is written, refused when it is another."""

import json

import pytest
from tests.conftest import ROOT

from derm_bench.errors import UserError
from derm_bench.report.data import ReportData
from derm_bench.rundir import schema
from derm_bench.rundir.directory import read_run
from derm_bench.rundir.frames import make_frame, read_csv, to_rows

PAGE = (ROOT / "docs" / "run-directory.md").read_text()
ALL = (*schema.TABLES.values(), schema.PREDICTIONS, schema.SPLITS)


def section(title: str) -> list[str]:
    """The lines of a section of the page that are rows of a table."""
    text = PAGE.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]
    return [line for line in text.splitlines() if line.startswith("| `")]


@pytest.mark.parametrize("table", ALL, ids=lambda table: table.file)
def test_the_page_and_the_schema_say_the_same_of_every_column(table):
    assert section(table.file) == [
        f"| `{c.name}` | {c.dtype} | {c.unit} | {c.meaning} |" for c in (*table.columns, *table.more)
    ]
    assert table.rows in PAGE


@pytest.mark.parametrize(
    ("title", "keys"),
    [
        ("Other files", schema.OTHER_FILES),
        ("manifest.json", schema.MANIFEST_KEYS),
        ("samples/index.json", schema.INDEX_KEYS),
    ],
)
def test_the_page_and_the_schema_say_the_same_of_every_file_and_key(title, keys):
    assert section(title) == [f"| `{name}` | {meaning} |" for name, meaning in keys.items()]


@pytest.mark.parametrize(
    ("stated", "says"),
    [({}, "states no schema"), ({"schema": 3}, "has the schema 3"), ({"schema": "2"}, "has the schema 2")],
)
def test_a_directory_of_another_schema_is_refused_with_what_to_do(make_run, stated, says):
    folder = make_run(fractions=(1.0,), classifiers=("net",), seeds=(0,))
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["schema"]
    (folder / "manifest.json").write_text(json.dumps(manifest | stated))
    with pytest.raises(UserError, match=says) as refused:
        ReportData.load(folder)
    assert "run the matrix again" in refused.value.hint


@pytest.mark.parametrize("name", schema.TABLES)
def test_a_table_reads_back_as_it_was_written(whole_run, name):
    data = ReportData.load(whole_run)
    table, frame = schema.TABLES[name], data.frames[name]
    rows = to_rows(frame)
    assert tuple(frame.columns)[: len(table.names)] == table.names and rows
    assert make_frame(rows, table, list(frame.columns)[len(table.names) :]).equals(frame)
    for column in table.columns:
        kinds = {type(row[column.name]) for row in rows} - {type(None)}
        assert kinds <= {{"text": str, "integer": int, "real": float}[column.dtype]}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("dataset,real\nham,1\n", "lacks the columns"),
        ("{header},more\n", "other columns"),
        (
            "{header}\nham,1.0,a,,0,0,train,mel,many,0\n",
            "'real' has a value that is not of the dtype integer",
        ),
        (
            "{header}\nham,half,a,,0,0,train,mel,1,0\n",
            "'train_fraction' has a value that is not of the dtype real",
        ),
        ("{header}\n" + "x" * 300 + ",1.0,a,,0,0,train,mel,1,0\n", "more than 255"),
        ("{header}\nham,1.0,a,,0,0,train,mel,1,0,5,6\n", "not a valid CSV table"),
        ("\xff\xfe", "not a valid CSV table"),
        ("", "not a valid CSV table"),
    ],
    ids=[
        "columns missing",
        "columns added",
        "no integer",
        "no real",
        "long name",
        "ragged",
        "no text",
        "empty",
    ],
)
def test_what_is_no_such_table_is_refused_in_words(tmp_path, content, says):
    path = tmp_path / "composition.csv"
    header = ",".join(schema.COMPOSITION.names)
    path.write_bytes(content.format(header=header).encode("latin-1"))
    with pytest.raises(UserError, match=says):
        read_csv(path, schema.COMPOSITION)


def test_a_directory_of_names_like_formulas_reads_back(make_run):
    run = make_run(fractions=(1.0,), classifiers=("=net",), seeds=(0,))
    assert "'=net" in (run / "results.csv").read_text()
    assert set(read_run(run).tables["results"]["classifier"]) == {"=net"}
