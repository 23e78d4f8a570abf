"""Writes a run directory into one archive that can be handed on: everything that verification and boards need, and no
picture that its licence forbids to pass on."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from derm_bench.errors import UserError
from derm_bench.filenames import FileNames
from derm_bench.plugins import Plugins
from derm_bench.report.data import ReportData
from derm_bench.report.figures import read_figures
from derm_bench.report.html import render
from derm_bench.report.markdown import markdown_report
from derm_bench.rundir.archive import ENVIRONMENT, SUFFIX, pack
from derm_bench.rundir.audits import FOLDER as AUDIT
from derm_bench.rundir.audits import Audit
from derm_bench.rundir.digests import check_files
from derm_bench.rundir.directory import RunFiles, read_run
from derm_bench.rundir.files import json_bytes, read_json, text_bytes
from derm_bench.rundir.manifest import MANIFEST, REPORTS
from derm_bench.rundir.sheet_index import INDEX
from derm_bench.runner.environment import requirements
from derm_bench.runner.sharing import Sharing
from derm_bench.store import default_store

SAMPLES = "samples"
_REST = r"[^\s'\"`:;,()\[\]{}<>|]*"


@dataclass
class Exported:
    """What was written: the archive, its SHA-256 and size, and the number of files in it. left_out: what of the run is
    not in it, a sentence each. problems: why nothing was written."""

    file: Path
    sha256: str = ""
    size: int = 0
    files: int = 0
    left_out: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def export(run_dir: Path, target: Path | None, plugins: Plugins, *, samples: bool | None = None) -> Exported:
    """Write a finished run directory into an archive, by default `<matrix>.zip` in the current folder.

    It has the tables, predictions, splits, figures, report and manifest, `environment.txt` with the versions of all
    packages, and the pictures that may be passed on (`derm_bench.runner.sharing.Sharing`; `samples` is its `wanted`).
    Where pictures are left out, the report is made without them. The same run directory gives the same bytes.

    Nothing is written if a file of the run differs from its digest or is missing: `problems` of the result name it.
    Raises UserError if `run_dir` is no run directory, or `target` cannot be an archive.
    """
    run_dir = run_dir.resolve()
    files = read_run(run_dir)
    top = FileNames().of(_folder(files.manifest))
    target = _checked(target or Path(f"{top}{SUFFIX}"), run_dir)
    check = check_files(run_dir, files.manifest)
    result = Exported(target)
    result.problems += [f"{name} differs from its digest in {MANIFEST}" for name in check.changed]
    result.problems += [f"{name} is missing, although {MANIFEST} lists it" for name in check.lost]
    if result.problems:
        return result
    if check.unlisted:
        result.left_out.append(f"files that {MANIFEST} does not list, such as {check.unlisted[0]}")
    contents = _contents(files, set(check.missing), Sharing(files, plugins, samples), result)
    pack(contents, top, target)
    result.files, result.size = len(contents), target.stat().st_size
    with target.open("rb") as file:
        result.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return result


def _folder(manifest: Mapping[str, Any]) -> str:
    """The name of the run's default folder: the matrix and the selection."""
    name, selection = str(manifest["matrix"]["name"]), str(manifest.get("selection", ""))
    return f"{name}@{selection}" if selection else name


def _checked(target: Path, run_dir: Path) -> Path:
    if target.suffix.lower() != SUFFIX:
        raise UserError(f"an archive of a run is a zip file: give a name that ends in {SUFFIX}", file=target)
    if target.parent.resolve().is_relative_to(run_dir):
        raise UserError("lies in the run directory itself", file=target, hint="write the archive elsewhere")
    if not target.parent.is_dir():
        raise UserError(f"the folder {target.parent.absolute()} does not exist", file=target)
    return target


# ------------------------------------------------------------------------------------------ contents


def _contents(
    files: RunFiles, missing: set[str], sharing: Sharing, result: Exported
) -> dict[str, Path | bytes]:
    """The files of the archive by name: those of the run, or bytes where they are others here."""
    shared = _shared(files, sharing)
    dropped = {f"{SAMPLES}/{sheet.file}" for sheet in set(files.sheets) - set(shared.sheets)}
    dropped |= {f"{AUDIT}/{name}" for name in _sheets(files.audits) - _sheets(shared.audits)}
    result.left_out += _reasons(files, shared, sharing)
    manifest = _manifest(files, result.left_out)
    shared = replace(shared, manifest=manifest)
    made: dict[str, bytes] = {ENVIRONMENT: requirements(manifest).encode()}
    if dropped:
        made |= _indices(files, dropped)
    listed = files.manifest.get("files", {})
    kept = [name for name in listed if name not in dropped and name not in missing]
    if result.left_out or not set(REPORTS) <= set(kept):
        made |= _reports(shared)
    digests = {name: listed[name] for name in kept}
    digests |= {name: hashlib.sha256(content).hexdigest() for name, content in made.items()}
    made[MANIFEST] = json_bytes(manifest | {"files": dict(sorted(digests.items()))})
    return {name: files.folder / name for name in kept} | made


