"""Write a whole run directory, and read one that may come from another user."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derm_bench.errors import UserError
from derm_bench.filenames import FileNames
from derm_bench.rundir.files import check_directory, emptied, read_json, removed, write_bytes, write_json
from derm_bench.rundir.frames import read_csv, write_csv
from derm_bench.rundir.manifest import (
    MANIFEST,
    REPORTS,
    Directions,
    make_manifest,
    metric_directions,
    read_manifest,
)
from derm_bench.rundir.planned import RunStages
from derm_bench.rundir.predictions import write_predictions
from derm_bench.rundir.records import Records
from derm_bench.rundir.samples import Sheet, read_index, write_samples
from derm_bench.rundir.schema import PREDICTIONS, SCHEMA, TABLES
from derm_bench.rundir.selection import refuse_loss
from derm_bench.rundir.tables import build_tables
from derm_bench.specs import MetricSpec

if TYPE_CHECKING:
    import pandas as pd

Planned = Callable[[], RunStages]
"""Returns the stages of the run that is to be written."""

NAMES = (*(table.file for table in TABLES.values()), PREDICTIONS.file, MANIFEST, *REPORTS)
"""The files at the top level of a run directory."""


_FIRST_WRITE = re.compile(r"\.manifest\.json\.[0-9a-f]{32}")
"""The manifest while it is being written, which a killed run may leave in an otherwise empty directory."""


@dataclass(frozen=True)
class RunFiles:
    """The contents of a run directory that was read or just written. `predictions` is None if there is no such file."""

    folder: Path
    manifest: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]
    predictions: Path | None
    sheets: Sequence[Sheet]


def prepare_out(out: Path, matrix_name: str, selection: str = "", planned: Planned | None = None) -> None:
    """Create the run directory. Raises UserError if it exists and holds another run, other files or links, or finished
    rows of another selection that are not `planned` now."""
    manifest = out / MANIFEST
    try:
        out.mkdir(parents=True, exist_ok=True)
        entries = [entry.name for entry in out.iterdir() if not _FIRST_WRITE.fullmatch(entry.name)]
    except OSError as error:
        raise _cannot_write(out, error) from error
    if entries:
        _refuse_other_run(out, matrix_name, selection, planned)
    try:
        # A file without a name: nothing of the user's is touched, and nothing is left.
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise _cannot_write(out, error) from error
    if not entries:
        # The manifest names the matrix from the start, so that a run killed before its tables are written can resume.
        write_json({"schema": SCHEMA, "selection": selection, "matrix": {"name": matrix_name}}, manifest)


def _cannot_write(out: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot write the run directory {out.absolute()}: {(error.strerror or str(error)).lower()}",
        hint="use another --out",
    )


def _refuse_other_run(out: Path, matrix_name: str, selection: str, planned: Planned | None) -> None:
    """Raise UserError unless the folder holds a run of this matrix, and nothing finished that would be lost."""
    check_directory(out, NAMES)
    try:
        manifest = read_json(out / MANIFEST)
        name = manifest["matrix"]["name"]
    except (OSError, UserError, KeyError, TypeError):
        raise UserError(
            f"{out.absolute()} is not empty and is not a run directory",
            hint="use an empty or new folder for --out",
        ) from None
    if name != matrix_name:
        raise UserError(
            f"{out.absolute()} contains a run of the matrix '{name}', not '{matrix_name}'",
            hint="use another --out",
        )
    if planned is not None:
        refuse_loss(str(out.absolute()), manifest, selection, planned)


@dataclass(frozen=True)
class Writing:
    """The data that a run directory contains in addition to the tables.

    provenance: versions and machine (the keys `manifest.PROVENANCE`). statuses: status and error of each stage that is
    not done. failures: sentences about the stages that failed, which become warnings. splits: the CSV file of each
    split, by digest. metrics: the plugin metrics that the matrix names. directions: the metric directions of an
    existing manifest, used instead of `metrics`. summary: the table that the statistics stage computed.
    """

    provenance: Mapping[str, Any]
    statuses: Mapping[str, Mapping[str, str]]
    splits: Mapping[str, bytes]
    metrics: Sequence[MetricSpec] = ()
    directions: Directions | None = None
    summary: pd.DataFrame | None = None
    failures: Sequence[str] = ()


def write_run(out: Path, stages: RunStages, records: Records, writing: Writing) -> RunFiles:
    """Write all files except the figures and the reports. Those of an earlier run are removed first, so that none of
    them is ever beside tables that say something else. Returns the contents, with the tables as frames."""
    check_directory(out, NAMES)
    for name in REPORTS:
        (out / name).unlink(missing_ok=True)
    removed(out / "figures")
    tables = build_tables(stages, records, writing.summary)
    for name, table in TABLES.items():
        write_csv(tables[name], out / table.file)
    write_predictions(stages, records, out / PREDICTIONS.file)
    write_samples(stages, records, out / "samples")
    write_splits(stages, writing.splits, out / "splits")
    directions = writing.directions
    if directions is None:
        classes = dict.fromkeys(name for split in stages.splits for name in split.classes)
        directions = metric_directions(tables, classes, writing.metrics)
    manifest = make_manifest(
        stages, records, out, writing.provenance, directions, writing.statuses, writing.failures
    )
    write_json(manifest, out / MANIFEST)
    return RunFiles(out, manifest, tables, out / PREDICTIONS.file, read_index(out / "samples"))


def write_splits(stages: RunStages, contents: Mapping[str, bytes], folder: Path) -> None:
    """Replace the folder splits/: one CSV file per split, whose SHA-256 is the digest of the split."""
    emptied(folder)
    names = FileNames()
    for split in stages.splits:
        name = names.of(f"{split.dataset}-s{split.seed}", suffix=".csv")
        write_bytes(contents[split.digest], folder / name)


def read_run(folder: Path) -> RunFiles:
    """Read a run directory from its own files.

    Raises UserError if the folder is not a run directory, has another schema, contains links, or differs from the
    layout in `docs/run-directory.md`.
    """
    if not folder.is_dir():
        raise UserError(f"not a run directory: {folder.absolute()}", hint="pass the folder that `run` wrote")
    check_directory(folder, NAMES)
    manifest = read_manifest(folder)
    tables = {}
    for name, table in TABLES.items():
        try:
            tables[name] = read_csv(folder / table.file, table)
        except FileNotFoundError:
            raise UserError(
                f"the run directory is incomplete, it has no {table.file}: {folder}",
                hint="run the matrix again: the run was stopped before its tables were written",
            ) from None
    predictions = folder / PREDICTIONS.file
    return RunFiles(
        folder,
        manifest,
        tables,
        predictions if predictions.is_file() else None,
        read_index(folder / "samples"),
    )
