"""predictions.parquet: written from the outputs of the evaluation stages, and read for figures."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derm_bench.errors import UserError
from derm_bench.rundir.files import TABLE_BYTES, opened, overwriting, replacing
from derm_bench.rundir.frames import LONGEST_NAME
from derm_bench.rundir.planned import RunStages
from derm_bench.rundir.records import Records
from derm_bench.rundir.schema import PREDICTIONS

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

UNPACKED_BYTES = 8 * 2**30
"""The maximum size of a predictions file after decompression."""


@dataclass(frozen=True)
class Scored:
    """The predictions of one cell on one test set. labels, predicted: int64 [N], indices into the classes; proba:
    float64 [N,K], columns in class order."""

    labels: np.ndarray
    predicted: np.ndarray
    proba: np.ndarray


def write_predictions(stages: RunStages, records: Records, path: Path) -> None:
    """Write the predictions of all finished cells to one file, cell by cell. Rows of `val` occur once per cell, with an
    empty test set."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    tables = []
    for cell in stages.cells:
        first = True
        for test_set, evaluation in cell.evaluations.items():
            folder = records.folder(evaluation)
            if folder is None or records.outcome(evaluation).status != "done":
                continue
            with pa.memory_map(str(folder / "predictions.arrow")) as file:
                table = pa.ipc.open_file(file).read_all()
            if not first:
                table = table.filter(pc.equal(table["split"], "test"))
            first = False
            names = pc.if_else(pc.equal(table["split"], "test"), test_set, "")
            cells = pa.array([cell.name] * len(table)).dictionary_encode()
            tables.append(table.add_column(1, "test_set", names).add_column(0, "cell", cells))
    none = pa.table({name: pa.array([], pa.string()) for name in PREDICTIONS.names})  # no cell is done yet
    with replacing(path) as partial, overwriting(partial) as file:
        found = pa.concat_tables(_alike(tables), promote_options="permissive") if tables else none
        pq.write_table(found, file)


def _alike(tables: Sequence[pa.Table]) -> list[pa.Table]:
    """Return the tables with the same type for each column. An attribute that is text in some data sets and a number in
    others becomes text in all."""
    import pyarrow as pa

    texts: set[str] = set()
    numbers: set[str] = set()
    for table in tables:
        for each in table.schema:
            (numbers if pa.types.is_floating(each.type) else texts).add(each.name)
    mixed = texts & numbers
    return [
        table.cast(
            pa.schema(
                pa.field(each.name, pa.string() if each.name in mixed else each.type) for each in table.schema
            )
        )
        if mixed
        else table
        for table in tables
    ]


def read_scored(path: Path) -> tuple[tuple[str, ...], dict[tuple[str, str], Scored]]:
    """Return the class names, and the test predictions by (cell, test_set). Raises UserError if the file is a link, is
    too large, or has other columns or dtypes."""
    import pyarrow as pa

    try:
        with opened(path, TABLE_BYTES) as descriptor:
            return _read(descriptor)
    except (pa.ArrowException, ValueError, KeyError, OSError) as error:
        raise UserError(f"not a valid predictions file: {error}", file=path) from error


def classes_in(file: pq.ParquetFile) -> list[str]:
    """Return the class names of a predictions file, from its columns. Raises ValueError, before any row is read, if the
    file unpacks to too much, lacks a column, or has one whose name is very long or that of another one."""
    groups = range(file.metadata.num_row_groups)
    if sum(file.metadata.row_group(k).total_byte_size for k in groups) > UNPACKED_BYTES:
        raise ValueError(f"it unpacks to more than {UNPACKED_BYTES:,} bytes")
    names = file.schema_arrow.names
    if any(len(name) > LONGEST_NAME for name in names) or len(set(names)) < len(names):
        raise ValueError(
            f"a column has a name of more than {LONGEST_NAME} characters, or that of another one"
        )
    absent = [name for name in PREDICTIONS.names if name not in names]
    if absent:
        raise ValueError(f"it lacks the columns {', '.join(absent)}")
    return [name[2:] for name in names if name.startswith("p_")]


def _read(descriptor: int) -> tuple[tuple[str, ...], dict[tuple[str, str], Scored]]:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    with os.fdopen(descriptor, "rb", closefd=False) as source:
        file = pq.ParquetFile(source)
        classes = classes_in(file)
        columns = ["cell", "split", "test_set", "label", "predicted", *(f"p_{name}" for name in classes)]
        table = file.read(columns=columns)
    table = table.filter(pc.equal(table["split"].cast(pa.string()), "test"))
    if not classes or not len(table):
        return (), {}
    coded = {name: _coded(table.column(name)) for name in ("cell", "test_set", "label", "predicted")}
    proba = np.stack([np.asarray(table.column(f"p_{c}"), dtype=np.float64) for c in classes], axis=1)
    return tuple(classes), _by_cell(coded, classes, proba)


def _coded(column: Any) -> tuple[np.ndarray, list[str]]:
    """Encode a text column as indices int64 [N] into a list of its distinct values."""
    import numpy as np
    import pyarrow as pa

    whole = column.cast(pa.string()).combine_chunks()
    coded = (whole.combine_chunks() if isinstance(whole, pa.ChunkedArray) else whole).dictionary_encode()
    return np.asarray(coded.indices, dtype=np.int64), coded.dictionary.to_pylist()


def _by_cell(
    coded: Mapping[str, tuple[np.ndarray, list[str]]], classes: list[str], proba: np.ndarray
) -> dict[tuple[str, str], Scored]:
    import numpy as np

    position = {name: k for k, name in enumerate(classes)}
    index = {
        name: np.array([position.get(word, -1) for word in words] or [-1])[codes]
        for name, (codes, words) in coded.items()
        if name in ("label", "predicted")
    }
    (cells, cell_names), (sets, set_names) = coded["cell"], coded["test_set"]
    pair = cells * max(len(set_names), 1) + sets
    order = np.argsort(pair, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(pair[order]) != 0])
    scored = {}
    for rows in np.split(order, starts[1:]):
        key = (cell_names[cells[rows[0]]], set_names[sets[rows[0]]])
        scored[key] = Scored(index["label"][rows], index["predicted"][rows], proba[rows])
    return scored
