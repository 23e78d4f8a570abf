"""All checks of an audit, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from derm_bench.audit.classes import class_sizes, dropped, licence, tone_coverage, unreadable
from derm_bench.audit.findings import Finding, by_severity
from derm_bench.audit.groups import group_findings
from derm_bench.audit.images import AuditedImages
from derm_bench.audit.measures import measured
from derm_bench.audit.near_duplicates import Progress, near_duplicate_findings, near_duplicates
from derm_bench.audit.prediction import prediction_findings, predictions
from derm_bench.audit.repeats import copies, repeats
from derm_bench.audit.traits import traits


class SetAside(NamedTuple):
    """Images that are not audited: `{id, reason}` of the unreadable ones, of `total` planned images, and the reason
    by id of those that `clean` has removed; (class, part) of all planned images."""

    unreadable: Sequence[Mapping[str, str]] = ()
    total: int = 0
    cleaned: Mapping[str, str] = {}
    planned: frozenset[tuple[str, str]] = frozenset()


def audit(
    images: AuditedImages,
    stated_licence: str = "",
    aside: SetAside | None = None,
    progress: Progress = lambda done, total: None,
    threads: int = 1,
) -> list[Finding]:
    """All findings about some images under a split, stops first."""
    aside = aside or SetAside()
    near = near_duplicates(images, copies(images), progress, threads)
    found = [
        *repeats(images),
        *group_findings(images),
        *class_sizes(images, aside.planned),
        *unreadable(aside.unreadable, aside.total),
        *near_duplicate_findings(images, near),
        *prediction_findings(predictions(images, traits(images, measured(images)))),
        *tone_coverage(images),
        *licence(stated_licence),
        *dropped(aside.cleaned),
    ]
    return by_severity(found)
