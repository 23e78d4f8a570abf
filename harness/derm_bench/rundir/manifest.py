"""manifest.json: the matrix, the machine, the versions, and the digests of the other files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from derm_bench.errors import UserError
from derm_bench.rundir.audits import audit_warnings
from derm_bench.rundir.files import digests, read_json, write_json
from derm_bench.rundir.frames import LONGEST_NAME
from derm_bench.rundir.memorization import memorization_rows, memorization_warnings
from derm_bench.rundir.planned import RunStages
from derm_bench.rundir.records import Records
from derm_bench.rundir.schema import MANIFEST_KEYS, PREDICTIONS, RESULTS, SCHEMA, TABLES
from derm_bench.rundir.tables import Tables, health_rows, warnings_of, weights_of
from derm_bench.scoring import higher_is_better, metric_names
from derm_bench.specs import MetricSpec

MANIFEST = "manifest.json"
REPORTS = ("report.md", "report.html")
PROVENANCE = (
    *("derm_bench", "protocol_version", "command", "selection", "distributions", "environment", "machine"),
    "git",
)
"""The manifest keys that are known before a run starts, and that are kept when tables are rebuilt."""

Name = Annotated[str, StringConstraints(max_length=LONGEST_NAME)]
Directions = dict[str, dict[str, Any]]
"""Metric name -> `{"higher_is_better": bool | None, "level": "predictions" | "images"}`."""


def metric_directions(tables: Tables, classes: Iterable[str], specs: Sequence[MetricSpec]) -> Directions:
    """Return the direction of every metric of the tables.

    classes: the classes of the data sets. specs: the plugin metrics that the matrix names. A column that is not named
    after a spec belongs to the spec whose name, with an underscore, it begins with; other columns are left out.
    """
    built_in = set(metric_names(tuple(classes)))
    columns = [name for name in tables["results"].columns if name not in RESULTS.names]
    found: Directions = {}
    for level, names in (("predictions", columns), ("images", list(tables["fidelity"]["metric"].unique()))):
        own = [spec for spec in specs if spec.level == level]
        for name in names:
            if level == "predictions" and name in built_in:
                found[name] = {"higher_is_better": higher_is_better(name), "level": level}
            elif (spec := _spec_of(name, own)) is not None:
                found[name] = {"higher_is_better": spec.higher_is_better, "level": level}
    return found


def _spec_of(name: str, specs: Sequence[MetricSpec]) -> MetricSpec | None:
    named = [spec for spec in specs if name == spec.name or name.startswith(f"{spec.name}_")]
    return max(named, key=lambda spec: len(spec.name), default=None)


def make_manifest(
    stages: RunStages,
    records: Records,
    out: Path,
    provenance: Mapping[str, Any],
    metrics: Directions,
    statuses: Mapping[str, Mapping[str, str]],
    failures: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the manifest of a run directory whose other files have been written. `statuses` has the status and error
    of each stage that is not done; `failures` are sentences about them, which become warnings."""
    screened = memorization_rows(stages, records)
    manifest = {
        "schema": SCHEMA,
        **{name: provenance[name] for name in PROVENANCE if name in provenance},
        "matrix": stages.matrix,
        "datasets": stages.terms,
        "notes": _notes(stages, records),
        "metrics": metrics,
        "splits": {f"{split.dataset}/{split.seed}": split.digest for split in _sorted(stages)},
        "weights": weights_of(stages, records),
        "warnings": [
            *failures,
            *warnings_of(stages, records),
            *memorization_warnings(screened),
            *audit_warnings(stages, records),
        ],
        "health": list(health_rows(stages, records)),
        "memorization": screened,
        "files": digests(out, [MANIFEST, *REPORTS, "figures"]),
        "plan": {"stages": stages.dump(), "statuses": statuses},
    }
    return {name: manifest[name] for name in MANIFEST_KEYS if name in manifest}


def _notes(stages: RunStages, records: Records) -> dict[str, list[dict[str, Any]]]:
    """The notes of the data sets by label, those of their decode stages last."""
    found: dict[str, list[dict[str, Any]]] = {}
    for note in stages.notes:
        shown = {"text": note.text, "count": note.count, "names": list(note.names)}
        found.setdefault(note.dataset, []).append(shown)
    for label, key in stages.decodes.items():
        found.setdefault(label, []).extend(records.result(key).get("notes", ()))
    return found


def _sorted(stages: RunStages) -> list[Any]:
    return sorted(stages.splits, key=lambda split: (split.dataset, split.seed))


