"""The machine that stages run on: devices, precision, threads. Finds devices without importing torch."""

from __future__ import annotations

import ctypes
import functools
import importlib.metadata
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import platformdirs

from derm_bench.errors import UserError

FEW_THREADS = 16
"""As many threads are accepted on any machine: numbers depend on them, so that those of a larger machine can be had."""

PRECISIONS = ("fp32", "tf32", "bf16")


@dataclass(frozen=True)
class Machine:
    """The machine that stages run on: `device` is the device type (cpu, cuda), `devices` are the devices of that type,
    `precision` and `threads` are those of a worker, and `memory` is the memory of each device in MB, if known."""

    device: str
    devices: tuple[str, ...]
    precision: str
    threads: int
    memory: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """The machine that a user asks for: `device` as in `--device`, `precision` and `threads` as in `numerics`."""

    device: str = "auto"
    precision: str = "auto"
    threads: int = 2


def this_machine(options: object, wanted: Wanted) -> Machine:
    """The machine that this process runs on. `precision: auto` is the saved profile, else fp32. Raises UserError for a
    device that does not exist and for a precision that the device does not have."""
    devices = _devices(wanted.device)
    kind = devices[0].partition(":")[0]
    cores = os.cpu_count() or 1
    if wanted.threads > max(FEW_THREADS, cores):
        raise UserError(
            f"numerics.threads: {wanted.threads} threads per worker, but this machine has {cores} cores",
            hint=f"write at most {max(FEW_THREADS, cores)}; 2 is the default",
        )
    precision = saved_profile().get(kind, "fp32") if wanted.precision == "auto" else wanted.precision
    return Machine(
        kind, devices, checked_precision(precision, kind), wanted.threads, device_megabytes(devices)
    )


def checked_precision(precision: str, device: str) -> str:
    """Returns the precision. Raises UserError if devices of that type do not have it."""
    if precision == "tf32" and device != "cuda":
        raise UserError(
            f"numerics.precision: tf32 needs a CUDA device, but stages run on: {device}",
            hint="write fp32, bf16 or auto",
        )
    return precision


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
            hint="use --device cpu; `derm-bench doctor` shows more",
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
    """The number of CUDA devices that torch can use; 0 for a CPU build of torch or without a driver."""
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
    """The file in which `doctor --probe` saves the fastest precision of each device type."""
    return Path(platformdirs.user_config_dir("derm-bench")) / "profile.json"


def saved_profile() -> dict[str, str]:
    """The measured `{device type: precision}`; empty without a measurement."""
    try:
        content = json.loads(profile_file().read_text())
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in content.get("precision", {}).items() if v in PRECISIONS}
