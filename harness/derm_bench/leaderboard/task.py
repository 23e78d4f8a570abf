"""The task of a board: `board.yaml` and `split.csv`, which fix what every entry is scored on.

board.yaml names the data set, its classes, the digest of each split, the protocol and its version, and the primary
metric. split.csv has the images of all splits.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from derm_bench.errors import UserError
from derm_bench.leaderboard.names import Digest, Label, check_label
from derm_bench.rundir.files import read_bytes, write_bytes, write_text
from derm_bench.scoring import higher_is_better, metric_path
from derm_bench.splits import PARTS, PlannedSplit
from derm_bench.yamlio import parse_yaml

SCHEMA: Literal[1] = 1
"""The version of the layout of boards and entries. It is increased when readers must change."""
BOARD, SPLIT, ENTRIES = "board.yaml", "split.csv", "entries"
BOARD_BYTES = 2**20
SPLIT_BYTES = 256 * 2**20
MOST_SPLITS = 100
_HEADER = ("split_seed", "image_id", "group", "label", "split")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class BoardData(_Record):
    """The data set of a board: the plugin with its options, without paths, and the size of the stored images."""

    name: Label
    size: int = Field(ge=1, le=4096)
    resize: Label
    options: dict[Label, Any] = Field(default_factory=dict)
    licence: Annotated[str, StringConstraints(max_length=10_000)] = ""
    citation: Annotated[str, StringConstraints(max_length=10_000)] = ""


class BoardTask(_Record):
    """The content of board.yaml. `splits` has the digest of each split by its seed. `set_aside`: the ids of images of
    validation and test that cleaning drops, or that cannot be read, and that no entry predicts; sorted."""

    board: Literal[1] = SCHEMA
    name: Label
    dataset: BoardData
    classes: tuple[Label, ...] = Field(min_length=2, max_length=200)
    train_fraction: float = Field(1.0, gt=0, le=1)
    splits: dict[int, Digest] = Field(min_length=1, max_length=MOST_SPLITS)
    set_aside: tuple[Annotated[str, StringConstraints(max_length=4096)], ...] = ()
    protocol: Literal["fair"] = "fair"
    protocol_version: Label
    metric: Label = "balanced_accuracy"
    baseline: Label = "real-only"
    margin: float = Field(0.02, gt=0)
    alpha: float = Field(0.05, gt=0, lt=1)

    @field_validator("name", "classes")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        for name in (value,) if isinstance(value, str) else value:
            check_label(name)
        return value

    @property
    def higher_is_better(self) -> bool:
        """The direction of the primary metric."""
        return higher_is_better(self.metric)

    def differences(self, other: BoardTask) -> list[str]:
        """What makes `other` another task, a sentence each; empty if entries may be on both boards. Names, texts about
        the licence, and how differences are judged are no part of the task."""
        found = []
        keys = ("classes", "train_fraction", "splits", "set_aside", "protocol", "protocol_version", "metric")
        for key in keys:
            ours, theirs = getattr(self, key), getattr(other, key)
            if ours != theirs:
                found.append(f"`{key}` is {_short(ours)} here and {_short(theirs)} there")
        return found + self.dataset_differences(other.dataset)

    def dataset_differences(self, other: BoardData) -> list[str]:
        """The same of the data set. Options that only one side knows are not compared: a later version may add some."""
        found = []
        for key in ("name", "size", "resize"):
            ours, theirs = getattr(self.dataset, key), getattr(other, key)
            if ours != theirs:
                found.append(f"`dataset.{key}` is {_short(ours)} here and {_short(theirs)} there")
        for key in sorted(set(self.dataset.options) & set(other.options)):
            ours, theirs = self.dataset.options[key], other.options[key]
            if ours != theirs:
                found.append(f"`dataset.options.{key}` is {_short(ours)} here and {_short(theirs)} there")
        return found


@dataclass(frozen=True)
class Board:
    """A board on disk: its folder, its task, and its splits by seed."""

    folder: Path
    task: BoardTask
    splits: Mapping[int, PlannedSplit]

    @cached_property
    def images(self) -> int:
        """The images of validation and test of all splits together."""
        return sum(part in ("val", "test") for split in self.splits.values() for part in split.parts)

    @cached_property
    def set_aside(self) -> frozenset[str]:
        """The images of validation and test that no entry predicts."""
        return frozenset(self.task.set_aside)

    def tested(self, seed: int) -> int:
        """The number of test images of a split that entries are scored on."""
        split = self.splits[seed]
        return sum(split.ids[k] not in self.set_aside for k in split.indices("test"))

    @property
    def entries(self) -> Path:
        """The folder of the entries."""
        return self.folder / ENTRIES


def read_board(folder: Path) -> Board:
    """Read the task of a board.

    Raises UserError if there is no board, if board.yaml is not of its schema, or if split.csv is not the splits whose
    digests board.yaml has.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise UserError(f"not a board: {folder.absolute()}", hint="pass a folder with a board.yaml")
    task = _read_task(folder / BOARD)
    splits = _read_splits(folder / SPLIT, task)
    for seed, digest in task.splits.items():
        if seed not in splits or splits[seed].digest != digest:
            what = "has no split" if seed not in splits else "differs from its digest: the split"
            raise UserError(f"{what} of seed {seed} that {BOARD} names", file=folder / SPLIT)
    if extra := sorted(set(splits) - set(task.splits)):
        raise UserError(f"has a split of seed {extra[0]} that {BOARD} does not name", file=folder / SPLIT)
    return Board(folder, task, splits)


