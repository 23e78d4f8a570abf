"""Reads all of predictions.parquet, validation images and groups included, to compute scores again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derm_bench.errors import UserError
from derm_bench.rundir.files import TABLE_BYTES, opened
from derm_bench.rundir.predictions import classes_in
from derm_bench.rundir.schema import ATTRIBUTES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

Place = tuple[str, str, str]
"""(cell, split, test set); the test set of validation images is empty."""


@dataclass(frozen=True)
class Predicted:
    """The predictions for one set of images. labels: int64 [N] in 0..K-1. proba: float64 [N,K]. groups: N names."""

    labels: np.ndarray
    proba: np.ndarray
    groups: Sequence[str]


class AllPredictions:
    """All predictions of a run directory, by cell, split and test set. Raises UserError if the file is a link, is too
    large, is no Parquet file or has other columns or dtypes."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        self.path = path
        try:
            with opened(path, TABLE_BYTES) as descriptor:
                self._frame, self._classes = _read(descriptor)
        except (pa.ArrowException, ValueError, KeyError, OSError) as error:
            raise UserError(f"not a valid predictions file: {error}", file=path) from error
        by = self._frame.groupby(["cell", "split", "test_set"], sort=False, observed=True)
        self._rows: Mapping[Any, Any] = by.indices

    def has(self, cell: str, test_set: str) -> bool:
        """Whether there are test predictions of a cell."""
        return (cell, "test", test_set) in self._rows

    @property
    def places(self) -> list[Place]:
        """All places that have predictions."""
        return [(str(cell), str(split), str(test_set)) for cell, split, test_set in self._rows]

    def predicted(self, place: Place) -> list[str]:
        """The predicted class of each image at a place, as the file states it; empty if there are none."""
        rows = self._rows.get(place)
        return [] if rows is None else self._frame["predicted"].iloc[rows].astype(str).tolist()

    def images(self, place: Place) -> list[tuple[str, str]] | None:
        """The id and label of each predicted image at a place; None if there are none."""
        rows = self._rows.get(place)
        if rows is None:
            return None
        found = self._frame.iloc[rows]
        return list(zip(found["image_id"].astype(str), found["label"].astype(str), strict=True))

    def attributes(self, place: Place) -> dict[str, list[Any]]:
        """The attributes of the images at a place that subgroups are made of, by name; None for an unknown value."""
        rows = self._rows.get(place)
        if rows is None:
            return {}
        found = self._frame.iloc[rows]
        return {
            name: [
                None if missing else value
                for value, missing in zip(found[name], found[name].isna(), strict=True)
            ]
            for name in ATTRIBUTES
            if name in found
        }

    def of(self, place: Place, classes: Sequence[str]) -> Predicted | None:
        """The predictions at a place, with labels and columns in the order of `classes`; None if there are none. Raises
        ValueError for a label that is not a class, or for a class without probabilities."""
        import numpy as np

        rows = self._rows.get(place)
        if rows is None:
            return None
        absent = [name for name in classes if name not in self._classes]
        if absent:
            raise ValueError(f"there are no probabilities of the class '{absent[0]}'")
        found = self._frame.iloc[rows]
        numbers = {name: k for k, name in enumerate(classes)}
        labels = found["label"].astype(str).map(numbers)
        if labels.isna().any():
            raise ValueError("a label is not one of the classes")
        proba = np.stack([found[f"p_{name}"].to_numpy(np.float64) for name in classes], axis=1)
        return Predicted(labels.to_numpy(np.int64), proba, found["group"].astype(str).tolist())


def _read(descriptor: int) -> tuple[pd.DataFrame, list[str]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with os.fdopen(descriptor, "rb", closefd=False) as source:
        file = pq.ParquetFile(source)
        classes = classes_in(file)
        texts = ["cell", "split", "test_set", "image_id", "label", "predicted", "group"]
        known = [name for name in ATTRIBUTES if name in file.schema_arrow.names]
        table = file.read(columns=[*texts, *(f"p_{name}" for name in classes), *known])
    columns = {name: table.column(name).cast(pa.string()).dictionary_encode() for name in texts}
    columns |= {f"p_{name}": table.column(f"p_{name}").cast(pa.float64()) for name in classes}
    for name in known:
        column = table.column(name)
        columns[name] = column if pa.types.is_floating(column.type) else column.cast(pa.string())
    return pa.table(columns).to_pandas(), classes
