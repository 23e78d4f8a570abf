"""Plans the audit of a data set under a split, and the gate that nothing trains before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from derm_bench.plan import params as p
from derm_bench.plan.book import Entry, StageBook
from derm_bench.plan.model import PlannedAudit, PlannedOutsideAudit
from derm_bench.splits import PlannedSplit
from derm_bench.stage_names import OUTSIDE


class Outsiders(NamedTuple):
    """Images from elsewhere: the label of their data set, their use (test or extra), their split, and the rules of
    their cleaning."""

    label: str
    use: str
    split: PlannedSplit
    clean: Mapping[str, Any]


def enter_audit(
    book: StageBook, place: tuple[str, int], view: p.View, decode: str, known: Mapping[str, str], licence: str
) -> None:
    """Enters the audit of a planned split, and makes the stages that read images under it wait for its gate.

    place: label of the data set and seed of the split. known: the group of each image, where the data set knows it.
    """
    split = book.plan.splits[place]
    groups = _noted_groups(book, split, known)
    params = p.Audit(**p.as_dict(view), known_groups=groups, licence=licence)
    words = {"label": place[0], "seed_number": place[1]}
    key = book.enter("audit", params, Entry(inputs={"decode": decode}, words=words))
    permits = p.AuditGate(permits=sorted(book.plan.matrix.protocol.allow))
    gate = book.enter("audit-gate", permits, Entry(inputs={"audit": key}, words=words))
    book.plan.audits.append(PlannedAudit(*place, key, gate))
    book.guard_split(split.digest, gate)


def enter_outside_audit(
    book: StageBook,
    place: tuple[str, int],
    view: p.View,
    decodes: tuple[str, str],
    other: Outsiders,
    known: Mapping[str, str],
) -> None:
    """Enters the audit of images from elsewhere beside a planned split. Nothing waits for it: what it finds are
    warnings.

    place: label of the data set and seed of the split. decodes: the stages that decode the data set and the images from
    elsewhere. known: the group of each image, where the data set knows it.
    """
    name = f"{other.label} beside {place[0]}"
    if any((done.dataset, done.split_seed) == (name, place[1]) for done in book.plan.outside_audits):
        return
    theirs = {
        "split": other.split.digest,
        "classes": list(other.split.classes),
        "size": view.size,
        "clean": dict(other.clean),
        "select_on_test": False,
    }
    groups = _noted_groups(book, book.plan.splits[place], known)
    params = p.AuditOutside(**p.as_dict(view), use=other.use, other=theirs, known_groups=groups)
    words = {"label": place[0], "seed_number": place[1], "other": other.label}
    key = book.enter(
        "audit-outside", params, Entry(inputs={"decode": decodes[0], OUTSIDE: decodes[1]}, words=words)
    )
    book.plan.outside_audits.append(PlannedOutsideAudit(name, place[1], key))


def _noted_groups(book: StageBook, split: PlannedSplit, known: Mapping[str, str]) -> str | None:
    """The digest of the known groups that the split does not have, which become data of the plan; None if there are
    none."""
    others = _other_groups(split, known)
    if not others:
        return None
    content = json.dumps(others).encode()
    groups = hashlib.sha256(content).hexdigest()
    book.plan.data[groups] = content
    return groups


def _other_groups(split: PlannedSplit, known: Mapping[str, str]) -> dict[str, str]:
    """The known groups of the images that the split puts into others."""
    return {
        name: known[name]
        for name, group in zip(split.ids, split.groups, strict=True)
        if known.get(name, group) != group
    }