def write_board(board: Board) -> None:
    """Write board.yaml and split.csv into the folder of a board, and make the folder of its entries. Raises
    UserError if board.yaml would be too long to be read again."""
    text = _yaml(board.task)
    if (size := len(text.encode())) > BOARD_BYTES:
        raise UserError(
            f"{BOARD} would have {size:,} bytes, more than {BOARD_BYTES:,}: {len(board.task.set_aside):,} images of "
            "validation and test are set aside",
            hint="drop fewer images with `clean`, or leave them out of the data set",
        )
    board.entries.mkdir(parents=True, exist_ok=True)
    write_text(text, board.folder / BOARD)
    write_bytes(_splits_csv(board.splits), board.folder / SPLIT)


def _read_task(path: Path) -> BoardTask:
    try:
        text = read_bytes(path, BOARD_BYTES).decode()
    except FileNotFoundError:
        raise UserError(
            f"not a board, it has no {BOARD}: {path.parent}",
            hint="`leaderboard add RUN_DIR --board DIR` makes one",
        ) from None
    except UnicodeDecodeError as error:
        raise UserError("is not UTF-8 text", file=path) from error
    document = parse_yaml(text, path)
    try:
        task = BoardTask.model_validate(document.data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = first["loc"]
        raise UserError(first["msg"], file=path, path=place, line=document.line(tuple(place))) from error
    try:
        metric_path(task.metric, task.classes)
    except KeyError:
        raise UserError(
            f"'{task.metric}' is no metric that can be computed from predictions without a plugin",
            file=path,
            path=("metric",),
            line=document.line(("metric",)),
        ) from None
    return task


def _read_splits(path: Path, task: BoardTask) -> dict[int, PlannedSplit]:
    try:
        text = read_bytes(path, SPLIT_BYTES).decode()
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        if tuple(next(rows, ())) != _HEADER:
            raise ValueError(f"expected the columns {','.join(_HEADER)}")
        found: dict[int, list[list[str]]] = {}
        for row in rows:
            if len(row) != len(_HEADER) or row[4] not in PARTS or row[3] not in task.classes:
                raise ValueError(f"line {rows.line_num} is not an image of a class and a part")
            found.setdefault(int(row[0]), []).append(row[1:])
    except FileNotFoundError:
        raise UserError(f"the board has no {SPLIT}: {path.parent}") from None
    except (ValueError, csv.Error) as error:
        raise UserError(f"is not the splits of a board: {error}", file=path) from error
    return {seed: _planned(images, task.classes) for seed, images in found.items()}


def _planned(images: list[list[str]], classes: tuple[str, ...]) -> PlannedSplit:
    ids, groups, labels, parts = (tuple(column) for column in zip(*images, strict=True))
    return PlannedSplit(ids, labels, groups, parts, classes)


def _splits_csv(splits: Mapping[int, PlannedSplit]) -> bytes:
    """All splits as one file. An id is written as it is, since the digest of a split is that of its text."""
    text = io.StringIO()
    plain = csv.writer(text, lineterminator="\n")
    quoted = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    plain.writerow(_HEADER)
    for seed in sorted(splits):
        split = splits[seed]
        for row in zip(split.ids, split.groups, split.labels, split.parts, strict=True):
            (quoted if any("\r" in cell for cell in row) else plain).writerow((seed, *row))
    return text.getvalue().encode()


def _yaml(task: BoardTask) -> str:
    import yaml

    head = "# The task of this leaderboard. Entries are scored on the test part of split.csv, and on nothing else.\n"
    document = task.model_dump(mode="json") | {"splits": dict(task.splits)}
    return head + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=110)


def _short(value: Any) -> str:
    text = str(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 200 else f"{text[:197]}..."
