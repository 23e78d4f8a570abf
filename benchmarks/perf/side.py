"""The common parts of all sides: the command line, the start, the clock, and the output line."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def arguments(doc: str | None, **extra: Any) -> argparse.Namespace:
    """Parse the flags of a side and set the number of torch threads. `extra` adds flags by name with defaults."""
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
    given = parser.parse_args()
    # A side that only starts other processes does not import torch, to save memory.
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(given.threads)
    return given


class Clock:
    """Measures the seconds from its creation, and from the end of the warm-up, to the end of the last update. What a
    fit does after it, such as new statistics of BatchNorm, is not measured."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.began = self.warm = now(device)
        self.end: float | None = None

    def warmed_up(self) -> None:
        self.warm = now(self.device)

    def ended(self) -> None:
        """Stop after the last update. Without it, `rates` stops."""
        self.end = now(self.device)

    def rates(self, images: int, images_after_warmup: int) -> dict[str, float]:
        """Return images per second: `rate` from the first byte read to the last update, `steady` after the warm-up."""
        end = now(self.device) if self.end is None else self.end
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
