"""Kills a run at random instants, resumes it each time, and compares what comes out with an undisturbed run.

    python tests/kills.py --kills 50 --seed 0 [--signals] [--matrix benchmarks/quickstart.yaml --preset smoke]

Half of the kills hit the parent, half a worker: with SIGKILL, or with `--signals` with a mixture of SIGKILL, SIGTERM,
SIGINT, SIGQUIT, SIGHUP, and SIGSTOP followed by SIGCONT. A matrix that is done before all kills are spent starts again
in an empty store: the last round is left to finish and is compared, as is every round that finished. Every file of the
run directory is compared, times and memory aside. Exits 1 and says what differs where anything does.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import hashlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import yaml

from derm_bench.store.store import CORRUPT

TOYS = Path(__file__).parent / "toys"
MAIN = "from derm_bench.cli import main; main()"
# What may differ between two runs that came to the same: times and memory.
MEASURED = (
    "generator_seconds",
    "generator_seconds_shared",
    "train_seconds",
    "eval_seconds",
    "peak_memory_mb",
    "peak_device_mb",
)
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGSTOP)
INTERRUPTED = 130
# Of one life, from its start to the next kill, or a share of an undisturbed run if that is longer: imports, planning,
# workers, stages and tables all lie in it.
LIFE_SECONDS = (0.1, 3.5)
LIFE_SHARE = 0.6
PATIENCE_SECONDS = 900.0

# Generators, classifiers and stages of every kind, each long enough to be hit.
MATRIX = {
    "name": "kills",
    "dataset": {"name": "toy-blobs", "size": 8, "images": 90},
    "seeds": [0],
    "budget": {"updates": 12},
    "strategies": [
        {"name": "real-only"},
        {
            "name": "mean-balance",
            "generator": {"name": "toy-mean", "budget": {"updates": 4}, "seconds": 0.3},
            "synthetic": {"balance": True},
        },
    ],
    "classifiers": [{"name": "toy-centroid", "seconds": 0.3}],
    "metrics": [],
    "numerics": {"threads": 1},
}


@dataclass
class Story:
    """What happened to one matrix under fire. `problems` is empty where nothing was lost or done twice. `signals` are
    those that are sent; `may_end_as` are the exit codes that the last of them allows."""

    folder: Path
    signals: tuple[signal.Signals, ...] = (signal.SIGKILL,)
    may_end_as: tuple[int, ...] = ()
    longest_life: float = LIFE_SECONDS[1]
    kills: Counter[str] = field(default_factory=Counter)
    rounds: int = 0
    lives: int = 0
    problems: list[str] = field(default_factory=list)


def under_fire(
    folder: Path,
    kills: int,
    seed: int,
    matrix: Path | None = None,
    flags: tuple[str, ...] = (),
    code: str = MAIN,
    signals: tuple[signal.Signals, ...] = (signal.SIGKILL,),
) -> Story:
    """Runs a matrix undisturbed, then under `kills` kills; `folder` takes all stores and run directories. `code` is
    the Python that runs the command line."""
    story, rng = Story(folder, signals), random.Random(seed)
    if matrix is None:
        matrix = folder / "matrix.yaml"
        matrix.write_text(yaml.safe_dump(MATRIX))
    start = functools.partial(_start, matrix, flags=flags, code=code)
    began = time.monotonic()
    _wait(start(folder / "calm"), story)
    story.longest_life = max(LIFE_SECONDS[1], LIFE_SHARE * (time.monotonic() - began))
    wanted = contents(folder / "calm")
    while not story.rounds or story.kills.total() < kills:
        place = folder / f"round{story.rounds}"
        story.rounds += 1
        _one_round(start, place, kills, story, rng)
        story.problems += [f"{place.name}: {what}" for what in differences(wanted, contents(place))]
        story.problems += [f"{place.name}: {what}" for what in flaws(place / "store")]
        print(
            f"{place.name}: {story.kills.total()} of {kills} kills, {len(story.problems)} problems",
            flush=True,
        )
    return story


def _one_round(
    start: Callable[[Path], subprocess.Popen[str]], place: Path, kills: int, story: Story, rng: random.Random
) -> None:
    """Kills and resumes until the kills are spent or the matrix is done; what is left of it goes undisturbed."""
    while story.kills.total() < kills:
        process = start(place)
        _shoot(process, kills, story, rng)
        _bury(process, story)
        story.problems += [f"{place.name}, after a kill: {what}" for what in flaws(place / "store")]
        if process.returncode == 0:
            return
        # 1: stages that lost their workers are failed rows, which the next life tries again.
        if process.returncode not in (1, *story.may_end_as):
            story.problems.append(f"{place.name}: exit code {process.returncode}: {_said(process)}")
    _wait(start(place), story)


def _shoot(process: subprocess.Popen[str], kills: int, story: Story, rng: random.Random) -> None:
    """Signals workers, and at last the parent, at random instants, until the run ends or the kills are spent."""
    story.may_end_as = ()
    while story.kills.total() < kills:
        try:
            process.wait(rng.uniform(LIFE_SECONDS[0], story.longest_life))
            return
        except subprocess.TimeoutExpired:
            found = workers_of(process.pid)
        target = rng.choice(found) if found and rng.random() < 0.6 else process.pid
        number = rng.choice(story.signals) if len(story.signals) > 1 else story.signals[0]
        # Until Python runs and the command line has started, a signal does what it does to any process.
        listens = number not in (signal.SIGKILL, signal.SIGSTOP) and catches(process.pid, signal.SIGTERM)
        try:
            os.kill(target, number)
            if number == signal.SIGSTOP:
                time.sleep(rng.uniform(0.02, 0.5))
                os.kill(target, signal.SIGCONT)
        except ProcessLookupError:
            continue
        story.kills["parent" if target == process.pid else "worker"] += 1
        if target == process.pid and number != signal.SIGSTOP:
            story.may_end_as = (INTERRUPTED,) if listens else (-number,)
            return


def catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    caught = next((int(line.split()[1], 16) for line in lines if line.startswith("SigCgt:")), 0)
    return bool(caught >> (number - 1) & 1)


def _start(matrix: Path, place: Path, flags: tuple[str, ...], code: str) -> subprocess.Popen[str]:
    place.mkdir(exist_ok=True)
    command = [sys.executable, "-c", code, "run", str(matrix)]
    command += ["--out", str(place / "out"), "--store", str(place / "store"), *flags]
    paths = os.pathsep.join(filter(None, [str(TOYS), os.environ.get("PYTHONPATH", "")]))
    # The manifest has the commit of the folder of the matrix, which may change while this script runs.
    environment = os.environ | {"PYTHONPATH": paths, "GIT_DIR": str(place / "none")}
    log = (place / "log.txt").open("a")
    with log:
        return subprocess.Popen(command, stdout=log, stderr=log, text=True, env=environment, cwd=place)


def _wait(process: subprocess.Popen[str], story: Story) -> None:
    """Lets a run finish undisturbed."""
    _bury(process, story)
    if process.returncode != 0:
        story.problems.append(f"undisturbed, but exit code {process.returncode}: {_said(process)}")


def _bury(process: subprocess.Popen[str], story: Story) -> None:
    """Waits for the parent's end and looks for workers that outlive it."""
    process.wait(PATIENCE_SECONDS)
    story.lives += 1
    deadline = time.monotonic() + 10.0
    while (left := workers_of(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    if left:
        story.problems.append(f"workers {left} outlived their parent")


def _said(process: subprocess.Popen[str]) -> str:
    """The last words of a run, which its log holds."""
    place = Path(process.args[process.args.index("--store") + 1]).parent  # type: ignore[union-attr, index]
    return (place / "log.txt").read_text()[-500:]


def workers_of(parent: int) -> list[int]:
    """The living workers that were started by a process; zombies do not count."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if b"derm_bench.worker.serve" in words and str(parent).encode() in words:
            found.append(int(path.parent.name))
    return found


def contents(place: Path) -> dict[str, object]:
    """What must not depend on kills: every file of the run directory, without measurements and what is made of them:
    digests of files in the manifest, and the numbers in the text of reports, which come from the tables."""
    out, found = place / "out", {}
    for path in (path for path in out.rglob("*") if path.is_file()):
        name = path.relative_to(out).as_posix()
        if name == "results.csv":
            results = pd.read_csv(path, dtype=str, keep_default_na=False)
            found[name] = results.drop(columns=list(MEASURED)).to_csv()
        elif name == "manifest.json":
            manifest = json.loads(path.read_text())
            manifest |= {"command": [], "files": sorted(manifest["files"])}
            found[name] = json.dumps(manifest, sort_keys=True)
        elif name.startswith("report."):
            # The command line names the folder, relative to that of the matrix; Markdown escapes its underscores.
            text = path.read_text().replace("\\_", "_").replace(f"{place.name}/", "")
            found[name] = re.sub(r"[0-9a-f]{64}|\d+(,\d{3})*(\.\d+)?", "#", text)
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def differences(wanted: dict[str, object], found: dict[str, object]) -> list[str]:
    """Files that are missing, are too many, or differ from those of the undisturbed run."""
    lost = [f"{name} is missing" for name in sorted(wanted.keys() - found.keys())]
    more = [f"{name} is in no undisturbed run" for name in sorted(found.keys() - wanted.keys())]
    return [*lost, *more] + [
        f"{name} differs from the undisturbed one"
        for name in sorted(wanted.keys() & found.keys())
        if wanted[name] != found[name]
    ]


def flaws(store: Path) -> list[str]:
    """Stages done twice, and outputs that are not whole."""
    problems = []
    for path in store.glob("records/*/*.jsonl"):
        records = [json.loads(line) for line in path.read_text().splitlines()]
        done = [record["attempt"] for record in records if record["status"] == "done"]
        document = store / "objects" / path.stem[:2] / path.stem / "stage.json"
        if records[-1]["status"] == CORRUPT:  # the run itself has found it and set it aside
            continue
        if len(done) > 1:
            problems.append(f"stage {records[-1]['title']} was done {len(done)} times")
        elif done and json.loads(document.read_text())["attempt"]["attempt"] != done[0]:
            problems.append(
                f"stage {records[-1]['title']} is the output of another attempt than the one done"
            )
    for folder in store.glob("objects/*/*"):
        problems += [f"object {folder.name[:12]}: {what}" for what in _incomplete(folder)]
    return problems


def _incomplete(folder: Path) -> list[str]:
    """What is missing from, strange in or changed in one published output."""
    document = folder / "stage.json"
    if not document.is_file():
        return ["has no stage.json"]
    digests = json.loads(document.read_text())["files"]
    there = {p.relative_to(folder).as_posix(): p for p in folder.rglob("*") if p.is_file() and p != document}
    problems = [f"{name} is not listed" for name in there.keys() - digests.keys()]
    for name, digest in digests.items():
        if name not in there:
            problems.append(f"{name} is missing")
        elif hashlib.sha256(there[name].read_bytes()).hexdigest() != digest:
            problems.append(f"{name} is not what was published")
    return problems


def main() -> int:
    """Prints what happened; 1 where anything was lost, changed or done twice."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--matrix", type=Path, help="instead of a small one of toys")
    parser.add_argument("--preset", help="of that matrix")
    parser.add_argument("--keep", type=Path, help="an empty folder that keeps all stores and run directories")
    parser.add_argument(
        "--signals", action="store_true", help="a mixture of signals instead of SIGKILL alone"
    )
    given = parser.parse_args()
    flags = ("--preset", given.preset) if given.preset else ()
    with contextlib.ExitStack() as stack:
        folder = given.keep or stack.enter_context(tempfile.TemporaryDirectory())
        began = time.monotonic()
        matrix = given.matrix.absolute() if given.matrix else None
        signals = SIGNALS if given.signals else SIGNALS[:1]
        story = under_fire(Path(folder), given.kills, given.seed, matrix, flags, signals=signals)
        print(
            f"{dict(story.kills)} killed in {story.lives} lives and {story.rounds} rounds,"
            f" {time.monotonic() - began:.0f} s; {len(story.problems)} problems"
        )
    for problem in story.problems:
        print(f"  {problem}")
    return 1 if story.problems else 0


if __name__ == "__main__":
    sys.exit(main())
