"""Wall time of commands, for both sides of row 10."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

HELP_RUNS = 5


def timed(command: list[str], folder: Path, **environment: str) -> float:
    """Run a command in `folder` and return its seconds. Raises SystemExit with the end of its output if it fails."""
    log = folder / "log.txt"
    began = time.perf_counter()
    with log.open("w") as handle:
        done = subprocess.run(
            command, cwd=folder, env=os.environ | environment, stdout=handle, stderr=handle, check=False
        )
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{log.read_text()[-2000:]}")
    return seconds


def timed_help(command: list[str], folder: Path, **environment: str) -> float:
    """Return the seconds of `command --help`, the fastest of five after a first run."""
    runs = [timed([*command, "--help"], folder, **environment) for _ in range(1 + HELP_RUNS)]
    return min(runs[1:])
