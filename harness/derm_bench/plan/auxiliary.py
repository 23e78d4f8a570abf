"""Plans the labels of auxiliary tasks: those of the training images that a classifier learns beside the classes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from derm_bench.errors import UserError, did_you_mean
from derm_bench.matrix.model import Cell, Matrix
from derm_bench.plan.data import DataPlanner
from derm_bench.plugins.culprit import blaming

KeyPath = tuple[str | int, ...]

MISSING = ("", "unknown")
MOST_LABELS = 100


class AuxiliaryTasks:
    """Finds the labels that the `auxiliary` of a classifier's spec asks for, among the tasks and the attributes of the
    data set."""

    def __init__(self, matrix: Matrix, data: DataPlanner) -> None:
        self.matrix, self.data = matrix, data

    def of(self, use: Any, cell: Cell, part: str, at: KeyPath, *, required: bool = True) -> dict[str, Any]:
        """The tasks of a training by name: `classes`, the names of the labels in order, and `labels`, the digest of a
        JSON map from the id of each labelled training image to the index of its label.

        Without `required`, a task that the data set does not have is left out. Raises UserError, located at the
        classifier, for a task that is neither among its tasks nor its attributes, or that has no two labels.
        """
        plugins, split = self.data.book.plugins, self.data.split(cell.dataset, cell.split_seed)
        spec = plugins.get("classifier", use.name)
        if spec.auxiliary is None:
            return {}
        try:
            with blaming(spec, plugins, "auxiliary(options, classes)"):
                names = list(spec.auxiliary(use.options, split.classes))
            columns = self.data.columns(cell.dataset)
            known = [name for name in names if required or name in columns]
            rows = split.indices(part, fraction=cell.train_fraction)
            ids = [split.ids[i] for i in rows]
            return {name: self._task(name, columns, ids, cell.dataset) for name in known}
        except UserError as error:
            raise self.matrix.error(error.message, at, error.hint) from error

    def _task(
        self, name: str, columns: Mapping[str, Mapping[str, Any]], ids: Sequence[str], dataset: str
    ) -> dict[str, Any]:
        if name not in columns:
            there = f"it has {', '.join(columns)}" if columns else "it has none"
            raise UserError(
                f"the auxiliary task '{name}' is neither a task nor an attribute of the data set '{dataset}'",
                hint="; ".join(filter(None, [did_you_mean(name, columns), there])),
            )
        column = columns[name]
        labels = {image: label for image in ids if (label := _label(name, column.get(image))) is not None}
        classes = sorted(set(labels.values()))
        if not 2 <= len(classes) <= MOST_LABELS:
            have = f"{len(classes)} labels" if len(classes) > 1 else f"only {classes}" if classes else "none"
            raise UserError(
                f"the auxiliary task '{name}' cannot be learned: the {len(ids)} training images have {have}",
                hint=f"an auxiliary task has 2 to {MOST_LABELS} different labels among the training images",
            )
        codes = {label: code for code, label in enumerate(classes)}
        content = json.dumps({image: codes[label] for image, label in sorted(labels.items())})
        return {"classes": classes, "labels": self.data.keep(content.encode())}


def _label(name: str, value: Any) -> str | None:
    """A value of a column as a label; None for a missing one. Raises UserError for a number with decimals."""
    if value is None or value in MISSING:
        return None
    if isinstance(value, float):
        if value != value:
            return None
        raise UserError(
            f"the auxiliary task '{name}' has numbers such as {value:g}, and labels are needed",
            hint="name an attribute with words, or group the numbers in a column of the data set",
        )
    return str(value)
