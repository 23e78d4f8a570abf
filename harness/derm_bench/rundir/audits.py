"""audit/: what is wrong with each data set under each split, and contact sheets of the images concerned."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import StringConstraints, TypeAdapter, ValidationError

from derm_bench.audit.report import AUDIT_FILE, judged
from derm_bench.errors import UserError
from derm_bench.filenames import FileNames
from derm_bench.plain_text import LONGEST, recorded
from derm_bench.rundir.files import copy, emptied, read_json, write_json
from derm_bench.rundir.frames import LONGEST_NAME
from derm_bench.rundir.planned import RunStages
from derm_bench.rundir.records import Records

FOLDER = "audit"
AUDITS, FINDINGS = 10_000, 1_000
"""The largest number of audits of a run directory, and of findings of one audit."""

Name = Annotated[str, StringConstraints(max_length=LONGEST_NAME)]
Sheet = Annotated[str, StringConstraints(max_length=LONGEST_NAME, pattern=r"^[^/\\\x00]+\.png$")]
Sentence = Annotated[str, StringConstraints(max_length=LONGEST + 200)]


@dataclass(frozen=True)
class AuditFinding:
    """One thing that is wrong with a data set, with the keys of `derm_bench.audit.findings.Finding` that a report
    shows. `sheet` is the file of its contact sheet in audit/, None if it has none."""

    code: Name
    severity: Literal["stop", "warning", "note"]
    sentence: Sentence
    permit: Name = ""
    counts: Mapping[Name, int] = field(default_factory=dict)
    sheet: Sheet | None = None


@dataclass(frozen=True)
class Audit:
    """The audit of a data set under a split. images, size: how many images were looked at, and their side in pixels."""

    dataset: Name
    split_seed: int
    images: int
    size: int
    findings: list[AuditFinding]


@functools.cache
def _adapter() -> TypeAdapter[Audit]:
    return TypeAdapter(Audit)


def audits_of(stages: RunStages, records: Records) -> Iterator[tuple[dict[str, Any], Path]]:
    """Yield the document of each finished audit, with the findings as the permits of the matrix make them, and the
    folder of its contact sheets."""
    protocol = stages.matrix.get("protocol") or {}
    permits = protocol.get("allow") or () if isinstance(protocol, Mapping) else ()
    of_splits = [(split.dataset, split.seed, split.audit) for split in stages.splits if split.audit]
    outside = [(audit.dataset, audit.seed, audit.key) for audit in stages.outside]
    for dataset, seed, key in (*of_splits, *outside):
        folder = records.folder(key)
        if folder is not None:
            document = read_json(folder / AUDIT_FILE)
            findings = judged(document["findings"], permits)
            head = {"dataset": dataset, "split_seed": seed}
            yield {**head, **document, "findings": findings}, folder


def write_audits(stages: RunStages, records: Records, folder: Path) -> None:
    """Replace the folder audit/: one JSON file per data set and split, and its contact sheets."""
    emptied(folder)
    add_audits(stages, records, folder)


def add_audits(stages: RunStages, records: Records, folder: Path) -> None:
    """Write the files of audit/ into a folder that may have others."""
    names = FileNames()
    for document, source in audits_of(stages, records):
        label = f"{document['dataset']}-s{document['split_seed']}"
        for finding in document["findings"]:
            finding["sentence"] = recorded(finding["sentence"])
            if finding["sheet"]:
                sheet = names.of(label, finding["code"], suffix=".png")
                copy(source / finding["sheet"], folder / sheet)
                finding["sheet"] = sheet
        write_json(document, folder / names.of(label, suffix=".json"))


def audit_warnings(stages: RunStages, records: Records) -> Iterator[str]:
    """Yield one sentence per data set and kind of warning: that of its first split."""
    found: dict[tuple[str, str], list[str]] = {}
    for document, _ in audits_of(stages, records):
        for finding in document["findings"]:
            if finding["severity"] == "warning":
                found.setdefault((document["dataset"], finding["code"]), []).append(finding["sentence"])
    for (dataset, _), sentences in found.items():
        others = len(sentences) - 1
        more = f" (and likewise with {others} other split{'s' if others > 1 else ''})" if others else ""
        yield f"{dataset}: {recorded(sentences[0])}{more}"


def read_audits(folder: Path) -> Sequence[Audit]:
    """Return the audits of a folder audit/, sorted by data set and split; [] if there is none.

    Raises UserError for a file that is not as `write_audits` writes it.
    """
    if not folder.is_dir():
        return []
    names = sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith(".json"))
    if len(names) > AUDITS:
        raise UserError(f"contains more than {AUDITS} audits", file=folder)
    return sorted((_read(folder / name) for name in names), key=lambda one: (one.dataset, one.split_seed))


def _read(path: Path) -> Audit:
    document = read_json(path)
    try:
        audit = _adapter().validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part)[:40] for part in first["loc"])
        raise UserError(f"{place}: {first['msg']}", file=path) from error
    if len(audit.findings) > FINDINGS:
        raise UserError(f"has more than {FINDINGS} findings", file=path)
    return audit
