"""The selection of a matrix that a run directory holds, the name of its folder, and what another one would lose."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from derm_bench.errors import UserError
from derm_bench.rundir.planned import RunStages

READABLE_BYTES = 40
"""The maximum length of the readable part of a name: with that of a matrix, at most 200, it fits a file system."""


@dataclass(frozen=True)
class Selection:
    """The flags that select from a matrix or change it: `--preset`, `--set` and `--only`, as they were written."""

    presets: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    only: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the selection in folders and manifests; empty for the whole matrix as it is written.

        A preset alone has its own name, and several have theirs in the order in which they are applied: `paper,smoke`.
        Other selections have the shortened flags and eight digits of a digest of the whole ones, so that different
        selections have different names: `smoke,lr=0.5-1f2e3d4c`.
        """
        chosen = sorted(set(self.only))
        readable = _plain(",".join([*self.presets, *map(_short, self.sets), *chosen]))
        if not self.presets and not self.sets and not chosen:
            return ""
        if not self.sets and not chosen and readable.split(",") == list(self.presets) and all(self.presets):
            return readable
        first = self.presets[0] if self.presets else None
        exact = json.dumps([first, self.sets, chosen, *self.presets[1:]])
        return f"{readable}-{hashlib.sha256(exact.encode(errors='surrogatepass')).hexdigest()[:8]}"

    def folder(self, matrix: str) -> str:
        """The name of the default run directory of a matrix: `toy`, or `toy@smoke` for a selection."""
        return f"{matrix}@{self.name}" if self.name else matrix


def _short(assignment: str) -> str:
    """A `--set` with the last part of its key path, and of its value if that is a path of files."""
    path, _, value = assignment.partition("=")
    parts = path.strip().split(".")
    named = ".".join(parts[-2:] if parts[-1].isdecimal() else parts[-1:])
    return f"{named}={value.strip().rstrip('/').rpartition('/')[2]}"


def _plain(text: str) -> str:
    """Plain characters, at most `READABLE_BYTES` bytes of UTF-8."""
    plain = "".join(c if c.isalnum() or c in "-_.+=," else "_" for c in text)
    return plain.encode(errors="replace")[:READABLE_BYTES].decode(errors="ignore").rstrip(".")


Finished = Collection[tuple[str, str]]
"""The rows of results.csv and fidelity.csv that are done: (what the row is about, key of its stage)."""


def refuse_loss(
    out: str, manifest: Mapping[str, Any], selection: str, planned: Callable[[], RunStages]
) -> Sequence[str]:
    """Return the names of the finished rows of a run directory, whose manifest is given, that the `planned` stages do
    not have any more, because the matrix was edited. Raise UserError if rows of another selection would disappear from
    its tables."""
    theirs = manifest.get("selection", "")
    finished = set(_finished(manifest))
    if not finished:
        return []
    rows = _rows(planned())
    if theirs == selection:
        return sorted({name for name, key in finished if key} - {name for name, _ in rows})
    lost = sorted(finished - set(rows))
    if not lost:
        return []
    counted = f"{len(lost)} finished row{'s' * (len(lost) != 1)}"
    held = f"of the selection '{theirs}'" if theirs else "of the whole matrix"
    raise UserError(
        f"{out} holds {counted} {held} that this selection does not have, for example {lost[0][0]}",
        hint="leave out --out, so that each selection gets a folder of its own, or use another --out",
    )


def _finished(manifest: Mapping[str, Any]) -> Finished:
    plan = manifest.get("plan")
    if plan is None:  # the run was killed before it wrote its tables
        return []
    try:
        stages = RunStages.load(plan["stages"], manifest["matrix"])
        return [(name, key) for name, key in _rows(stages) if key not in plan["statuses"]]
    except (UserError, KeyError, TypeError):
        return [("rows of another version of derm-bench", "")]


def _rows(stages: RunStages) -> Sequence[tuple[str, str]]:
    rows = [
        (f"{cell.name} on {name}", key) for cell in stages.cells for name, key in cell.evaluations.items()
    ]
    for score in stages.scores:
        at = score.at
        rows.append((f"the scores of {at.strategy} [{at.class_name}] seed {at.generator_seed}", score.key))
    return rows
