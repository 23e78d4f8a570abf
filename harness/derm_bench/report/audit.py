"""What the audits of a run found, as tables and contact sheets of the report."""

from __future__ import annotations

from derm_bench.report.data import ReportData
from derm_bench.report.pictures import Picture
from derm_bench.report.view import Table

ORDER = ("stop", "warning", "note")


def findings(data: ReportData) -> Table | None:
    """The findings of all audits, stops first; those that several splits of a data set share are one row. None if
    nothing was found."""
    rows: dict[tuple[str, str, str], list[tuple[int, str]]] = {}
    for audit in data.files.audits:
        for one in audit.findings:
            rows.setdefault((one.severity, audit.dataset, one.code), []).append(
                (audit.split_seed, one.sentence)
            )
    if not rows:
        return None
    ordered = sorted(rows.items(), key=lambda item: ORDER.index(item[0][0]))
    body = [
        [severity, dataset, ", ".join(str(seed) for seed, _ in found), found[0][1]]
        for (severity, dataset, _), found in ordered
    ]
    flagged = frozenset(k for k, row in enumerate(body) if row[0] == "stop")
    note = "Of several split seeds, the sentence is that of the first. Ids and numbers are in audit/*.json."
    return Table("", ["severity", "data", "split seeds", "finding"], body, note, flagged=flagged)


def sheets(data: ReportData) -> list[Picture]:
    """The contact sheets of all audits, those of stops first."""
    folder = data.files.folder / "audit"
    return [
        Picture(
            folder / one.sheet,
            f"{audit.dataset}, split seed {audit.split_seed}",
            one.code.replace("_", " "),
            ORDER.index(one.severity),
            False,
            True,
        )
        for audit in data.files.audits
        for one in audit.findings
        if one.sheet is not None
    ]
