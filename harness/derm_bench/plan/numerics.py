"""The numerics block of a key: device type, precision, threads. Finds devices without importing torch."""

from __future__ import annotations

import ctypes
import functools
import importlib.metadata
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from derm_bench.errors import UserError
from derm_bench.matrix.model import Numerics


@dataclass(frozen=True)
class Machine:
    """What stages run on: device type, the devices of that type, precision and threads of a worker."""

    device: str
    devices: tuple[str, ...]
    precision: str
    threads: int


def resolve_machine(numerics: Numerics, device: str = "auto") -> Machine:
    """Settles `--device` and `precision: auto` (the saved profile, else fp32)."""
    devices = _devices(device)
    kind = devices[0].partition(":")[0]
    precision = numerics.precision
    if precision == "auto":
        precision = saved_profile().get(kind, "fp32")  # type: ignore[assignment]
    return Machine(kind, devices, precision, numerics.threads)


def _devices(wanted: str) -> tuple[str, ...]:
    if wanted == "cpu":
        return ("cpu",)
    found = cuda_devices()
    if wanted == "auto":
        return tuple(f"cuda:{k}" for k in range(found)) or ("cpu",)
    if wanted != "cuda" and not (wanted.startswith("cuda:") and wanted[5:].isdigit()):
        raise UserError(f"no device is named '{wanted}'", hint="auto, cpu, cuda or cuda:N")
    if not found:
        raise UserError(
            f"--device {wanted}: no usable CUDA device was found",
            hint="try --device cpu; `derm-bench doctor` tells more",
        )
    if wanted == "cuda":
        return tuple(f"cuda:{k}" for k in range(found))
    if int(wanted[5:]) >= found:
        raise UserError(
            f"--device {wanted}: there are {found} CUDA devices", hint=f"cuda:0 to cuda:{found - 1}"
        )
    return (wanted,)


@functools.cache
def cuda_devices() -> int:
    """How many CUDA devices torch would see; 0 where torch is a CPU build or there is no driver."""
    try:
        if "+cpu" in importlib.metadata.version("torch"):
            return 0
        driver = ctypes.CDLL("libcuda.so.1" if os.name == "posix" else "nvcuda.dll")
    except (OSError, importlib.metadata.PackageNotFoundError):
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def device_megabytes(devices: Sequence[str]) -> dict[str, float]:
    """Memory in MB of each CUDA device among `devices`; empty for the CPU."""
    found = {}
    for name in devices:
        if name.startswith("cuda") and cuda_devices():
            driver = ctypes.CDLL("libcuda.so.1" if os.name == "posix" else "nvcuda.dll")
            device, size = ctypes.c_int(0), ctypes.c_size_t(0)
            index = int(name.partition(":")[2] or 0)
            if driver.cuDeviceGet(ctypes.byref(device), index) == 0:
                total = getattr(driver, "cuDeviceTotalMem_v2", driver.cuDeviceTotalMem)
                if total(ctypes.byref(size), device) == 0:
                    found[name] = size.value / 2**20
    return found


def profile_file() -> Path:
    """Where `doctor --probe` saves the measured precision a device type."""
    return Path(platformdirs.user_config_dir("derm-bench")) / "profile.json"


def saved_profile() -> dict[str, str]:
    """`{device type: fp32 | bf16}`; empty where nothing was measured."""
    try:
        content = json.loads(profile_file().read_text())
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in content.get("precision", {}).items() if v in ("fp32", "bf16")}
