"""The two epochs of row 8, each in a new process, for both sides."""

from __future__ import annotations

import json
import subprocess
import sys

from side import report


def twice(module: str, images: int) -> None:
    """Run `module --epoch` twice with the flags of this process, and print the first rate and both times."""
    command = [sys.executable, "-m", module, *sys.argv[1:], "--epoch", "1"]
    first, warm = (
        json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        for _ in "12"
    )
    report(
        rate=images / first["seconds"],
        first_seconds=first["seconds"],
        warm_seconds=warm["seconds"],
        first_processor_seconds=first["processor_seconds"],
        warm_processor_seconds=warm["processor_seconds"],
    )