def seal(out: Path) -> None:
    """Add the digests of the figures and reports to the manifest after they are written. The digests of other files are
    kept, so that a file changed after the run does not match its digest."""
    manifest = read_json(out / MANIFEST)
    now = {name: digest for name, digest in digests(out, [MANIFEST]).items() if _reported(name)}
    kept = {name: digest for name, digest in manifest.get("files", {}).items() if not _reported(name)}
    write_json(manifest | {"files": kept | now}, out / MANIFEST)


def _reported(name: str) -> bool:
    return name in REPORTS or name.startswith("figures/")


def table_digests(out: Path) -> dict[str, str]:
    """Return the digests of the inputs of the figures: the tables, and the matrix and metrics of the manifest."""
    names = [*(table.file for table in TABLES.values()), PREDICTIONS.file]
    found = {}
    for name in names:
        if (out / name).is_file():
            with (out / name).open("rb") as handle:
                found[name] = hashlib.file_digest(handle, "sha256").hexdigest()
    manifest = read_json(out / MANIFEST)
    used = json.dumps([manifest.get("matrix"), manifest.get("metrics")], sort_keys=True)
    return found | {MANIFEST: hashlib.sha256(used.encode()).hexdigest()}


# ------------------------------------------------------------------------------------ reading


class _Part(BaseModel):
    """Base class of the parts of a manifest that a report uses. Other keys are allowed and only displayed."""

    model_config = ConfigDict(extra="allow")


class _Protocol(_Part):
    name: Name = "fair"
    allow: list[Name] = Field(default_factory=list)


class _Dataset(_Part):
    label: Name
    size: int = 0


class _Strategy(_Part):
    name: Name


class _Analysis(_Part):
    primary: Name = "balanced_accuracy"
    margin: float = 0.02
    alpha: float = Field(0.05, gt=0, lt=1)


class _Matrix(_Part):
    name: Name
    file: Name = "MATRIX.yaml"
    protocol: _Protocol = Field(default_factory=_Protocol)
    datasets: list[_Dataset] = Field(default_factory=list)
    strategies: list[_Strategy] = Field(default_factory=list)
    analysis: _Analysis = Field(default_factory=_Analysis)
    budget: dict[Name, float | None] | None = None


class _Metric(_Part):
    higher_is_better: bool | None
    level: Literal["predictions", "images"]


class _Note(_Part):
    text: str
    count: int = 0
    names: list[str] = Field(default_factory=list)


class _Health(_Part):
    dataset: Name
    train_fraction: float
    strategy: Name
    generator_seed: int | None
    class_name: Name = Field(alias="class")
    figures: dict[Name, float | None]
    flags: list[str]


class _Screen(_Part):
    closer: float
    expected: float
    p_value: float
    p_holm: float


class _Screened(_Part):
    dataset: Name
    train_fraction: float
    strategy: Name
    generator: Name
    generator_seed: int | None
    class_name: Name = Field(alias="class")
    reason: str
    train: int
    held_out: int
    samples: int
    tests: dict[Name, _Screen]
    members: dict[Name, _Screen]
    flagged: bool


class _Git(_Part):
    commit: Name
    dirty: bool


class _Manifest(_Part):
    matrix: _Matrix
    datasets: dict[Name, dict[Name, str]] = Field(default_factory=dict)
    notes: dict[Name, list[_Note]] = Field(default_factory=dict)
    metrics: dict[Name, _Metric] = Field(default_factory=dict)
    warnings: list[str] = Field(default_factory=list)
    health: list[_Health] = Field(default_factory=list)
    memorization: list[_Screened] = Field(default_factory=list)
    files: dict[Name, Name] = Field(default_factory=dict)
    splits: dict[str, Name] = Field(default_factory=dict)
    command: list[str] = Field(default_factory=list)
    selection: Name = ""
    git: _Git | None = None
    plan: dict[str, Any] = Field(default_factory=dict)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a run directory and check the parts that are used.

    Raises UserError if there is no manifest, if it has another schema, or if it differs from what this version writes.
    Nothing outside `folder` is read, whatever paths the manifest contains.
    """
    path = folder / MANIFEST
    try:
        manifest = read_json(path)
    except FileNotFoundError:
        hint = "pass the folder that `run` wrote"
        raise UserError(f"not a run directory, it has no {MANIFEST}: {folder}", hint=hint) from None
    if not isinstance(manifest, dict):
        raise UserError("expected a JSON object", file=path)
    schema = manifest.get("schema")
    if schema != SCHEMA or isinstance(schema, bool):
        has = "states no schema" if schema is None else f"has the schema {str(schema)[:20]}"
        raise UserError(
            f"the run directory {has}, and this version reads schema {SCHEMA}",
            file=path,
            hint="run the matrix again with this version, or use the version that wrote the directory",
        )
    try:
        _Manifest.model_validate(manifest)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part)[:40] for part in first["loc"])
        raise UserError(f"{place}: {first['msg']}", file=path) from error
    return manifest
