"""Measures which precision trains faster on this machine: `python -m derm_bench.training.probe cpu|cuda`."""

from __future__ import annotations

import itertools
import json
import sys
import time

import torch
from torch import nn

BATCH = 64
STEPS = 6
# bf16 must win clearly: a coin's toss should not change anybody's keys.
MARGIN = 1.1


def images_per_second(device: str, precision: str) -> float:
    """Training rate of a small convolutional network at 64 px, the fastest of a few steps."""
    torch.manual_seed(0)
    widths = [3, 64, 128, 256]
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Conv2d(a, b, 4, 2, 1), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * 8 * 8, 1)).to(device)
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(BATCH, 3, 64, 64, device=device).contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(net.parameters(), fused=True)
    best = float("inf")
    for _ in range(STEPS):
        _wait(device)
        began = time.perf_counter()
        with torch.autocast(device, torch.bfloat16, enabled=precision == "bf16"):
            loss = net(images).float().square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        _wait(device)
        best = min(best, time.perf_counter() - began)
    return BATCH / best


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    """Prints `{"images_per_second": {...}, "precision": ...}`."""
    device = sys.argv[1]
    rates = {precision: images_per_second(device, precision) for precision in ("fp32", "bf16")}
    chosen = "bf16" if rates["bf16"] > MARGIN * rates["fp32"] else "fp32"
    sys.stdout.write(json.dumps({"images_per_second": rates, "precision": chosen}))


if __name__ == "__main__":
    main()
