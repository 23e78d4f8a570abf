"""Run two processes alternately, A B A B, measure their memory, and reduce the pairs to a ratio."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from serve import READY

HERE = Path(__file__).parent
SAMPLE_SECONDS = 0.25
FALL = 0.25  # relative decrease of a ratio at which --guard reports it


class SideFailed(Exception):
    """A side ended with an error. The message contains the end of its output."""


@dataclass(frozen=True)
class Side:
    """The result of one process: the values it printed, its wall time, its peak memory in MB."""

    values: dict[str, Any]
    seconds: float
    peak_mb: float


class Comparison(NamedTuple):
    """Medians of both sides, and the ratio of ours to the baseline, above 1 if ours is better.

    spread: (largest - smallest ratio of a pair) / median ratio.
    """

    ours: float
    baseline: float
    ratio: float
    spread: float


def compare(ours: Sequence[float], baseline: Sequence[float], *, lower_is_better: bool = False) -> Comparison:
    """Reduce equally many values of both sides, pair by pair. The ratio is the median of the ratios of the pairs.

    Raises ValueError if there are no pairs, if the lengths differ, or if a value is not positive.
    """
    if not ours or len(ours) != len(baseline) or min(*ours, *baseline) <= 0:
        raise ValueError(f"pairs of positive values are needed, not {list(ours)} and {list(baseline)}")
    both = zip(ours, baseline, strict=True)
    ratios = [(b / a if lower_is_better else a / b) for a, b in both]
    middle = statistics.median(ratios)
    spread = (max(ratios) - min(ratios)) / middle
    return Comparison(statistics.median(ours), statistics.median(baseline), middle, spread)


def alternate(
    ours: Callable[[], Side],
    baseline: Callable[[], Side],
    pairs: int,
    after: Callable[[Sequence[Side], Sequence[Side]], bool] = lambda ours, baseline: True,
) -> tuple[list[Side], list[Side]]:
    """Run A B A B ..., ours first, so that a machine that slows down affects both sides. `after` is called after each
    pair with all pairs so far, and returns whether to go on."""
    done: tuple[list[Side], list[Side]] = ([], [])
    for _ in range(pairs):
        done[0].append(ours())
        done[1].append(baseline())
        if not after(*done):
            break
    return done


def fallen(measured: dict[str, float], earlier: dict[str, float]) -> list[str]:
    """Return one message per row whose ratio fell by more than a quarter. Rows that only one side has are ignored."""
    return [
        f"row {row}: the ratio fell from {earlier[row]:.2f} to {ratio:.2f}"
        for row, ratio in measured.items()
        if row in earlier and ratio < (1 - FALL) * earlier[row]
    ]


def run_side(
    module: str, arguments: Sequence[str], environment: Mapping[str, str], serving: Serving | None = None
) -> Side:
    """Run `python -m module arguments` in this folder, or give the arguments to a process that serves the module. The
    last line of the output is JSON with the values.

    Raises SideFailed.
    """
    if serving is not None:
        return serving.run(arguments)
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as log:
        process = _started(["-m", module, *arguments], environment, log)
        with Watch(process.pid) as watch:
            out, _ = process.communicate()
        return _side(module, process, out, log, began, watch)


class Serving:
    """A process that has imported the module of a side, and runs its `main` once for every list of arguments
    (`serve.py`), so that imports, the context of a GPU and the loading of its code are paid once for all pairs of a
    row. The first pair is the slowest of them."""

    def __init__(self, module: str, environment: Mapping[str, str]) -> None:
        self.module = module
        self.log = tempfile.TemporaryFile("w+")  # noqa: SIM115 (closed by end)
        self.process = _started(["serve.py", module], environment, self.log, stdin=subprocess.PIPE)

    def ready(self) -> None:
        """Return once all imports are done, or once the process has failed, which `run` reports."""
        self._output()

    def run(self, arguments: Sequence[str]) -> Side:
        """Run the side with these arguments. Raises SideFailed."""
        began = time.perf_counter()
        assert self.process.stdin is not None
        with Watch(self.process.pid) as watch:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.write(json.dumps(list(arguments)) + "\n")
                self.process.stdin.flush()
            out = self._output()
        return _side(self.module, self.process, out, self.log, began, watch)

    def end(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()
        self.log.close()

    def _output(self) -> str:
        """Return what the process prints before it is ready again, or before it ends; then it has an exit code."""
        assert self.process.stdout is not None
        lines: list[str] = []
        for line in self.process.stdout:
            if line.strip() == READY:
                return "".join(lines)
            lines.append(line)
        self.process.wait()
        return "".join(lines)


def _started(
    command: Sequence[str], environment: Mapping[str, str], log: IO[str], stdin: int | None = None
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=HERE,
        env=os.environ | environment,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )


def _side(
    module: str, process: subprocess.Popen[str], out: str, log: IO[str], began: float, watch: Watch
) -> Side:
    seconds = time.perf_counter() - began
    lines = out.strip().splitlines()
    if process.returncode or not lines:
        log.seek(0)
        said = (out + log.read())[-2000:].strip()
        raise SideFailed(f"{module} ended with exit code {process.returncode}:\n{said}")
    return Side(json.loads(lines[-1]), seconds, watch.peak_mb)


class Watch:
    """Sample the summed PSS of a process and its descendants during the `with` block; 0 if Linux does not provide
    it."""

    def __init__(self, pid: int) -> None:
        self.pid, self.peak_mb = pid, 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self.peak_mb = max(self.peak_mb, sum(map(pss_mb, family(self.pid))))


def family(pid: int) -> list[int]:
    """Return the ids of a process and its descendants."""
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                waiting += map(int, children.read_text().split())
            except OSError:  # the thread has ended
                continue
    return found


def pss_mb(pid: int) -> float:
    """Return the proportional set size of one process, in which shared pages are divided among their users."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:  # the process has ended, or belongs to another user
        return 0.0
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) / 1024
