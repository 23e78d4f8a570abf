"""The settings of one run of compare.py: device, precision, sizes, and how a side is started."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from material import Material
from pairs import Serving, Side, run_side
from sizes import SIZES

from derm_bench.executors.local import MALLOC, WAIT

if TYPE_CHECKING:
    from rows import Row

THREADS = 2


@dataclass
class Bench:
    """The settings of a run.

    device: a torch device string. precision: precision of our side. careful: precision of our side in rows whose
    generator is not trained in bf16 by default, if it differs. size: `full`, `quick`, or one of `sizes.SIZES`.
    folder: folder for all created files. served: whether one process of each side, which has imported everything, makes
    all runs of a row. seconds: the time after which no pair of a row is started. partly: is called after every pair
    with the line of the row so far. data: the folder of HAM10000 that row 8 reads; None for phantoms. benchopt: an
    executable, if it is neither next to this Python nor on the path.
    """

    folder: Path
    device: str = "cpu"
    precision: str = "fp32"
    careful: str = ""
    size: str = "full"
    threads: int = THREADS
    benchopt: Path | None = None
    data: Path | None = None
    served: bool = False
    seconds: float = float("inf")
    partly: Callable[[dict[str, Any]], None] | None = None
    _serving: dict[str, Serving] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.material = Material(self.folder)

    @property
    def kind(self) -> str:
        """The device type, cpu or cuda."""
        return self.device.partition(":")[0]

    def sizes(self, row: Row) -> Mapping[str, int]:
        if self.size in SIZES:
            return SIZES[self.size][row.number]
        return row.quick if self.size == "quick" else row.full

    def arguments(self, row: Row) -> list[str]:
        """Create the input files of a row and return the flags for both sides."""
        flags = {"device": self.device, "threads": self.threads, **row.arguments(self, self.sizes(row))}
        return [word for name, value in flags.items() for word in (f"--{name}", str(value))]

    def ours(self, row: Row, arguments: Sequence[str]) -> Side:
        """Run our side, with the memory allocator and the waiting threads of the workers of derm-bench."""
        return self._run(f"ours.row{row.number}", [*arguments, "--precision", self.precision_of(row)])

    def precision_of(self, row: Row) -> str:
        """The precision of our side."""
        return self.careful if self.careful and not row.bf16 else self.precision

    def baseline(self, row: Row, arguments: Sequence[str]) -> Side:
        return self._run(f"baselines.row{row.number}", arguments)

    @contextlib.contextmanager
    def serving(self, row: Row) -> Iterator[None]:
        """Within the block, one process of each side of a row has imported everything and serves all of its runs, if
        `served` is set and the sides of this row do their work themselves."""
        if self.served and row.itself:
            modules = [f"{side}.row{row.number}" for side in ("ours", "baselines")]
            self._serving |= {module: Serving(module, self._environment(module)) for module in modules}
        try:
            for process in self._serving.values():
                process.ready()
            yield
        finally:
            for process in self._serving.values():
                process.end()
            self._serving.clear()

    def executable(self, name: str) -> Path | None:
        """Return the path of a program: the given one, or next to this Python, or on the path."""
        if name == "benchopt" and self.benchopt:
            return self.benchopt.absolute()
        found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
        return Path(found) if found else None

    def missing(self, row: Row) -> list[str]:
        """Return the requirements of the baseline of a row that are not installed."""
        return [
            name
            for name in row.needs
            if not (self.executable(name) if name == "benchopt" else importlib.util.find_spec(name))
        ]

    def _environment(self, module: str) -> dict[str, str]:
        """Return the environment variables of a side."""
        names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment = dict.fromkeys(names, str(self.threads))
        if self.kind == "cpu":
            environment["CUDA_VISIBLE_DEVICES"] = ""
        if module.startswith("ours."):
            environment |= WAIT | MALLOC if self.kind == "cpu" else {}
            environment["DERM_BENCH_CACHE"] = str(self.folder / "cache")
            environment["XDG_CONFIG_HOME"] = str(self.folder / "config")
        return environment

    def _run(self, module: str, arguments: Sequence[str]) -> Side:
        side = run_side(module, arguments, self._environment(module), self._serving.get(module))
        side.values["wall_seconds"] = side.seconds
        return side


@functools.cache
def card(device: str) -> str:
    """Return the name of a CUDA device. torch is asked in a process of its own, as a context of this process would take
    memory of the device while the sides are measured."""
    code = "import sys, torch; print(torch.cuda.get_device_name(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", code, device], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def machine(bench: Bench) -> dict[str, Any]:
    """Return a description of the machine and the versions that the figures apply to."""
    cpu = platform.processor() or platform.machine()
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), cpu)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": cpu,
        "cores": cores,
        "threads": bench.threads,
        "device": card(bench.device) if bench.kind == "cuda" else "cpu",
        "precision": bench.precision,
        **({"precision of StyleGAN2": bench.careful} if bench.careful else {}),
        "python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
        "load": round(os.getloadavg()[0], 1),
        "size": bench.size,
    }
