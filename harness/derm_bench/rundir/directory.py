"""Write a whole run directory, and read one that may come from another user."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from derm_bench.errors import UserError
from derm_bench.filenames import FileNames
from derm_bench.rundir.audits import FOLDER as AUDIT
from derm_bench.rundir.audits import Audit, read_audits, write_audits
from derm_bench.rundir.files import check_directory, emptied, removed, write_bytes, write_json
from derm_bench.rundir.frames import make_frame, read_csv, write_csv
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
from derm_bench.rundir.schema import LATER, PREDICTIONS, TABLES
from derm_bench.rundir.tables import build_tables
from derm_bench.specs import MetricSpec

if TYPE_CHECKING:
    import pandas as pd

NAMES = (*(table.file for table in TABLES.values()), PREDICTIONS.file, MANIFEST, *REPORTS)
"""The files at the top level of a run directory."""


@dataclass(frozen=True)
class RunFiles:
    """The contents of a run directory that was read or just written. `predictions` is None if there is no such file."""

    folder: Path
    manifest: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]
    predictions: Path | None
    sheets: Sequence[Sheet]
    audits: Sequence[Audit] = ()


@dataclass(frozen=True)
class Writing:
    """The data that a run directory contains in addition to the tables.

    provenance: versions and machine (the keys `manifest.PROVENANCE`). statuses: status and error of each stage that is
    not done. failures: sentences about the stages that failed, which become warnings. splits: the CSV file of each
    split, by digest. metrics: the plugin metrics that the matrix names, with their labels for names. directions: the
    metric directions of an existing manifest, used instead of `metrics`. compared: the tables that the statistics stage
    computed.
    """

    provenance: Mapping[str, Any]
    statuses: Mapping[str, Mapping[str, str]]
    splits: Mapping[str, bytes]
    metrics: Sequence[MetricSpec] = ()
    directions: Directions | None = None
    compared: Mapping[str, pd.DataFrame] | None = None
    failures: Sequence[str] = ()


def write_run(out: Path, stages: RunStages, records: Records, writing: Writing) -> RunFiles:
    """Write all files except the figures and the reports. Those of an earlier run are removed first, so that none of
    them is ever beside tables that say something else. Returns the contents, with the tables as frames."""
    check_directory(out, NAMES)
    for name in REPORTS:
        (out / name).unlink(missing_ok=True)
    removed(out / "figures")
    tables = build_tables(stages, records, writing.compared)
    for name, table in TABLES.items():
        write_csv(tables[name], out / table.file)
    write_predictions(stages, records, out / PREDICTIONS.file)
    write_samples(stages, records, out / "samples")
    write_splits(stages, writing.splits, out / "splits")
    write_audits(stages, records, out / AUDIT)
    directions = writing.directions
    if directions is None:
        classes = dict.fromkeys(name for split in stages.splits for name in split.classes)
        directions = metric_directions(tables, classes, writing.metrics)
    manifest = make_manifest(
        stages, records, out, writing.provenance, directions, writing.statuses, writing.failures
    )
    write_json(manifest, out / MANIFEST)
    return RunFiles(
        out, manifest, tables, out / PREDICTIONS.file, read_index(out / "samples"), read_audits(out / AUDIT)
    )


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
            if name in LATER:
                tables[name] = make_frame([], table)
                continue
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
        read_audits(folder / AUDIT),
    )
