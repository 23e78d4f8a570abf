"""The machine that stages run on: devices, precision, threads. Finds devices without importing torch."""

from __future__ import annotations

import ctypes
import functools
import importlib.metadata
import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import platformdirs

from derm_bench.errors import UserError
from derm_bench.regular_files import read_regular

FEW_THREADS = 16
"""As many threads are accepted on any machine: numbers depend on them, so that those of a larger machine can be had."""

PRECISIONS = ("fp32", "tf32", "bf16")
FAST_BF16 = ("avx512_bf16", "amx_bf16")
"""Flags of processors that compute in bf16 themselves."""


@dataclass(frozen=True)
class Machine:
    """The machine that stages run on: `device` is the device type (cpu, cuda), `devices` are the devices of that type,
    `precision` and `threads` are those of a worker, and `memory` is the memory of each device in MB, if known.
    `precision_from` says in words where the precision is from. `unmeasured` is true if it was left to a measurement
    that has not been made on this machine yet. `careful` is the precision of generators that `auto` does not train in
    bf16 (`GeneratorSpec.bf16`); empty if all stages have `precision`."""

    device: str
    devices: tuple[str, ...]
    precision: str
    threads: int
    memory: Mapping[str, float] = field(default_factory=dict)
    precision_from: str = "the matrix"
    unmeasured: bool = False
    careful: str = ""


@dataclass(frozen=True)
class Wanted:
    """The machine that a user asks for: `device` as in `--device`, `precision` and `threads` as in `numerics`."""

    device: str = "auto"
    precision: str = "auto"
    threads: int = 2


def this_machine(options: object, wanted: Wanted) -> Machine:
    """The machine that this process runs on. `precision: auto` is what was measured on this kind of device, else fp32.
    Raises UserError for a device that does not exist and for a precision that the device does not have."""
    devices = _devices(wanted.device)
    kind = devices[0].partition(":")[0]
    cores = os.cpu_count() or 1
    if wanted.threads > max(FEW_THREADS, cores):
        raise UserError(
            f"numerics.threads: {wanted.threads} threads per worker, but this machine has {cores} cores",
            hint=f"write at most {max(FEW_THREADS, cores)}; 2 is the default",
        )
    precision, source, unmeasured, careful = wanted.precision, Machine.precision_from, False, ""
    if precision == "auto":
        measured = saved_profile().get(device_model(kind))
        if measured is not None and measured.precision == "tf32" and kind != "cuda":  # not by a measurement
            measured = None
        precision = measured.precision if measured else "fp32"
        source = measured.words() if measured else "auto, not measured on this machine"
        unmeasured = measured is None
        if precision == "bf16":
            careful = without_bf16(kind)
    return Machine(
        kind,
        devices,
        checked_precision(precision, kind),
        wanted.threads,
        device_megabytes(devices),
        source,
        unmeasured,
        careful,
    )


def without_bf16(device: str) -> str:
    """The precision on that type of device of generators that `auto` does not train in bf16."""
    return "tf32" if device == "cuda" else "fp32"


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


@functools.cache
def device_model(kind: str) -> str:
    """The model of the devices of a type on this machine, such as `AMD EPYC 9B14 (avx512_bf16)` or `NVIDIA H100`. On it
    depends which precision is faster."""
    if kind == "cuda" and cuda_devices():
        driver = ctypes.CDLL("libcuda.so.1" if os.name == "posix" else "nvcuda.dll")
        name = ctypes.create_string_buffer(256)
        if driver.cuDeviceGetName(name, len(name), 0) == 0:
            return name.value.decode(errors="replace")
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found = dict(
        reversed([(key.strip(), value.strip()) for key, _, value in (x.partition(":") for x in lines)])
    )
    fast = [flag for flag in FAST_BF16 if flag in found.get("flags", "").split()]
    model = found.get("model name") or platform.machine()
    return f"{model} ({', '.join(fast)})" if fast else model


PROFILE_BYTES = 2**20


@dataclass(frozen=True)
class Measured:
    """What was measured on a device: the precision to use and images per second by precision."""

    precision: str
    images_per_second: Mapping[str, float]

    def words(self) -> str:
        """`auto, measured: fp32 100, bf16 230 images/s`."""
        rates = ", ".join(f"{name} {rate:.0f}" for name, rate in self.images_per_second.items())
        return f"auto, measured: {rates} images/s"


def profile_file() -> Path:
    """The file in which the fastest precision of each model of device is saved."""
    return Path(platformdirs.user_config_dir("derm-bench")) / "profile.json"


def saved_profile() -> dict[str, Measured]:
    """What was measured, by model of device (`device_model`); empty without a measurement, and if the file is damaged
    or not a regular one."""
    try:
        content = json.loads(read_regular(profile_file(), PROFILE_BYTES))
        found = {
            str(model): Measured(
                str(entry["precision"]),
                {str(name): float(rate) for name, rate in entry["images_per_second"].items()},
            )
            for model, entry in content["devices"].items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        return {}
    return {model: measured for model, measured in found.items() if _is_possible(measured)}


def _is_possible(measured: Measured) -> bool:
    rates = measured.images_per_second
    return measured.precision in PRECISIONS and all(
        name in PRECISIONS and math.isfinite(rate) and rate >= 0 for name, rate in rates.items()
    )


def save_profile(model: str, measured: Measured) -> None:
    """Adds a measurement to the saved profile. Raises OSError if it cannot be written."""
    path = profile_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    devices = saved_profile() | {model: measured}
    text = json.dumps({"devices": {name: asdict(entry) for name, entry in devices.items()}}, indent=1)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_text(text)
    partial.replace(path)
