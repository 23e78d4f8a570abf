"""Row 8's frame on both sides: an epoch served by a fresh process, and again by another one."""

from __future__ import annotations

import json
import subprocess
import sys

from side import report


def twice(module: str, images: int) -> None:
    """Runs `module --epoch` twice with this process's flags and prints the first rate and both times."""
    command = [sys.executable, "-m", module, *sys.argv[1:], "--epoch", "1"]
    first, warm = (
        json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        for _ in "12"
    )
    report(rate=images / first["seconds"], first_seconds=first["seconds"], warm_seconds=warm["seconds"])
