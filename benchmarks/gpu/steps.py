"""Runs the steps of the check one after the other, each in a process that is ended at its time limit."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks" / "perf"))
from pairs import family  # noqa: E402

# A step that could run for less time than this is not started.
SHORTEST = 3.0
# A step is told this part of its time as {seconds}, so that it can end by itself with what it has.
TOLD = 0.85
# Seconds between the request to end a step and its end by force.
GRACE = 2.0
TAIL = 2000


@dataclass(frozen=True)
class Step:
    """One step of the check.

    name: as in --only. title: what it does, for the table. command: a process that prints figures as lines of JSON
    objects, or text. limit: seconds. needs: modules that must be importable. read: makes the figures of the table
    from the output, also from that of a step that was ended; `notes` and `problem` are shown in the table.
    """

    name: str
    title: str
    command: Sequence[str]
    limit: float
    needs: Sequence[str] = ()
    read: Callable[[str], Mapping[str, Any]] = field(default=lambda output: {})


def run_all(
    steps: Sequence[Step],
    limit: float,
    environment: Mapping[str, str],
    save: Callable[[list[dict[str, Any]]], None],
    words: Mapping[str, str] = MappingProxyType({}),
) -> list[dict[str, Any]]:
    """Run the steps within `limit` seconds in total. Returns one entry per step, as `run_step` does. `save` is called
    with all entries so far before the first and after every step. words: replace {word} in commands; a figure of an
    earlier step that has the name of a word is used instead. KeyboardInterrupt ends the running step, saves, and is
    raised again."""
    end, known = time.monotonic() + limit, dict(words)
    entries: list[dict[str, Any]] = []
    save(entries)
    for step in steps:
        entries.append(run_step(step, end - time.monotonic(), environment, known))
        known |= {name: str(value) for name, value in entries[-1]["figures"].items() if name in known}
        save(entries)
        if entries[-1]["status"] == "interrupted":
            raise KeyboardInterrupt
    return entries


def run_step(
    step: Step, left: float, environment: Mapping[str, str], words: Mapping[str, str] = MappingProxyType({})
) -> dict[str, Any]:
    """Run one step for at most its limit, or for `left` seconds if that is less. Returns its entry: name, title,
    status (`ok`, `failed`, `over its limit`, `interrupted`, `skipped`, `not started`), reason, seconds, figures."""
    absent = missing(step.needs, environment)
    if absent:
        return _entry(step, "skipped", f"not installed here: {', '.join(absent)}")
    seconds = min(step.limit, left)
    if seconds < SHORTEST:
        return _entry(step, "not started", "the time of the whole check is over")
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        command = list(step.command)
        for name, value in {**words, "seconds": f"{TOLD * seconds:.0f}"}.items():
            command = [word.replace(f"{{{name}}}", value) for word in command]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=os.environ | environment,
            cwd=ROOT,
            start_new_session=True,
        )
        code, ended = None, "over its limit"
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
        except KeyboardInterrupt:
            ended = "interrupted"
        finally:
            end_family(process)
        said, cried = _text(output), _text(errors)
    spent = time.monotonic() - began
    figures = _figures(step, said)
    if code is None:
        entry = _entry(step, ended, f"ended after {spent:.0f} s")
    elif code:
        entry = _entry(step, "failed", figures.get("problem") or _last_line(cried) or f"exit code {code}")
    else:
        entry = _entry(step, "ok", "")
    entry |= {"seconds": round(spent, 1), "figures": figures}
    return entry if code == 0 else entry | {"exit_code": code, "output": (said + cried)[-TAIL:]}


def missing(modules: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return the modules that the processes of the steps could not import; nothing is imported here."""
    own, paths = set(sys.path), [p for p in environment.get("PYTHONPATH", "").split(os.pathsep) if p]
    added = [path for path in paths if path not in own]
    sys.path[:0] = added
    importlib.invalidate_caches()
    try:
        return [name for name in modules if importlib.util.find_spec(name) is None]
    finally:
        del sys.path[: len(added)]


def end_family(process: subprocess.Popen[str]) -> None:
    """End a process and all its descendants, those in sessions of their own too: first on request, then by force."""
    descendants = [pid for pid in family(process.pid) if pid != process.pid]
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for pid in descendants:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    end = time.monotonic() + GRACE
    while any(map(alive, descendants)) and time.monotonic() < end:  # else they would disturb the next step
        time.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process exists and is not a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def json_lines(output: str) -> list[dict[str, Any]]:
    """Return the JSON objects among the lines of an output, of which the last may be cut off."""
    found = []
    for line in output.splitlines():
        with contextlib.suppress(ValueError):
            value = json.loads(line)
            if isinstance(value, dict):
                found.append(value)
    return found


def _figures(step: Step, output: str) -> dict[str, Any]:
    try:
        return dict(step.read(output))
    except (
        LookupError,
        TypeError,
        ValueError,
    ):  # the output of a step that was ended or failed may be anything
        return {}


def _entry(step: Step, status: str, reason: str) -> dict[str, Any]:
    return {
        "step": step.name,
        "title": step.title,
        "status": status,
        "reason": reason,
        "seconds": 0.0,
        "limit": step.limit,
        "figures": {},
    }


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read())


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
