"""Tables as pandas frames with the schema's dtypes: conversion from and to rows and CSV files."""

from __future__ import annotations

import csv
import io
import math
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derm_bench.errors import UserError
from derm_bench.plain_text import csv_cell, from_csv_cell, recorded
from derm_bench.rundir.files import TABLE_BYTES, opened, overwriting, replacing
from derm_bench.rundir.schema import Dtype, Table

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]

PANDAS: Mapping[Dtype, str] = {"text": "string", "integer": "Int64", "real": "float64"}
_CONVERT: Mapping[Dtype, tuple[Callable[[Any], Any], Any]] = {
    "text": (lambda value: recorded(str(value)), ""),
    "integer": (int, None),
    "real": (float, math.nan),
}
LONGEST = {
    "cell": 2000, "baseline_cell": 2000, "error": 100_000, "reference": 2000, "extractor": 2000, "protocol": 2000,
}  # fmt: skip
LONGEST_NAME = 255
MAX_CELLS = 50_000_000
"""The most rows times columns of a table that is read. A file of a few megabytes can have millions of short rows."""
"""The maximum length of a text value when an untrusted table is read; `LONGEST` has the exceptions by column."""


def make_frame(rows: Iterable[Row], table: Table, more: Sequence[str] = ()) -> pd.DataFrame:
    """Return a frame of `rows` with the columns of the table, followed by `more`. A value that a row lacks is missing
    (empty in a text column). Control characters in texts are escaped, and long texts are cut in the middle, as
    `plain_text.recorded` does."""
    import pandas as pd

    kept = list(rows)
    columns = {}
    for name in (*table.names, *more):
        dtype = table.dtype(name)
        convert, missing = _CONVERT[dtype]
        values = (row.get(name) for row in kept)
        columns[name] = pd.Series(
            [missing if value is None or value == "" else convert(value) for value in values],
            dtype=PANDAS[dtype],
        )
    return pd.DataFrame(columns)


def to_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a frame as plain Python values: str, int, float, and None for a missing value."""
    columns = []
    for name in frame.columns:
        series = frame[name]
        values = series.tolist()
        if series.dtype.name != "string":
            values = [
                None if missing else value for value, missing in zip(values, series.isna(), strict=True)
            ]
        columns.append(values)
    names = list(frame.columns)
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def text(value: Any) -> str:
    """Format a value for a CSV file: '' for a missing value, floats by `repr`, so that equal numbers look equal."""
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(float(value))
    return str(value)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as CSV atomically, with floats by `repr` and '' for missing values. Texts that a spreadsheet would
    run as a formula have an apostrophe in front, which `read_csv` removes."""
    columns = []
    for name in frame.columns:
        series = frame[name]
        missing = series.isna()
        columns.append(
            ["" if gone else text(value) for value, gone in zip(series.tolist(), missing, strict=True)]
        )
        if series.dtype.name == "string":
            columns[-1] = list(map(csv_cell, columns[-1]))
    with (
        replacing(path) as partial,
        overwriting(partial) as binary,
        io.TextIOWrapper(binary, encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(map(csv_cell, frame.columns))
        writer.writerows(zip(*columns, strict=True))


def read_csv(path: Path, table: Table) -> pd.DataFrame:
    """Read a table from its CSV file, with the dtypes of the schema.

    Raises UserError if the file is a link, has other columns, has text in a numeric column or a name of more than 255
    characters, and FileNotFoundError if it does not exist.
    """
    import pandas as pd

    with (
        opened(path, TABLE_BYTES) as descriptor,
        os.fdopen(descriptor, "rb", closefd=False) as file,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error", pd.errors.ParserWarning)  # raised if the first row is too long
        lines = sum(part.count(b"\n") for part in iter(lambda: file.read(2**20), b""))
        if lines * len(table.names) > MAX_CELLS:
            raise UserError(f"has {lines:,} lines, too many for a table", file=path)
        file.seek(0)
        try:
            found = pd.read_csv(
                file, dtype=str, keep_default_na=False, na_filter=False, index_col=False, encoding="utf-8"
            )
        except (ValueError, pd.errors.ParserError, pd.errors.ParserWarning) as error:
            raise UserError(f"not a valid CSV table: {error}", file=path) from error
    found.columns = found.columns.map(from_csv_cell)
    names = tuple(found.columns)
    if names[: len(table.names)] != table.names or (len(names) > len(table.names) and not table.more):
        absent = [name for name in table.names if name not in names]
        what = f"lacks the columns {', '.join(absent)}" if absent else "has other columns than the schema"
        raise UserError(what, file=path, hint="docs/run-directory.md lists the columns of each table")
    return pd.DataFrame({name: _typed(found[name], table.dtype(name), name, path) for name in names})


def _typed(series: pd.Series[Any], dtype: Dtype, name: str, path: Path) -> pd.Series[Any]:
    """Convert a column of text to the dtype of the schema."""
    import pandas as pd

    if len(name) > LONGEST_NAME or (series.str.len() > LONGEST.get(name, LONGEST_NAME)).any():
        raise UserError(
            f"the column '{name[:LONGEST_NAME]}' has a name or a value of more than {LONGEST.get(name, LONGEST_NAME)} "
            "characters",
            file=path,
        )
    if dtype == "text":
        return series.map(from_csv_cell).astype("string")
    convert, missing = _CONVERT[dtype]
    try:
        values = [convert(word) if word else missing for word in series.tolist()]
        return pd.Series(values, dtype=PANDAS[dtype])
    except (ValueError, TypeError, OverflowError) as error:
        message = f"the column '{name}' has a value that is not of the dtype {dtype}: {error}"
        raise UserError(message, file=path) from error
