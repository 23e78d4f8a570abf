"""What all tests share: a third party's plugin package on disk, small matrices, and the command line."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from derm_bench.interrupts import ENDING
from derm_bench.machine import Measured, cuda_devices, device_model, save_profile

# Before torch is imported. Threads that spin while they wait for each other make a step on a busy machine ten times as
# long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

TOYS = Path(__file__).parent / "toys"
ROOT = Path(__file__).parent.parent


def pytest_collection_modifyitems(config, items):
    """Tests of real data, a browser or a GPU are skipped, with the reason, where that is absent."""
    reasons = {
        "ham": None if os.environ.get("DERM_BENCH_DATA") else "DERM_BENCH_DATA names no HAM10000 folder",
        "gpu": None if Path("/dev/nvidia0").exists() or cuda_devices() else "no CUDA device",
    }
    for item in items:
        for mark, reason in reasons.items():
            if reason and item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def parsed(tmp_path_factory):
    """A cache that the tests of a process share: it has the digests of files, by all that shows a change, and what was
    read in source files, by their content. Reading the source again takes seconds in each process that a test starts.
    Tests of the cache, and of data that they change, have one of their own."""
    return tmp_path_factory.mktemp("parsed")


@pytest.fixture(scope="session")
def _configurations(tmp_path_factory):
    return tmp_path_factory.mktemp("configurations")


@pytest.fixture(autouse=True)
def _own_places(tmp_path, parsed, _configurations, monkeypatch):
    """No test touches the user's store, cache or configuration, nor measures precision (fp32 is what was measured)."""
    monkeypatch.setenv("DERM_BENCH_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("DERM_BENCH_CACHE", str(parsed))
    # Numbered folders of pytest would be slow: for each, it looks at those of all tests before.
    monkeypatch.setenv("XDG_CONFIG_HOME", tempfile.mkdtemp(dir=_configurations))
    for kind in ("cpu", "cuda"):
        save_profile(device_model(kind), Measured("fp32", {"fp32": 100.0}))


@pytest.fixture(autouse=True)
def _own_signals():
    """Every test begins with the usual handlers of signals, whatever the shell or a test before it has set."""
    handlers = {number: signal.getsignal(number) for number in ENDING}
    for number in ENDING:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def _own_modules(tmp_path_factory):
    """Forgets what a test imported from its own folders, so that a later test may have a module of the same name."""
    before = set(sys.modules)
    yield
    temporary = tmp_path_factory.getbasetemp()
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(temporary):
            del sys.modules[name]


@pytest.fixture
def toys(monkeypatch):
    """Installs the toy plugins for this process and those that it starts."""
    monkeypatch.syspath_prepend(str(TOYS))
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(TOYS), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    )


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str


MAIN = "from derm_bench.cli import main; main()"
# Figures take as long as all else in a run of toys: most tests of a run go without.
WITHOUT_FIGURES = """
from derm_bench.runner import run
analyse = run.analyse
def without_figures(execution, *others):
    execution.plan.analysis.pop("figures", None)
    return analyse(execution, *others)
run.analyse = without_figures
"""
MAIN_WITHOUT_FIGURES = f"{WITHOUT_FIGURES}\n{MAIN}"


def main_here(words: list[str], figures: bool = False, inline: bool = True) -> int:
    """Calls the command line in this process, stages and all; the exit code. A run draws figures where `figures`, and
    its stages run in this process where `inline`, unless an executor is named."""
    from derm_bench.cli import main
    from derm_bench.runner import run

    analyse = run.analyse

    def without_figures(execution, *others):
        execution.plan.analysis.pop("figures", None)
        return analyse(execution, *others)

    handlers = {number: signal.getsignal(number) for number in ENDING}
    if inline and words[0] == "run" and "--executor" not in words:
        words = [*words, "--executor", "inline"]
    with pytest.MonkeyPatch.context() as patched:
        if words[0] == "run" and not figures:
            patched.setattr(run, "analyse", without_figures)
        try:
            main(words)
        except SystemExit as end:
            return int(end.code or 0)
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
    return 0


@pytest.fixture
def derm_bench(tmp_path, toys):
    """Calls the command line in a process of its own, in tmp_path; figures as for `main_here`."""

    def call(*arguments: str | Path, env: dict[str, str] | None = None, figures: bool = False) -> Ran:
        code = MAIN if figures or arguments[0] != "run" else MAIN_WITHOUT_FIGURES
        command = [sys.executable, "-c", code, *map(str, arguments)]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=tmp_path, env=os.environ | (env or {}), timeout=200
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def in_process(tmp_path, toys, monkeypatch, capfd):
    """Calls the command line in this process, stages and all (`main_here`): seconds faster than `derm_bench`, for
    what needs no worker of its own."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path, figures: bool = False, inline: bool = True) -> Ran:
        capfd.readouterr()
        code = main_here([str(word) for word in arguments], figures, inline)
        printed = capfd.readouterr()
        return Ran(code, printed.out, printed.err)

    return call


def toy_matrix(**changes) -> dict:
    """A matrix of toys that runs in seconds: three strategies, one classifier, two seeds."""
    return {
        "name": "toy",
        "dataset": {"name": "toy-blobs", "size": 8, "images": 90},
        "seeds": [0, 1],
        "budget": {"updates": 12},
        "strategies": [
            {"name": "real-only"},
            {"name": "flipped", "augment": ["hflip"]},
            {
                "name": "mean-balance",
                "generator": {"name": "toy-mean", "budget": {"updates": 4}},
                "synthetic": {"balance": True},
            },
        ],
        "classifiers": [{"name": "toy-centroid"}],
        "metrics": [],
    } | changes


@pytest.fixture
def write_matrix(tmp_path):
    """Writes a matrix into tmp_path and returns its path."""

    def write(content: dict | str | None = None, name: str = "matrix.yaml", **changes) -> Path:
        path = tmp_path / name
        text = (
            content
            if isinstance(content, str)
            else yaml.safe_dump(content or toy_matrix(**changes), sort_keys=False)
        )
        path.write_text(text)
        return path

    return write


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))
