"""The settings of one run of compare.py: device, precision, sizes, and how a side is started."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from material import Material
from pairs import HERE, Side, run_side

from derm_bench.executors.local import MALLOC

if TYPE_CHECKING:
    from rows import Row

THREADS = 2


@dataclass
class Bench:
    """The settings of a run.

    device: a torch device string. precision: precision of our side. quick: whether to use small sizes. folder: folder
    for all created files. benchopt: an executable, if it is neither next to this Python nor on the path.
    """

    folder: Path
    device: str = "cpu"
    precision: str = "fp32"
    quick: bool = False
    threads: int = THREADS
    benchopt: Path | None = None

    def __post_init__(self) -> None:
        self.material = Material(self.folder)

    @property
    def kind(self) -> str:
        """The device type, cpu or cuda."""
        return self.device.partition(":")[0]

    def sizes(self, row: Row) -> Mapping[str, int]:
        return row.quick if self.quick else row.full

    def arguments(self, row: Row) -> list[str]:
        """Create the input files of a row and return the flags for both sides."""
        flags = {"device": self.device, "threads": self.threads, **row.arguments(self, self.sizes(row))}
        return [word for name, value in flags.items() for word in (f"--{name}", str(value))]

    def ours(self, row: Row, arguments: Sequence[str]) -> Side:
        """Run our side, with the memory allocator of the workers of derm-bench."""
        tuned = MALLOC if self.kind == "cpu" else {}
        places = {
            "DERM_BENCH_CACHE": str(self.folder / "cache"),
            "XDG_CONFIG_HOME": str(self.folder / "config"),
        }
        arguments = [*arguments, "--precision", self.precision]
        return self._run(f"ours.row{row.number}", arguments, tuned | places)

    def baseline(self, row: Row, arguments: Sequence[str]) -> Side:
        return self._run(f"baselines.row{row.number}", arguments, {})

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

    def _run(self, module: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Side:
        threads = dict.fromkeys(
            ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(self.threads)
        )
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if self.kind == "cpu" else {}
        side = run_side(module, arguments, {**threads, **hidden, **environment})
        side.values["wall_seconds"] = side.seconds
        return side


def probe(kind: str) -> str:
    """Return the precision that trains faster on this machine, as `doctor --probe` measures it, without saving it."""
    done = subprocess.run(
        [sys.executable, "-m", "derm_bench.training.probe", kind],
        capture_output=True,
        text=True,
        check=True,
        cwd=HERE,
        env=os.environ | MALLOC,
    )
    return str(json.loads(done.stdout)["precision"])


def machine(bench: Bench) -> dict[str, Any]:
    """Return a description of the machine and the versions that the figures apply to."""
    import torch

    cpu = platform.processor() or platform.machine()
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), cpu)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": cpu,
        "cores": cores,
        "threads": bench.threads,
        "device": torch.cuda.get_device_name(bench.device) if bench.kind == "cuda" else "cpu",
        "precision": bench.precision,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "load": round(os.getloadavg()[0], 1),
        "quick": bench.quick,
    }
