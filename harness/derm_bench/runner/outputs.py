"""Writes the run directory: tables, predictions, manifest, samples, figures and the report."""

from __future__ import annotations

import csv
import json
import platform
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from derm_bench._version import __version__
from derm_bench.errors import UserError
from derm_bench.plan.closure import distribution_of
from derm_bench.plan.keys import PROTOCOL_VERSION
from derm_bench.plan.model import Plan
from derm_bench.report.data import (
    COMPOSITION_COLUMNS,
    FIDELITY_COLUMNS,
    HISTORY_COLUMNS,
    RESULT_COLUMNS,
    SUMMARY_COLUMNS,
)
from derm_bench.report.pictures import PREPROCESSED
from derm_bench.report.tables import summarise, write_csv, write_text
from derm_bench.runner import saved
from derm_bench.runner.rows import (
    Results,
    composition_rows,
    fidelity_rows,
    health_rows,
    result_rows,
    warnings_of,
)
from derm_bench.scoring import metric_names
from derm_bench.specs import NEEDED
from derm_bench.store import file_digest, reason

TABLES = (
    "results.csv",
    "summary.csv",
    "fidelity.csv",
    "composition.csv",
    "history.csv",
    "predictions.parquet",
)
MANIFEST = "manifest.json"


def prepare_out(out: Path, matrix_name: str) -> None:
    """Makes the run directory, or refuses one that is not a run of this matrix."""
    manifest = out / MANIFEST
    try:
        out.mkdir(parents=True, exist_ok=True)
        entries = [entry.name for entry in out.iterdir()]
        probe = out / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"cannot write the run directory {out.absolute()}: {reason(error)}", hint="give another --out"
        ) from error
    if not entries:
        # Says whose folder it is from the first moment: a run killed before its tables are whole can go on.
        _write_json({"matrix": {"name": matrix_name}}, manifest)
        return
    try:
        name = json.loads(manifest.read_text())["matrix"]["name"]
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(
            f"{out.absolute()} is not empty and no run directory",
            hint="give an empty or new folder with --out",
        ) from None
    if name != matrix_name:
        raise UserError(
            f"{out.absolute()} holds a run of the matrix '{name}', not '{matrix_name}'",
            hint="give another --out",
        )


