"""The numbers that the papers printed, as data: `leaderboards/published/<paper>.csv`, with a flag for each value."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from derm_bench.errors import UserError
from derm_bench.plain_text import from_csv_cell
from derm_bench.regular_files import read_regular
from derm_bench.scoring import classification_metrics
from derm_bench.shipped import shipped

FOLDER = "leaderboards/published"
MAX_BYTES = 4 * 2**20

Status = Literal["claimed", "recomputed", "inconsistent", "suspect-copy", "secondary"]
Text = Annotated[str, StringConstraints(max_length=1000, strip_whitespace=True)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]


class PublishedValue(BaseModel):
    """One printed value, with the columns of the files as fields (`class` is `class_name`).

    value is the number as it was printed, and `printed` its text; unit is `percent`, `share`, `images`, `s` or empty.
    class_name is empty for a value of the whole test set. n_test is None where the paper does not state it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    paper: Annotated[str, StringConstraints(pattern="^[0-9]{3}$")]
    dataset: Text
    n_test: int | None = Field(None, ge=1)
    split: Text
    method: Word
    metric: Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]*$", max_length=60)]
    class_name: Text = Field("", alias="class")
    printed: Annotated[str, StringConstraints(pattern=r"^-?[0-9]+(\.[0-9]+)?$")] = Field(alias="value")
    unit: Literal["percent", "share", "images", "s", ""]
    source: Word
    status: Status
    note: Text = ""

    @field_validator("n_test", mode="before")
    @classmethod
    def _empty_is_missing(cls, value: object) -> object:
        return None if value == "" else value

    @property
    def value(self) -> float:
        """The number as it was printed."""
        return float(self.printed)

    @property
    def share(self) -> float:
        """The number on the scale of the metrics of derm-bench: percentages as shares in [0, 1]."""
        return self.value / 100 if self.unit == "percent" else self.value

    @property
    def half_digit(self) -> float:
        """Half a unit of the last printed digit, on the scale of `share`."""
        _, _, decimals = self.printed.partition(".")
        half = 0.5 * 10.0 ** -len(decimals)
        return half / 100 if self.unit == "percent" else half

    def in_words(self) -> str:
        """The value with its unit, as a reader expects it: `72.00%`, `0.8770`, `1176 images`."""
        shown = {"percent": "%", "share": "", "": ""}.get(self.unit, f" {self.unit}")
        return f"{self.printed}{shown}"


COLUMNS = tuple(field.alias or name for name, field in PublishedValue.model_fields.items())
"""The columns of each file, in order."""


def papers(folder: Path | None = None) -> list[str]:
    """Return the papers that have a file, such as `003`."""
    place = shipped(FOLDER) if folder is None else folder
    return sorted(path.stem for path in place.glob("*.csv"))


def read_published(paper: str, folder: Path | None = None) -> list[PublishedValue]:
    """Return the values of a paper in the order of its file. folder: by default the files that are shipped.

    Raises UserError, with file and line, for other columns, a value that is not of the schema, a row of another paper,
    or two rows that say the same of the same thing.
    """
    path = (shipped(FOLDER) if folder is None else folder) / f"{paper}.csv"
    rows = _rows(path)
    if tuple(rows[0]) != COLUMNS:
        raise UserError(f"has other columns than {','.join(COLUMNS)}", file=path, line=1)
    found = []
    for line, row in enumerate(rows[1:], 2):
        if len(row) != len(COLUMNS):
            raise UserError(
                f"has {len(row)} fields, and there are {len(COLUMNS)} columns", file=path, line=line
            )
        cells = dict(zip(COLUMNS, map(from_csv_cell, row), strict=True))
        try:
            found.append(PublishedValue.model_validate(cells))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise UserError(f"{first['loc'][0]}: {first['msg']}", file=path, line=line) from error
        if found[-1].paper != paper:
            raise UserError(f"a row of paper {found[-1].paper} in the file of {paper}", file=path, line=line)
    _check_unique(found, path)
    return found


def _check_unique(values: Sequence[PublishedValue], path: Path) -> None:
    counts = Counter(
        (v.dataset, v.split, v.method, v.metric, v.class_name, v.source, v.status) for v in values
    )
    twice = [key for key, count in counts.items() if count > 1]
    if twice:
        raise UserError(f"has two rows of {twice[0][3]} of {twice[0][2]!r} from {twice[0][5]}", file=path)


def read_confusion(paper: str, folder: Path | None = None) -> tuple[tuple[str, ...], list[list[int]]]:
    """Return (classes, counts) of the confusion matrix that a paper printed: counts[actual][predicted] images.

    Raises UserError for a file that is no square table of counts.
    """
    path = (shipped(FOLDER) if folder is None else folder) / "confusion" / f"{paper}.csv"
    head, *body = _rows(path)
    classes = tuple(head[1:])
    if head[:1] != ["actual"] or [row[0] for row in body if row] != list(classes):
        raise UserError("is not a square table with a row and a column per class", file=path)
    try:
        counts = [[int(cell) for cell in row[1:]] for row in body]
    except ValueError as error:
        raise UserError(f"has a cell that is not a count: {error}", file=path) from error
    if any(len(row) != len(classes) or min(row) < 0 for row in counts):
        raise UserError("is not a square table of counts", file=path)
    return classes, counts


def scores_of_confusion(classes: Sequence[str], counts: Sequence[Sequence[int]]) -> Mapping[str, float]:
    """Return the classification metrics that follow from a confusion matrix, in [0, 1], by name; those of
    probabilities are left out. `specificity_<class>` is the recall of all other classes together."""
    import numpy as np

    matrix = np.asarray(counts, np.int64)
    actual, predicted = (axis.ravel() for axis in np.indices(matrix.shape))
    labels, guesses = np.repeat(actual, matrix.ravel()), np.repeat(predicted, matrix.ravel())
    found = classification_metrics(labels, np.eye(len(classes))[guesses], classes)
    wanted = ("accuracy", "balanced_accuracy", "specificity", "precision", "recall", "f1")
    scores = {n: v for n, v in found.items() if n.startswith(wanted) and not math.isnan(v)}
    for k, name in enumerate(classes):
        others = labels != k
        scores[f"specificity_{name}"] = float((guesses[others] != k).mean())
    return scores


def _rows(path: Path) -> list[list[str]]:
    try:
        text = read_regular(path, MAX_BYTES).decode()
    except FileNotFoundError:
        raise UserError(f"there is no file of this paper: {path}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read: {error}", file=path) from error
    rows = list(csv.reader(io.StringIO(text, newline="")))
    if len(rows) < 2:
        raise UserError("has no rows", file=path)
    return rows