def _shared(files: RunFiles, sharing: Sharing) -> RunFiles:
    """The run with those pictures alone that may be passed on."""
    audits = [
        replace(
            audit,
            findings=[
                one if sharing.may_share_finding(audit.dataset, one) else replace(one, sheet=None)
                for one in audit.findings
            ],
        )
        for audit in files.audits
    ]
    return replace(files, sheets=[sheet for sheet in files.sheets if sharing.may_share(sheet)], audits=audits)


def _sheets(audits: Sequence[Audit]) -> set[str]:
    return {one.sheet for audit in audits for one in audit.findings if one.sheet is not None}


def _reasons(files: RunFiles, shared: RunFiles, sharing: Sharing) -> Iterator[str]:
    """What pictures are left out, and why: a sentence per data set and kind."""
    if sharing.wanted is False and (files.sheets or _sheets(files.audits)):
        yield "all sheets of images, as --no-samples asks"
        return
    left = Counter((sheet.dataset, sheet.real) for sheet in set(files.sheets) - set(shared.sheets))
    for audit, kept in zip(files.audits, shared.audits, strict=True):
        left[audit.dataset, True] += len(_sheets([audit])) - len(_sheets([kept]))
    for (dataset, real), count in sorted(left.items()):
        if count:
            terms = sharing.licence(dataset) or "none stated"
            what = f"{count} sheet{'s' if count > 1 else ''} of {'real' if real else 'synthetic'} images"
            more = "" if real else "; --samples adds those of generators that were trained"
            yield f"{what} of {dataset}, whose licence ({terms}) may not let them be passed on{more}"


def _indices(files: RunFiles, dropped: set[str]) -> Iterator[tuple[str, bytes]]:
    """The indices of pictures without those that are left out."""
    place = files.folder / SAMPLES / INDEX
    if files.sheets:
        entries = [entry for entry in read_json(place) if f"{SAMPLES}/{entry['file']}" not in dropped]
        yield f"{SAMPLES}/{INDEX}", json_bytes(entries)
    folder = files.folder / AUDIT
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        document = read_json(path)
        for finding in document["findings"]:
            if f"{AUDIT}/{finding['sheet']}" in dropped:
                finding["sheet"] = None
        yield f"{AUDIT}/{path.name}", json_bytes(document)


def _reports(files: RunFiles) -> dict[str, bytes]:
    """report.md and report.html of the run as it is handed on."""
    data, figures = ReportData(files), read_figures(files.folder / "figures")
    texts = (markdown_report(data, figures, files.folder), render(data, figures, files.folder / "figures"))
    return {name: text_bytes(text) for name, text in zip(REPORTS, texts, strict=True)}


# ------------------------------------------------------------------------------------------ manifest


def _manifest(files: RunFiles, left_out: Sequence[str]) -> dict[str, Any]:
    """The manifest as it is handed on: without folders of this machine, and with what is left out as a warning."""
    manifest: dict[str, Any] = _without_folders(dict(files.manifest), _folders(files.folder))
    if left_out:
        said = f"This copy of the run was exported without: {'; '.join(left_out)}."
        manifest["warnings"] = [*manifest.get("warnings", ()), said]
    return manifest


def _folders(run_dir: Path) -> re.Pattern[str]:
    """What begins with a folder of this machine. Run directories have no such paths, unless an error or a label that
    somebody wrote has one."""
    known = (Path("~").expanduser(), Path.cwd(), run_dir.parent, default_store())
    own = {str(place.absolute()) for place in known}
    longest = sorted((place for place in own if len(place) > 1), key=len, reverse=True)
    names = "|".join(map(re.escape, longest))
    return re.compile(rf"(?<![\w.])(?:{names}){re.escape(os.sep)}{_REST}")


def _without_folders(value: Any, folders: re.Pattern[str]) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_folders(inner, folders) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_folders(inner, folders) for inner in value]
    if isinstance(value, str):
        return folders.sub(lambda found: f".../{Path(found[0]).name}", value)
    return value
