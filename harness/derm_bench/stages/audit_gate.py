"""Stage `audit-gate`: fails for a leak that no permit of the matrix covers, so that nothing is trained on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from derm_bench.audit.report import AUDIT_FILE, refuse_stops

if TYPE_CHECKING:
    from derm_bench.plan import params as p
    from derm_bench.stages.context import StageContext


def audit_gate(context: StageContext) -> dict[str, Any]:
    """Raises UserError if the audit found a stop that no permit covers. Writes nothing."""
    params: p.AuditGate = context.params
    document = json.loads((context.inputs["audit"] / AUDIT_FILE).read_text())
    refuse_stops(document["findings"], params.permits)
    return {}
