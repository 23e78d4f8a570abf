"""Plans the audit of each data set under each split, and the gate that nothing trains before."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from derm_bench.plan import params as p
from derm_bench.plan.book import Entry
from derm_bench.plan.model import PlannedAudit

if TYPE_CHECKING:
    from derm_bench.plan.data import DataPlanner


class Audits:
    """Enters the audits of splits."""

    def __init__(self, data: DataPlanner) -> None:
        self.data = data

    def add(self, label: str, seed: int) -> None:
        """Adds the audit of a planned split, and makes the stages that read images under it wait for its gate."""
        data, book = self.data, self.data.book
        split = data.split(label, seed)
        known = data.known_groups[label]
        others = {
            name: known[name]
            for name, group in zip(split.ids, split.groups, strict=True)
            if known.get(name, group) != group
        }
        params = p.Audit(
            **p.as_dict(data.view(label, seed, 1.0)),
            known_groups=data.keep(json.dumps(others).encode()) if others else None,
            licence=data.licences[label],
        )
        words = {"label": label, "seed_number": seed}
        key = book.enter("audit", params, Entry(inputs={"decode": data.decode(label)}, words=words))
        permits = p.AuditGate(permits=sorted(data.matrix.protocol.allow))
        gate = book.enter("audit-gate", permits, Entry(inputs={"audit": key}, words=words))
        book.plan.audits.append(PlannedAudit(label, seed, key, gate))
        book.guard_split(split.digest, gate)
