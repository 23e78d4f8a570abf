"""The worker process: reads jobs as JSON lines, performs them one after the other, and writes events as JSON lines.

It is started as `python -m derm_bench.worker.serve EVENTS_FD DEVICE PARENT_PID`. Output of plugins goes to stdout and
stderr, separate from the events. The worker ends when the parent closes its stdin or dies.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derm_bench.plugins import Plugins
from derm_bench.stages.runtime import prepare
from derm_bench.worker.perform import perform
from derm_bench.worker.readonly import drop_write_override
from derm_bench.worker.replacement import ReplacementCheck
from derm_bench.worker.source import SourceCheck

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serves jobs until the parent has ended."""
    events_fd, device, parent = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    _die_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    events = os.fdopen(events_fd, "w", buffering=1)
    files = [Path(file) for file in json.loads(os.environ.get("DERM_BENCH_PLUGIN_FILES", "[]"))]
    plugins = Plugins(builtins_only=os.environ.get("DERM_BENCH_BUILTINS_ONLY") == "1", files=files)
    # Importing torch takes seconds. It is done before the first job, so that no stage's time includes it.
    prepare(device, int(os.environ["OMP_NUM_THREADS"]))
    gc.freeze()  # what was imported stays: a collection that looks at it again takes a tenth of a second
    check, source = ReplacementCheck(device), SourceCheck(_start_of_process())
    for line in sys.stdin:
        job = json.loads(line)
        key = job["key"]

        def report(progress: Mapping[str, Any], key: str = key) -> None:
            _send(events, {"event": "progress", "key": key, "payload": progress})

        drop_write_override(Path(job["store"]))
        _send(events, {"event": "started", "key": key, "payload": {}})
        record = perform(job, device, plugins, report, source)
        sys.stdout.flush()
        sys.stderr.flush()
        why = check.reason(record)
        _send(events, {"event": "finished", "key": key, "payload": record, "retire": why})
        if why:
            return


def _start_of_process() -> float:
    """When this process was started, in seconds since the epoch; now, where the system does not say."""
    try:
        ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError):
        age = time.process_time()
    return time.time() - max(0.0, age)


def _send(events: Any, message: Mapping[str, Any]) -> None:
    events.write(json.dumps(message) + "\n")
    events.flush()


def _die_with(parent: int) -> None:
    """Asks the kernel to kill this process when its parent dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


if __name__ == "__main__":
    main()
