"""Stage `audit`: looks for what is wrong with a data set under a split."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from derm_bench.audit.checks import SetAside
from derm_bench.audit.checks import audit as all_findings
from derm_bench.audit.findings import Finding
from derm_bench.audit.images import AuditedImages
from derm_bench.audit.report import AUDIT_FILE
from derm_bench.report.samples import Row, row_sheet
from derm_bench.stages.audited import audited
from derm_bench.stages.decoded import decoded_of

if TYPE_CHECKING:
    from derm_bench.plan import params as p
    from derm_bench.stages.context import StageContext

SETS, SHOWN = 20, 4
"""The largest number of sets of images on one contact sheet, and of images of one set."""

DRAWN = (
    "duplicates_across_splits",
    "conflicting_labels",
    "duplicates",
    "group_across_splits",
    "label_conflict_in_group",
    "near_duplicates",
)
"""Findings whose images are shown on a contact sheet."""


def audit(context: StageContext) -> dict[str, Any]:
    """Writes audit.json, the findings, and one contact sheet per finding about sets of images."""
    params: p.Audit = context.params
    decoded = decoded_of(context)
    known = json.loads(context.planned(params.known_groups)) if params.known_groups else {}
    images = audited(decoded, known)
    aside = SetAside(
        [entry for entry in decoded.index["unreadable"] if entry["id"] in set(decoded.split.ids)],
        len(decoded.split.ids),
        decoded.dropped,
        frozenset(zip(decoded.split.labels, decoded.split.parts, strict=True)),
    )
    found = all_findings(
        images,
        params.licence,
        aside,
        lambda done, total: context.report({"done": done, "total": total}),
        context.machine.threads,
    )
    sheets = dict(_drawn(found, images, context.out, params.licence))
    document = {
        "images": len(images),
        "size": int(images.pixels.shape[1]),
        "findings": [one.as_dict() | {"sheet": sheets.get(one.code)} for one in found],
    }
    (context.out / AUDIT_FILE).write_text(json.dumps(document, indent=1))
    return {"images": len(images)} | {
        severity: [one.code for one in found if one.severity == severity] for severity in ("stop", "warning")
    }


def _drawn(
    found: Sequence[Finding], images: AuditedImages, folder: Path, licence: str
) -> Iterator[tuple[str, str]]:
    """(code, file) of each contact sheet."""
    place = {name: i for i, name in enumerate(images.ids)}
    for one in found:
        if one.code not in DRAWN:
            continue
        rows = []
        for names in one.images[:SETS]:
            where = [place[name] for name in names[:SHOWN] if name in place]
            pixels = [np.ascontiguousarray(images.pixels[images.rows[i]].transpose(2, 0, 1)) for i in where]
            words = [f"{images.parts[i]}, {images.labels[i]}: {images.ids[i]}" for i in where]
            rows.append(Row(pixels, "", words))
        file = f"{one.code}.png"
        left = len(one.images) - SETS
        more = f"; {left} more sets are listed in audit.json" if left > 0 else ""
        row_sheet(
            rows,
            one.code.replace("_", " "),
            f"one set of images per row: part, label and id of each{more}",
            folder / file,
            note=f"Real images: {licence or 'licence not stated'}.",
            scale=max(1.0, 160 / images.pixels.shape[1]),
        )
        yield one.code, file
