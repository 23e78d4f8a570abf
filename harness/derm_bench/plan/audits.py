"""Plans the audit of a data set under a split, and the gate that nothing trains before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from derm_bench.plan import params as p
from derm_bench.plan.book import Entry, StageBook
from derm_bench.plan.model import PlannedAudit
from derm_bench.splits import PlannedSplit


def enter_audit(
    book: StageBook, place: tuple[str, int], view: p.View, decode: str, known: Mapping[str, str], licence: str
) -> None:
    """Enters the audit of a planned split, and makes the stages that read images under it wait for its gate.

    place: label of the data set and seed of the split. known: the group of each image, where the data set knows it.
    """
    split = book.plan.splits[place]
    others = _other_groups(split, known)
    groups = None
    if others:
        content = json.dumps(others).encode()
        groups = hashlib.sha256(content).hexdigest()
        book.plan.data[groups] = content
    params = p.Audit(**p.as_dict(view), known_groups=groups, licence=licence)
    words = {"label": place[0], "seed_number": place[1]}
    key = book.enter("audit", params, Entry(inputs={"decode": decode}, words=words))
    permits = p.AuditGate(permits=sorted(book.plan.matrix.protocol.allow))
    gate = book.enter("audit-gate", permits, Entry(inputs={"audit": key}, words=words))
    book.plan.audits.append(PlannedAudit(*place, key, gate))
    book.guard_split(split.digest, gate)


def _other_groups(split: PlannedSplit, known: Mapping[str, str]) -> dict[str, str]:
    """The known groups of the images that the split puts into others."""
    return {
        name: known[name]
        for name, group in zip(split.ids, split.groups, strict=True)
        if known.get(name, group) != group
    }
