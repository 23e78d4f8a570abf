"""The executor: jobs as files, run by `python -m batch.executor FILE`."""

import json
import subprocess
import sys
from pathlib import Path

from derm_bench.executors.base import Event, message_of
from derm_bench.machine import Machine, this_machine


def machine(options, wanted):
    """That of the queue, whatever this one has."""
    if not options.gpu:
        return this_machine(options, wanted)
    precision = "fp32" if wanted.precision == "auto" else wanted.precision
    return Machine("cuda", ("cuda:0",), precision, wanted.threads, {"cuda:0": 80_000.0})


class BatchExecutor:
    def __init__(self, options, settings):
        self.options, self.settings, self._running = options, settings, {}

    def free(self):
        return 2 - len(self._running)

    def submit(self, job):
        folder = Path(self.settings.store) / "batch" / self.options.queue
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{job.key}.json"
        file.write_text(json.dumps(message_of(job, self.settings)))
        self._running[job.key] = (subprocess.Popen([sys.executable, "-m", "batch.executor", file]), file)

    def poll(self, timeout):
        ended = []
        for key, (process, file) in list(self._running.items()):
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                continue
            del self._running[key]
            ended.append(Event("finished", key, json.loads(file.with_suffix(".record").read_text())))
        return ended

    def stop(self):
        for process, _ in self._running.values():
            process.kill()
        return []


if __name__ == "__main__":
    from derm_bench.plugins import Plugins
    from derm_bench.worker.perform import perform

    path = Path(sys.argv[1])
    record = perform(json.loads(path.read_text()), "cpu", Plugins(), lambda progress: None)
    path.with_suffix(".record").write_text(json.dumps(record))
