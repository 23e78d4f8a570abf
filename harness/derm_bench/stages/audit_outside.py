"""Stage `audit-outside`: looks for what an external test set, or the extra images of a generator, share with the split
that they are used with."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from derm_bench.audit.findings import by_severity
from derm_bench.audit.outside import USES, outside_findings
from derm_bench.audit.report import AUDIT_FILE
from derm_bench.stage_names import OUTSIDE
from derm_bench.stages.audited import audited
from derm_bench.stages.decoded import decoded_of

if TYPE_CHECKING:
    from derm_bench.plan import params as p
    from derm_bench.stages.context import StageContext


def audit_outside(context: StageContext) -> dict[str, Any]:
    """Writes audit.json, the findings."""
    params: p.AuditOutside = context.params
    view = SimpleNamespace(**params.other)
    theirs = replace(context, params=view, inputs={"decode": context.inputs[OUTSIDE]})
    known = json.loads(context.planned(params.known_groups)) if params.known_groups else {}
    own, others = audited(decoded_of(context), known), audited(decoded_of(theirs), {})
    found = by_severity(
        outside_findings(
            own,
            others,
            USES[params.use],
            lambda done, total: context.report({"done": done, "total": total}),
            context.machine.threads,
        )
    )
    document = {
        "images": len(others),
        "size": int(others.pixels.shape[1]),
        "findings": [one.as_dict() | {"sheet": None} for one in found],
    }
    (context.out / AUDIT_FILE).write_text(json.dumps(document, indent=1))
    return {"images": len(others), "warning": [one.code for one in found if one.severity == "warning"]}
