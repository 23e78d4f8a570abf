"""An entry of a board on disk: its files, their limits, and how they are read. Entries are untrusted.

Everything is bounded before it is read: names and number of files, sizes, rows. Links, special files and files that no
entry has are refused. Nothing is unpickled, and nothing outside the folder of the entry is opened.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator

from derm_bench.errors import UserError
from derm_bench.leaderboard.names import Digest, Id, Label, check_label
from derm_bench.leaderboard.task import SCHEMA, Board
from derm_bench.rundir.files import opened, read_json
from derm_bench.rundir.frames import Row, read_csv, to_rows
from derm_bench.rundir.schema import FIDELITY, PREDICTIONS, RESULTS
from derm_bench.rundir.scored_cells import AllPredictions

if TYPE_CHECKING:
    import pyarrow.parquet as pq

MANIFEST, RESULTS_FILE, FIDELITY_FILE, PREDICTIONS_FILE = (
    "manifest.json", RESULTS.file, FIDELITY.file, PREDICTIONS.file,
)  # fmt: skip
SAMPLES = "samples"
LIMITS: Mapping[str, int] = {
    MANIFEST: 4 * 2**20,
    RESULTS_FILE: 32 * 2**20,
    FIDELITY_FILE: 32 * 2**20,
    PREDICTIONS_FILE: 512 * 2**20,
}
"""The files of an entry, with the most bytes of each."""
SAMPLE_BYTES = 300_000
MOST_SAMPLES = 48
MOST_ROWS, MOST_FIDELITY = 20_000, 400_000
MOST_METRICS = 500
"""The most columns of results.csv, and the most metrics of fidelity.csv."""
UNPACKED_BYTES = 2 * 2**30
"""The most bytes of predictions after decompression."""


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class SheetOf(_Record):
    """One sheet of samples of an entry: which generator, class and seed it shows."""

    file: Annotated[str, StringConstraints(pattern=r"^[0-9]{3}\.webp$")]
    strategy: Label
    generator: Annotated[str, StringConstraints(max_length=255)]
    class_name: Label = Field(alias="class")
    seed: int | None


class RunOf(_Record):
    """The run that an entry was made of, as the manifest of its run directory states it."""

    matrix: dict[str, Any]
    derm_bench: Label
    selection: Annotated[str, StringConstraints(max_length=255)] = ""
    command: list[Annotated[str, StringConstraints(max_length=2000)]] = Field(
        default_factory=list, max_length=200
    )
    machine: dict[Label, Any] = Field(default_factory=dict)
    distributions: dict[Label, Label] = Field(default_factory=dict)
    git: dict[str, Any] | None = None


class EntryManifest(_Record):
    """manifest.json of an entry. `dataset` is the label of the data set in the run; `by` is who made the entry."""

    entry: Literal[1] = SCHEMA
    id: Id
    by: Annotated[str, StringConstraints(max_length=255)] = ""
    dataset: Label
    protocol_version: Label
    splits: dict[int, Digest]
    seed_offsets: dict[Label, Annotated[int, Field(ge=0, le=2**31)]] = Field(default_factory=dict)
    run: RunOf
    samples: list[SheetOf] = Field(default_factory=list, max_length=MOST_SAMPLES)
    files: dict[Annotated[str, StringConstraints(max_length=100)], Digest] = Field(
        max_length=MOST_SAMPLES + 4
    )

    @field_validator("by", "dataset")
    @classmethod
    def _plain(cls, value: str) -> str:
        check_label(value)
        return value


@dataclass(frozen=True)
class Entry:
    """An entry that was read: its folder, its manifest, the rows of its tables and its predictions. The latter are None
    once they have been joined with the split."""

    folder: Path
    manifest: EntryManifest
    results: Sequence[Row]
    fidelity: Sequence[Row]
    predictions: AllPredictions | None

    @property
    def id(self) -> str:
        """The id, which is the name of the folder."""
        return self.folder.name


def entry_folders(board: Board) -> list[Path]:
    """Return the folders of the entries of a board, sorted. Raises UserError for anything else among them."""
    if not board.entries.exists():
        return []
    if board.entries.is_symlink() or not board.entries.is_dir():
        raise UserError("is not a folder (links are not followed)", file=board.entries)
    found = []
    with os.scandir(board.entries) as entries:
        for number, entry in enumerate(entries):
            if number >= 10_000:
                raise UserError("has more than 10,000 entries", file=board.entries)
            found.append(board.entries / entry.name)
    return sorted(found)


def read_entry(folder: Path, board: Board) -> Entry:
    """Read an entry. Raises UserError if anything about its files is not as an entry has it, digests included; what
    they say is checked by `derm_bench.leaderboard.rescore`."""
    _check_files(folder)
    manifest = _read_manifest(folder)
    _check_digests(folder, manifest)
    results = to_rows(read_csv(folder / RESULTS_FILE, RESULTS))
    fidelity = to_rows(read_csv(folder / FIDELITY_FILE, FIDELITY))
    for rows, most, name in ((results, MOST_ROWS, RESULTS_FILE), (fidelity, MOST_FIDELITY, FIDELITY_FILE)):
        if len(rows) > most:
            raise UserError(f"has {len(rows):,} rows, more than {most:,}", file=folder / name)
    columns, metrics = len(results[0]) if results else 0, len({row["metric"] for row in fidelity})
    if max(columns, metrics) > MOST_METRICS:
        raise UserError(f"has more than {MOST_METRICS} metrics", file=folder)
    path = folder / PREDICTIONS_FILE
    _check_predictions(path, board, sum(row["status"] == "done" for row in results))
    return Entry(folder, manifest, results, fidelity, AllPredictions(path))


# ------------------------------------------------------------------------------------ files


def _check_files(folder: Path) -> None:
    """Check that a folder has the files of an entry and no others, all regular and within their limits."""
    if folder.is_symlink() or not folder.is_dir():
        raise UserError("is not a folder (links are not followed)", file=folder)
    present = set()
    for entry in _scan(folder, len(LIMITS) + 1):
        path = folder / entry.name
        if entry.name == SAMPLES:
            if entry.is_symlink() or not entry.is_dir(follow_symlinks=False):
                raise UserError("is not a folder (links are not followed)", file=path)
            for inner in _scan(path, MOST_SAMPLES):
                _check_file(inner, SAMPLE_BYTES, path / inner.name)
            continue
        if entry.name not in LIMITS:
            raise UserError(f"no entry has a file of this name; it may have {', '.join(LIMITS)}", file=path)
        _check_file(entry, LIMITS[entry.name], path)
        present.add(entry.name)
    if absent := [name for name in LIMITS if name not in present]:
        raise UserError(f"the entry has no {absent[0]}", file=folder)


def _scan(folder: Path, most: int) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for number, entry in enumerate(entries):
            if number >= most:
                raise UserError(f"has more than {most} files", file=folder)
            yield entry


def _check_file(entry: os.DirEntry[str], most: int, path: Path) -> None:
    if entry.is_symlink() or not entry.is_file(follow_symlinks=False):
        raise UserError("is not a regular file (links are not followed)", file=path)
    size = entry.stat(follow_symlinks=False).st_size
    if size > most:
        raise UserError(f"has {size:,} bytes, more than the {most:,} of an entry", file=path)


def _read_manifest(folder: Path) -> EntryManifest:
    path = folder / MANIFEST
    try:
        manifest = EntryManifest.model_validate(read_json(path, LIMITS[MANIFEST]))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part)[:40] for part in first["loc"])
        raise UserError(f"{place}: {first['msg']}", file=path) from error
    if manifest.id != folder.name:
        raise UserError(f"is the entry {manifest.id!r}, and its folder is another", file=path)
    return manifest


def _check_digests(folder: Path, manifest: EntryManifest) -> None:
    expected = {RESULTS_FILE, FIDELITY_FILE, PREDICTIONS_FILE}
    expected |= {f"{SAMPLES}/{sheet.file}" for sheet in manifest.samples}
    sheets = folder / SAMPLES
    present = {f"{SAMPLES}/{path.name}" for path in sheets.iterdir()} if sheets.is_dir() else set()
    for name in sorted(expected | present | set(manifest.files)):
        path = folder / MANIFEST
        if name not in expected:
            raise UserError(
                f"`samples` does not list {name[:80]!r}, and no entry has it otherwise", file=path
            )
        if name not in manifest.files:
            raise UserError(f"`files` has no digest of {name}", file=path)
        try:
            digest = _digest(folder / name)
        except FileNotFoundError:
            raise UserError(f"the entry has no {name}, which its manifest lists", file=folder) from None
        if digest != manifest.files[name]:
            raise UserError(f"differs from its digest in {MANIFEST}", file=folder / name)


def _digest(path: Path) -> str:
    with opened(path, max(LIMITS.values())) as descriptor, os.fdopen(descriptor, "rb", closefd=False) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_predictions(path: Path, board: Board, cells: int) -> None:
    """Check sizes, rows and columns of predictions from the metadata of the file, before a row is read."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with (
            opened(path, LIMITS[PREDICTIONS_FILE]) as descriptor,
            os.fdopen(descriptor, "rb", closefd=False) as file,
        ):
            _check_metadata(pq.ParquetFile(file), board, cells)
    except (pa.ArrowException, ValueError, OSError) as error:
        raise UserError(f"not a valid predictions file: {error}", file=path) from error


def _check_metadata(file: pq.ParquetFile, board: Board, cells: int) -> None:
    groups = range(file.metadata.num_row_groups)
    unpacked = sum(file.metadata.row_group(k).total_byte_size for k in groups)
    if unpacked > UNPACKED_BYTES:
        raise ValueError(f"it unpacks to more than {UNPACKED_BYTES:,} bytes")
    most = max(sum(part in ("val", "test") for part in split.parts) for split in board.splits.values())
    if file.metadata.num_row_groups > 10_000 or file.metadata.num_rows > 2 * cells * most:
        raise ValueError(
            f"it has {file.metadata.num_rows:,} rows, and {cells} finished cells have at most {cells * most:,}"
        )
    expected = [*PREDICTIONS.names, *(f"p_{name}" for name in board.task.classes)]
    if list(file.schema_arrow.names) != expected:
        raise ValueError(f"its columns are not {', '.join(expected)[:500]}")
