"""The common parts of all sides: the command line, the start, the clock, and the output line."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

WAITS = "DERM_BENCH_SIDE_WAITS"
"""Environment variable that makes a side import everything, print "ready", and read its flags from stdin as JSON."""


def arguments(doc: str | None, **extra: Any) -> argparse.Namespace:
    """Parse the flags of a side and set the number of torch threads. `extra` adds flags by name with defaults. Under
    `WAITS`, the flags come from stdin, after everything has been imported."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--precision", choices=["fp32", "tf32", "bf16"], default="fp32", help="baselines take none"
    )
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--updates", type=int, default=50)
    parser.add_argument("--warmup", type=int, default=3, help="updates before the steady rate is measured")
    parser.add_argument(
        "--record", type=Path, help="ours: file to write batches, initial weights and losses to"
    )
    parser.add_argument(
        "--replay", type=Path, help="baselines: file of --record to train on; prints the losses"
    )
    for name, default in extra.items():
        kind = Path if default is None else type(default)
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, default=default)
    given = parser.parse_args(_told() if os.environ.pop(WAITS, "") else None)
    # A side that only starts other processes does not import torch, to save memory.
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(given.threads)
    return given


def _told() -> list[str]:
    """Say that everything is imported, and wait for the flags. An empty line means that the side is not needed."""
    _touch_gpu()
    print("ready", flush=True)
    line = sys.stdin.readline()
    if not line.strip():
        raise SystemExit(0)
    return list(json.loads(line))


def _touch_gpu() -> None:
    """Create the context of the first GPU and load the libraries of convolutions, which takes seconds in a fresh
    process and would be measured otherwise."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.ones(2, 8, 16, 16, device="cuda:0", dtype=dtype, requires_grad=True)
        torch.nn.functional.conv2d(x, torch.ones(8, 8, 3, 3, device="cuda:0", dtype=dtype)).sum().backward()
    torch.cuda.synchronize()


class Clock:
    """Measures the seconds since its creation and since the end of the warm-up."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.began = self.warm = now(device)

    def warmed_up(self) -> None:
        self.warm = now(self.device)

    def rates(self, images: int, images_after_warmup: int) -> dict[str, float]:
        """Return images per second: `rate` from the first byte read to the last update, `steady` after the warm-up."""
        end = now(self.device)
        return {"rate": images / (end - self.began), "steady": images_after_warmup / (end - self.warm)}


def now(device: str) -> float:
    """Return the current time after all pending work of the device is done."""
    if device.startswith("cuda"):
        import torch

        torch.cuda.synchronize()
    return time.perf_counter()


def processor_seconds() -> float:
    """Return the time that all processors have worked for this process and for its children that have ended. Other work
    on the machine lengthens it less than the time that passes."""
    return sum(os.times()[:4])


def report(**values: Any) -> None:
    """Print the line that compare.py reads."""
    print(json.dumps(values))
