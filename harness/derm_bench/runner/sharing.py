"""Which pictures of a run may be passed on, by the licences of the data and by how the pictures were made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from derm_bench.errors import UserError
from derm_bench.licences import is_open
from derm_bench.plugins import Plugins
from derm_bench.rundir.audits import AuditFinding
from derm_bench.rundir.directory import RunFiles
from derm_bench.rundir.samples import Sheet


@dataclass(frozen=True)
class Sharing:
    """Decides for one run. `wanted`: whether sheets of synthetic images are passed on; None asks the licences.

    Sheets of real images are passed on only under an open licence. Sheets of synthetic ones are as well under an open
    licence, or if they are wanted and their generator was trained: without a training, samples may be real images.
    Images that were made elsewhere are not, because nobody here knows their licence.
    """

    files: RunFiles
    plugins: Plugins
    wanted: bool | None = None

    def licence(self, dataset: str) -> str:
        """The licence of a data set; empty if none is stated."""
        return str(self.files.manifest.get("datasets", {}).get(dataset, {}).get("licence", ""))

    def may_share(self, sheet: Sheet) -> bool:
        """Whether a sheet of samples/ may be passed on."""
        free = is_open(self.licence(sheet.dataset))
        if sheet.real:
            return self.wanted is not False and free and is_open(sheet.licence)
        if self.wanted is False or sheet.strategy in self._elsewhere:
            return False
        return free or (self.wanted is True and sheet.strategy in self._trained)

    def may_share_finding(self, dataset: str, finding: AuditFinding) -> bool:
        """Whether the contact sheet of a finding, which shows real images, may be passed on."""
        return finding.sheet is None or (self.wanted is not False and is_open(self.licence(dataset)))

    @cached_property
    def _trained(self) -> set[str]:
        return {name for name, spec in self._generators() if spec.trains}

    @cached_property
    def _elsewhere(self) -> set[str]:
        return {name for name, spec in self._generators() if spec.provenance and not spec.trains}

    def _generators(self) -> Iterator[tuple[str, Any]]:
        """The strategies whose generator is installed here, with its spec."""
        for strategy in self.files.manifest["matrix"]["strategies"]:
            use = strategy.get("generator") or {}
            try:
                if use:
                    yield strategy["name"], self.plugins.get("generator", use["name"])
            except UserError:
                continue
