"""Plans `extra_data`: images without labels that a generator is fitted on beside the training images of a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from derm_bench.matrix.model import Cell, GeneratorUse, Matrix
from derm_bench.plan.data import DataPlanner
from derm_bench.plan.held_out import held_out
from derm_bench.specs import GeneratorSpec
from derm_bench.splits import PlannedSplit
from derm_bench.stage_names import EXTRA
from derm_bench.yamlio import KeyPath


class Extra(NamedTuple):
    """Extra images as parameters and inputs of a fit, and their number."""

    params: Mapping[str, Any] = {}
    inputs: Mapping[str, str] = {}
    images: int = 0


NOTHING = Extra()


class ExtraData:
    """Enters the extra images of generators into a plan, and refuses those that validation or test have."""

    def __init__(self, matrix: Matrix, data: DataPlanner) -> None:
        self.matrix, self.data, self.plan = matrix, data, data.plan
        # (data set, split) of a cell and the label of extra data without a held-out image.
        self._unseen: set[tuple[str, int, str]] = set()

    def of_fit(
        self, cell: Cell, use: GeneratorUse, spec: GeneratorSpec, fits: Sequence[Sequence[str]], at: KeyPath
    ) -> Extra:
        """The extra images of each fit of a generator; `fits` are the classes of each. Raises UserError for a generator
        that cannot use them, and for images that are validation or test images of the cell."""
        entry = use.extra_data
        if entry is None:
            return NOTHING
        place: KeyPath = (*at, "extra_data")
        self._refuse_unusable(use, spec, fits, place)
        label = self.data.other(entry, self.data.entries[cell.dataset], place, "extra")
        found = self.data.selection(label)
        self._refuse_seen(cell, label, place)
        split = PlannedSplit(
            found.ids, found.labels, found.groups, ("train",) * len(found.ids), found.classes
        )
        # A data set of the matrix has splits of its own, which its tables show.
        shown = label not in {each.label for each in self.matrix.datasets}
        if shown:
            self.plan.splits[label, 0] = split
        self.plan.data[split.digest] = split.csv
        self.data.audit_outside(cell, label, "extra", split)
        params = {
            "split": split.digest,
            "classes": split.classes,
            "clean": self.data.cleaning(label),
            "seen": "keep" if self._allowed else "refuse",
        }
        return Extra(params, {EXTRA: self.data.decode(label)}, len(found.ids))

    @property
    def _allowed(self) -> bool:
        return "generator_sees_test" in self.matrix.protocol.allow

    def _refuse_unusable(
        self, use: GeneratorUse, spec: GeneratorSpec, fits: Sequence[Sequence[str]], at: KeyPath
    ) -> None:
        by_default = spec.trains and not spec.conditional and spec.conditions_on == "none"
        usable = by_default if spec.unlabelled is None else spec.unlabelled
        if not usable or spec.derives:
            hint = "leave `extra_data` out, or use an unconditional generator that samples from noise"
            raise self.matrix.error(f"'{use.name}' cannot be fitted on images without labels", at, hint)
        if use.options.balance:
            message = "`balance` draws all classes equally often, and extra images have no class"
            raise self.matrix.error(message, at, "leave `balance` of the generator out")
        if len(fits) > 1 and not spec.conditional:
            groups = ", ".join("+".join(group) for group in fits)
            message = f"'{use.name}' is fitted {len(fits)} times ({groups}), and each fit would get all extra images"
            raise self.matrix.error(message, at, "write scope: pooled, or name one class: classes: [...]")

    def _refuse_seen(self, cell: Cell, label: str, at: KeyPath) -> None:
        place = (cell.dataset, cell.split_seed, label)
        if place in self._unseen:
            return
        self._unseen.add(place)
        held = held_out(self.data, cell.dataset, cell.split_seed)
        contents = self.data.fingerprints[label]
        seen = sorted(name for name in self.data.selection(label).ids if contents[name] in held)
        if seen:
            message = f"{len(seen)} of its images, {seen[0]} among them, are validation or test images"
            message += f" of '{cell.dataset}' (split {cell.split_seed})"
            if self._allowed:
                self.plan.warnings.append(f"permitted by generator_sees_test: {label}: {message}")
                return
            hint = "leave them out, or permit it: protocol: {name: paper, allow: [generator_sees_test]}"
            raise self.matrix.error(message, at, hint)
