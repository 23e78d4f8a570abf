"""The predictions of one cell on one test set, from the store or from a run directory, as comparisons read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from derm_bench.errors import Diverged
from derm_bench.plain_text import recorded
from derm_bench.rundir.schema import ATTRIBUTES
from derm_bench.scoring.predictions import Predictions

if TYPE_CHECKING:
    from derm_bench.rundir.planned import CellStages, RunStages
    from derm_bench.rundir.records import Records
    from derm_bench.rundir.scored_cells import AllPredictions


@dataclass(frozen=True, eq=False)
class CellPredictions:
    """ids, groups: N names, in the order of the ids. predictions: labels and probabilities in this order. attributes:
    by name, N values (text or float, None where unknown)."""

    ids: Sequence[str]
    groups: Sequence[str]
    predictions: Predictions
    attributes: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    @classmethod
    def sorted(
        cls,
        ids: Sequence[str],
        groups: Sequence[str],
        predictions: Predictions,
        attributes: Mapping[str, Sequence[Any]],
    ) -> CellPredictions:
        """Put the images in the order of their ids, so that nothing depends on the order of rows."""
        order = sorted(range(len(ids)), key=ids.__getitem__)
        p = predictions
        ordered = Predictions(p.labels[order], p.proba[order], p.classes, p.val_labels, p.val_proba)
        return cls(
            [ids[i] for i in order],
            [groups[i] for i in order],
            ordered,
            {name: [column[i] for i in order] for name, column in attributes.items()},
        )


class PredictionSource(Protocol):
    """Gives the predictions of cells by the names that results.csv has."""

    def of(self, cell: str, test_set: str) -> CellPredictions | None:
        """Return the predictions of a cell on a test set; None if there are none."""


class _Planned:
    """The cells of a plan by the names that tables have, and their classes."""

    def __init__(self, stages: RunStages) -> None:
        self._cells = {
            (recorded(cell.name), recorded(test_set)): (cell, test_set)
            for cell in stages.cells
            for test_set in cell.evaluations
        }
        self._classes = {(split.dataset, split.seed): split.classes for split in stages.splits}

    def find(self, cell: str, test_set: str) -> tuple[CellStages, str, tuple[str, ...]] | None:
        if (cell, test_set) not in self._cells:
            return None
        planned, name = self._cells[cell, test_set]
        return planned, name, self._classes[planned.at.dataset, planned.at.split_seed]


class StoredPredictions:
    """Predictions from the outputs of the evaluation stages (`PredictionSource`)."""

    def __init__(self, stages: RunStages, records: Records) -> None:
        self._planned, self._records = _Planned(stages), records

    def of(self, cell: str, test_set: str) -> CellPredictions | None:
        """Read predictions.arrow of the evaluation; None if it is not done."""
        import pyarrow as pa
        import pyarrow.compute as pc

        found = self._planned.find(cell, test_set)
        if found is None:
            return None
        planned, name, classes = found
        key = planned.evaluations[name]
        folder = self._records.folder(key)
        if folder is None or self._records.outcome(key).status != "done":
            return None
        with pa.memory_map(str(folder / "predictions.arrow")) as file:
            table = pa.ipc.open_file(file).read_all()
            parts = {which: table.filter(pc.equal(table["split"], which)) for which in ("val", "test")}
        (labels, proba), val = (_arrays(parts[which], classes) for which in ("test", "val"))
        attributes = {n: parts["test"][n].to_pylist() for n in ATTRIBUTES if n in table.column_names}
        ids, groups = (parts["test"][column].to_pylist() for column in ("image_id", "group"))
        return CellPredictions.sorted(
            ids, groups, Predictions.checked(labels, proba, classes, *val), attributes
        )


class DirectoryPredictions:
    """Predictions from predictions.parquet (`PredictionSource`)."""

    def __init__(self, stages: RunStages, predictions: AllPredictions) -> None:
        self._planned, self._all = _Planned(stages), predictions

    def of(self, cell: str, test_set: str) -> CellPredictions | None:
        """Return the predictions; None if there are none, or if they are not probabilities of the classes."""
        found = self._planned.find(cell, test_set)
        if found is None:
            return None
        planned, name, classes = found
        place = (planned.name, "test", name)
        try:
            test = self._all.of(place, classes)
            val = self._all.of((planned.name, "val", ""), classes)
            if test is None:
                return None
            known = (None, None) if val is None else (val.labels, val.proba)
            predictions = Predictions.checked(test.labels, test.proba, classes, *known)
        except (ValueError, Diverged):  # what `verify` reports of its scores
            return None
        ids = [image for image, _ in self._all.images(place) or ()]
        return CellPredictions.sorted(ids, test.groups, predictions, self._all.attributes(place))


def _arrays(table: Any, classes: Sequence[str]) -> tuple[Any, Any]:
    """Labels as indices, int64 [N], and probabilities, float64 [N,K]."""
    import numpy as np

    numbers = {name: k for k, name in enumerate(classes)}
    labels = np.array([numbers[name] for name in table["label"].to_pylist()], np.int64)
    return labels, np.stack([np.asarray(table[f"p_{name}"], np.float64) for name in classes], axis=1)
