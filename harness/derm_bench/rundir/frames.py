"""Tables as pandas frames with the schema's dtypes: from rows, to rows, to CSV files and back."""

from __future__ import annotations

import csv
import math
import os
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derm_bench.errors import UserError
from derm_bench.rundir.files import TABLE_BYTES, opened, replacing
from derm_bench.rundir.schema import Dtype, Table

if TYPE_CHECKING:
    import pandas as pd

Row = Mapping[str, Any]

PANDAS: Mapping[Dtype, str] = {"text": "string", "integer": "Int64", "real": "float64"}
_CONVERT: Mapping[Dtype, tuple[Callable[[Any], Any], Any]] = {
    "text": (str, ""),
    "integer": (int, None),
    "real": (float, math.nan),
}
LONGEST = {"cell": 2000, "error": 100_000, "reference": 2000, "extractor": 2000, "protocol": 2000}
LONGEST_NAME = 255
"""Characters of a name in a table that somebody else may have written; `LONGEST` says where there may be more."""


def make_frame(rows: Iterable[Row], table: Table, more: Sequence[str] = ()) -> pd.DataFrame:
    """A frame of `rows` with the table's columns and `more` after them. What a row lacks is missing (text: empty)."""
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
    """The rows of a frame as plain Python values: str, int, float, and None for what is missing."""
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
    """A value as a CSV file holds it: '' for what is missing, floats by `repr`, so that equal numbers look equal."""
    if value is None:
        return ""
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(float(value))
    return str(value)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Writes a frame as CSV, whole or not at all: floats by `repr`, '' for what is missing."""
    columns = []
    for name in frame.columns:
        series = frame[name]
        missing = series.isna()
        columns.append(
            ["" if gone else text(value) for value, gone in zip(series.tolist(), missing, strict=True)]
        )
    with replacing(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(frame.columns)
        writer.writerows(zip(*columns, strict=True))


def read_csv(path: Path, table: Table) -> pd.DataFrame:
    """A table from its CSV file, with the schema's dtypes.

    Raises UserError for what is no such table: a link, other columns, a word where a number belongs, a name of more
    than 255 characters; FileNotFoundError where there is none.
    """
    import pandas as pd

    with (
        opened(path, TABLE_BYTES) as descriptor,
        os.fdopen(descriptor, "rb", closefd=False) as file,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error", pd.errors.ParserWarning)  # of a first row that is too long
        try:
            found = pd.read_csv(
                file, dtype=str, keep_default_na=False, na_filter=False, index_col=False, encoding="utf-8"
            )
        except (ValueError, pd.errors.ParserError, pd.errors.ParserWarning) as error:
            raise UserError(f"no CSV table: {error}", file=path) from error
    names = tuple(found.columns)
    if names[: len(table.names)] != table.names or (len(names) > len(table.names) and not table.more):
        absent = [name for name in table.names if name not in names]
        what = f"lacks the columns {', '.join(absent)}" if absent else "has other columns than the schema"
        raise UserError(what, file=path, hint="docs/run-directory.md lists the columns of each table")
    return pd.DataFrame({name: _typed(found[name], table.dtype(name), name, path) for name in names})


def _typed(series: pd.Series[Any], dtype: Dtype, name: str, path: Path) -> pd.Series[Any]:
    """A column of text as the schema's dtype."""
    import pandas as pd

    if len(name) > LONGEST_NAME or (series.str.len() > LONGEST.get(name, LONGEST_NAME)).any():
        raise UserError(
            f"the column '{name[:LONGEST_NAME]}' has a name of more than {LONGEST.get(name, LONGEST_NAME)} "
            "characters",
            file=path,
        )
    if dtype == "text":
        return series.astype("string")
    convert, missing = _CONVERT[dtype]
    try:
        values = [convert(word) if word else missing for word in series.tolist()]
        return pd.Series(values, dtype=PANDAS[dtype])
    except (ValueError, TypeError, OverflowError) as error:
        raise UserError(f"the column '{name}' holds what is no {dtype}: {error}", file=path) from error
