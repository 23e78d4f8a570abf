"""The provenance part of a manifest: command, versions, machine, and git commit."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from derm_bench._version import __version__
from derm_bench.plan.distributions import distribution_of, version_of
from derm_bench.plan.keys import PROTOCOL_VERSION
from derm_bench.plan.model import Plan
from derm_bench.plugins.local_files import LOCAL
from derm_bench.runner.environment import with_required


def provenance_of(plan: Plan, command: Sequence[str], selection: str = "") -> dict[str, Any]:
    """Command, selection, versions, machine and commit of a run, as in the manifest."""
    used = _distributions(plan)
    return {
        "derm_bench": __version__,
        "protocol_version": PROTOCOL_VERSION,
        "command": list(command),
        "selection": selection,
        "distributions": used,
        "environment": with_required(used),
        "machine": {
            "device": plan.machine.device,
            "precision": plan.machine.precision,
            "precision_from": plan.machine.precision_from,
            **({"precision_of_other_generators": plan.machine.careful} if plan.machine.careful else {}),
            "threads": plan.machine.threads,
            "python": platform.python_version(),
            "system": platform.platform(),
            "processor": platform.processor() or platform.machine(),
        },
        "git": git_state(plan.matrix.file.parent),
    }


def _distributions(plan: Plan) -> dict[str, str]:
    versions: dict[str, str] = {distribution_of("derm_bench") or "derm-bench": __version__}
    for stage in plan.stages.values():
        versions |= stage.shared["numerics"]["versions"]
        for used in stage.shared["code"]["plugins"]:
            name = used["distribution"]
            versions[name] = LOCAL if name.endswith(".py") else version_of(name)
    return dict(sorted(versions.items()))


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit and dirty flag of the git repository that contains `folder`; None outside of one."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True
        )
        return done.stdout.strip()

    try:
        return {
            "commit": git("rev-parse", "HEAD"),
            "dirty": bool(git("status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.SubprocessError):
        return None
