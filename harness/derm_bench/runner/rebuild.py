"""Rebuilds the report of a run directory, and its tables from a store where that is asked for or needed."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from derm_bench.errors import UserError
from derm_bench.report.data import ReportData
from derm_bench.report.figures import make_figures
from derm_bench.report.html import write_report
from derm_bench.rundir.digests import check_files
from derm_bench.rundir.directory import NAMES, RunFiles, Writing, read_run, write_run
from derm_bench.rundir.files import check_directory, read_bytes
from derm_bench.rundir.manifest import MANIFEST, PROVENANCE, read_manifest, seal
from derm_bench.rundir.planned import RunStages
from derm_bench.runner.execute import Outcome
from derm_bench.runner.failures import failed_stages
from derm_bench.runner.store_records import SavedRecords
from derm_bench.store.layout import LAYOUT

SPLIT_BYTES = 2**30
STATUSES = ("failed", "timeout", "oom", "diverged", "interrupted", "skipped", "pending", "waiting")


@dataclass(frozen=True)
class Rebuilt:
    """What `rebuild` has done. store: the store that the tables were rebuilt from, if one was used. changed: files
    that differ from their digests, in which case nothing was written. lost: files that are missing, and that the report
    was made without."""

    store: Path | None = None
    changed: Sequence[str] = ()
    lost: Sequence[str] = ()


def rebuild(run_dir: Path, default: Path, named: Path | None = None) -> Rebuilt:
    """Makes the figures and the report of a run directory again, from its own files. Nothing is written if one of them
    differs from its digest in the manifest.

    The tables are rebuilt from a store first, with the sheets, predictions and splits, if one is `named`, or if files
    are missing and the `default` store has all finished stages of the run.

    The directory may come from somebody else, so its manifest does not determine which places are read or written. A
    key that is not 40 hexadecimal digits is refused, links are not followed, and no store is created, changed or
    written to.
    """
    if not run_dir.is_dir():
        raise UserError(f"{run_dir.absolute()} is not a run directory", hint="give the --out of a run")
    run_dir = run_dir.resolve()
    check_directory(run_dir, NAMES)
    manifest = read_manifest(run_dir)
    check = check_files(run_dir, manifest)
    if check.changed:
        return Rebuilt(changed=check.changed)
    stages, statuses = _stages(manifest, run_dir)
    root = _store(stages, statuses, default, named) if named is not None or check.lost else None
    files = _from_store(run_dir, manifest, stages, statuses, root) if root else read_run(run_dir)
    data = ReportData(files)
    with tempfile.TemporaryDirectory(prefix="derm-bench-") as drawn:
        make_figures(data, Path(drawn))
        write_report(run_dir, Path(drawn), data)
    seal(run_dir)
    return Rebuilt(root, lost=() if root else check.lost)


def _stages(manifest: Mapping[str, Any], run_dir: Path) -> tuple[RunStages, dict[str, Outcome]]:
    """The stages of a manifest, and the outcomes of those that are not done."""
    plan = manifest.get("plan", {})
    try:
        stages = RunStages.load(plan.get("stages"), manifest["matrix"])
        statuses = {_key(key): _outcome(entry) for key, entry in plan["statuses"].items()}
    except UserError as error:
        raise UserError(error.message, file=run_dir / MANIFEST, hint=error.hint) from error
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError("`plan.statuses` is not a map of statuses", file=run_dir / MANIFEST) from error
    return stages, statuses


def _key(key: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{40}", key):
        raise UserError(f"`plan.statuses` has the key {key[:60]!r}, which is not 40 hexadecimal digits")
    return key


def _outcome(entry: Any) -> Outcome:
    status, error, cause = entry["status"], entry["error"], entry.get("cause")
    if status not in STATUSES or not isinstance(error, str) or not isinstance(cause, str | None):
        raise UserError("`plan.statuses` has an entry that is not a status with an error")
    return Outcome(status, error, cause)


def _store(
    stages: RunStages, statuses: Mapping[str, Outcome], default: Path, named: Path | None
) -> Path | None:
    """The store to rebuild from, or None to use the directory's own files. Raises UserError if `named` is not the store
    of this run."""
    root = (named or default).expanduser().absolute()
    done = stages.done(statuses)
    absent = [key for key in done if not (root / "objects" / key[:2] / key).is_dir()]
    splits = all((root / "data" / split.digest).is_file() for split in stages.splits)
    if _is_store(root) and done and not absent and splits:
        return root
    if named is None:
        return None
    lacks = f"{len(absent)} of its {len(done)} stages are missing" if absent else "a split is missing"
    raise UserError(
        f"the store at {root} is not the store of this run: {lacks if _is_store(root) else 'it is not a store'}",
        hint="give the store of the run with --store, or leave it out to use the run's own files",
    )


def _is_store(root: Path) -> bool:
    try:
        return read_bytes(root / "VERSION", 100).decode() == LAYOUT
    except (OSError, UserError, UnicodeDecodeError):
        return False


def _from_store(
    run_dir: Path, manifest: Mapping[str, Any], stages: RunStages, statuses: Mapping[str, Outcome], root: Path
) -> RunFiles:
    """Writes the tables again from the records of the store."""
    try:
        splits = {
            split.digest: read_bytes(root / "data" / split.digest, SPLIT_BYTES) for split in stages.splits
        }
    except FileNotFoundError as error:
        raise UserError(
            f"the store at {root} does not have the splits of {run_dir}",
            hint="leave out --store to use the run's own files",
        ) from error
    changed = [digest for digest, content in splits.items() if hashlib.sha256(content).hexdigest() != digest]
    if changed:
        raise UserError(
            f"the split {changed[0]} in the store at {root} differs from its digest",
            hint="run `derm-bench store verify` and the matrix again, or leave out --store",
        )
    writing = Writing(
        provenance={name: manifest[name] for name in PROVENANCE if name in manifest},
        statuses=manifest["plan"]["statuses"],
        failures=failed_stages(manifest["plan"]["statuses"], stages.in_results()),
        splits=splits,
        directions=manifest.get("metrics", {}),
    )
    try:
        return write_run(run_dir, stages, SavedRecords(root, statuses), writing)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UserError(
            f"the records of the store at {root} do not fit this manifest: {type(error).__name__}: {error}",
            file=run_dir / MANIFEST,
        ) from error