def write_tables(results: Results, out: Path, provenance: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Writes all tables and the manifest; returns the rows of results.csv. `provenance` is what the manifest says
    of versions and machine: of this run, or kept from the one whose tables are rebuilt."""
    matrix = results.plan.matrix
    rows = list(result_rows(results))
    write_csv(rows, [*RESULT_COLUMNS, *_metric_columns(results, rows)], out / "results.csv")
    fidelity = list(fidelity_rows(results))
    write_csv(fidelity, FIDELITY_COLUMNS, out / "fidelity.csv")
    summary = summarise(
        rows,
        fidelity,
        baselines=matrix.compare.baselines or None,
        across=matrix.compare.across,
        pairs=matrix.compare.pairs,
        alpha=matrix.analysis.alpha,
        offsets={entry.name: entry.seed_offset for entry in matrix.strategies},
    )
    write_csv(summary, SUMMARY_COLUMNS, out / "summary.csv")
    write_csv(composition_rows(results), COMPOSITION_COLUMNS, out / "composition.csv")
    write_csv(_history(results), HISTORY_COLUMNS, out / "history.csv")
    write_predictions(results, out / "predictions.parquet")
    write_samples(results, out / "samples")
    _write_json(manifest(results, out, provenance), out / MANIFEST)
    return rows


def _metric_columns(results: Results, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The contract's metrics for the classes of all data sets, then what plugins added."""
    classes = dict.fromkeys(name for split in results.plan.cell_splits().values() for name in split.classes)
    known = list(metric_names(tuple(classes)))
    added = {name for row in rows for name in row if name not in RESULT_COLUMNS and name not in known}
    return known + sorted(added)


# ----------------------------------------------------------------------------------- history


def _history(results: Results) -> Iterator[dict[str, Any]]:
    """The training curves of all generators and classifiers, with what each belongs to."""
    for fit in results.plan.fits:
        head = {
            "dataset": fit.dataset,
            "train_fraction": fit.train_fraction,
            "stage": fit.key[:12],
            "role": "generator",
            "name": fit.strategy,
            "class": fit.class_name,
            "seed": fit.generator_seed,
        }
        yield from _curve(results, fit.key, head)
    for required in results.plan.required:
        head = {
            "dataset": required.dataset,
            "train_fraction": required.train_fraction,
            "stage": required.key[:12],
            "role": required.role,
            "name": required.owner,
            "class": required.class_name,
            "seed": required.seed,
        }
        yield from _curve(results, required.key, head)
    for planned in results.plan.cells:
        cell = planned.cell
        head = {
            "dataset": cell.dataset,
            "train_fraction": cell.train_fraction,
            "stage": planned.train[:12],
            "role": "classifier",
            "name": f"{cell.strategy}/{cell.classifier}",
            "class": "",
            "seed": cell.classifier_seed,
        }
        yield from _curve(results, planned.train, head)


def _curve(results: Results, key: str, head: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    finished = results.store.finished(key)
    if finished is not None:
        with (finished.folder / "history.csv").open(newline="") as handle:
            for row in csv.DictReader(handle):
                yield {**head, **row}


# ------------------------------------------------------------------------------- predictions


def write_predictions(results: Results, path: Path) -> None:
    """All predictions of finished cells in one file, cell by cell. Rows of `val` belong to no test set: theirs is
    empty, and they stand once a cell."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    tables = []
    for planned in results.plan.cells:
        for number, (test_set, evaluation) in enumerate(planned.evaluations.items()):
            finished = (
                results.store.finished(evaluation) if results.outcome(evaluation).status == "done" else None
            )
            if finished is None:
                continue
            with pa.memory_map(str(finished.folder / "predictions.arrow")) as file:
                table = pa.ipc.open_file(file).read_all()
            if number:
                table = table.filter(pc.equal(table["split"], "test"))
            names = pc.if_else(pc.equal(table["split"], "test"), test_set, "")
            cells = pa.array([planned.cell.name] * len(table)).dictionary_encode()
            tables.append(table.add_column(1, "test_set", names).add_column(0, "cell", cells))
    none = pa.table({"cell": pa.array([], pa.string())})
    partial = path.with_name(f".{path.name}.partial")
    pq.write_table(pa.concat_tables(tables, promote_options="permissive") if tables else none, partial)
    partial.replace(path)


def write_samples(results: Results, folder: Path) -> None:
    """The pictures of all generators, and of how images are preprocessed, as `analyse` stages drew them."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()

    def copy(key: str, name: str) -> None:
        finished = results.store.finished(key)
        for picture in sorted(finished.folder.glob("*.png")) if finished is not None else ():
            shutil.copyfile(picture, folder / _safe(name.format(picture.stem)))

    for label, key in results.plan.sheets.items():
        copy(key, f"{PREPROCESSED}{_literal(label)}__{{}}.png")
    for planned in results.plan.fits:
        head = f"{planned.dataset}__" * (len(results.plan.matrix.datasets) > 1) + planned.strategy
        for key in results.plan.pictures.get(planned.key, ()):
            copy(key, f"{_literal(head)}__{{}}__g{planned.generator_seed}.png")


def _literal(label: str) -> str:
    return label.replace("{", "{{").replace("}", "}}")


def _safe(name: str) -> str:
    """A label as part of a file name."""
    return "".join(c if c.isalnum() or c in "-_.+=@" else "_" for c in name)


# ---------------------------------------------------------------------------------- manifest


def provenance_of(plan: Plan, command: Sequence[str]) -> dict[str, Any]:
    """What was run, with which versions, on what."""
    return {
        "derm_bench": __version__,
        "protocol_version": PROTOCOL_VERSION,
        "command": list(command),
        "distributions": _distributions(plan),
        "machine": {
            "device": plan.machine.device,
            "precision": plan.machine.precision,
            "threads": plan.machine.threads,
            "python": platform.python_version(),
            "system": platform.platform(),
            "processor": platform.processor() or platform.machine(),
        },
        "git": git_state(plan.matrix.file.parent),
    }


def manifest(results: Results, out: Path, provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Everything needed to say what was run, to rebuild its tables and to run it again."""
    plan = results.plan
    matrix = json.loads(plan.matrix.model_dump_json(by_alias=True, exclude={"file"}))
    return {
        **provenance,
        "matrix": matrix | {"file": plan.matrix.file.name},
        "splits": {f"{label}/{seed}": split.digest for (label, seed), split in sorted(plan.splits.items())},
        "weights": _weights(results),
        "warnings": warnings_of(results),
        "health": list(health_rows(results)),
        "files": table_digests(out),
        "plan": saved.dump(results),
    }


def _weights(results: Results) -> dict[str, dict[str, str]]:
    """Where classifiers started, by label: the file or the published source, and its digest. Those that started from
    nothing are not in it. What one is built on is `label/member 1`, `label/init`."""
    return dict(pair for p in results.plan.cells for pair in _origins(results, p.cell.classifier, p.train))


def _origins(results: Results, label: str, key: str) -> Iterator[tuple[str, dict[str, str]]]:
    """(label, where it started) of a training and of what it is built on, by the store's records: a saved plan has no
    stages."""
    finished = results.store.finished(key)
    if finished is None:
        return
    if origin := finished.result.get("weights_from"):
        yield label, origin
    for given, other in finished.identity["inputs"].items():
        name = given.removeprefix(NEEDED)
        if (given == "init" or name != given) and NEEDED not in name:  # else what `name` requires in turn
            yield from _origins(results, f"{label}/{name}", other)


def _distributions(plan: Plan) -> dict[str, str]:
    versions: dict[str, str] = {distribution_of("derm_bench") or "derm-bench": __version__}
    for stage in plan.stages.values():
        versions |= stage.identity["numerics"]["versions"]
        for used in stage.identity["code"]["plugins"]:
            versions[used["distribution"]] = used["version"]
    return dict(sorted(versions.items()))


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit and dirty flag of the repository that holds the matrix; None outside of one."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout.strip()

    try:
        return {
            "commit": git("rev-parse", "HEAD"),
            "dirty": bool(git("status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.SubprocessError):
        return None


def _write_json(value: Any, path: Path) -> None:
    write_text(json.dumps(value, indent=1, sort_keys=False) + "\n", path)


def table_digests(out: Path, names: Iterable[str] = TABLES) -> dict[str, str]:
    """Digests of the tables that figures are drawn from."""
    return {name: file_digest(out / name) for name in names if (out / name).is_file()}
