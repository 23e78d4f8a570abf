"""Toy trackers: one that keeps a diary of all it hears, one that fails, one that never comes back."""

import json
import time
from pathlib import Path

from derm_bench import hookimpl


class Diary:
    """Writes `[hook, facts]`, a line a call, into the file named by its place."""

    def __init__(self, place):
        self.path = Path(place)

    def note(self, hook, **facts):
        with self.path.open("a") as handle:
            handle.write(json.dumps([hook, facts], default=str) + "\n")

    @hookimpl
    def derm_bench_run_start(self, matrix, out, stages):
        self.note("run_start", matrix=matrix, out=out, stages=stages)

    @hookimpl
    def derm_bench_stage_finish(self, record):
        self.note("stage_finish", **record)

    @hookimpl
    def derm_bench_log(self, stage, key, step, values):
        self.note("log", stage=stage, key=key, step=step, values=values)

    @hookimpl
    def derm_bench_run_finish(self, matrix, out, statuses):
        self.note("run_finish", out=out, statuses=statuses, tables=sorted(p.name for p in out.glob("*.csv")))


class Broken(Diary):
    """Fails at whatever it is told."""

    def note(self, hook, **facts):
        raise ConnectionError("the server has gone away")


class Hanging(Diary):
    """Is busy for ever."""

    def note(self, hook, **facts):
        time.sleep(3600)


class Unable:
    """Cannot even start."""

    def __init__(self, place):
        raise PermissionError(f"no key for {place}")
