"""Measures which precision trains faster on this machine: `python -m derm_bench.training.probe cpu|cuda`."""

from __future__ import annotations

import itertools
import json
import sys
import time
from collections.abc import Mapping

import torch
from torch import nn

from derm_bench.run import Batch
from derm_bench.training.capture import WARM_UP, CapturedStep, PlainStep
from derm_bench.training.optim import make_adam
from derm_bench.training.precision import allow_tf32, autocast

BATCH = 64
STEPS = 6
# A less exact precision must be clearly faster, so that noise in the measurement does not change stage keys.
MARGIN = 1.1


def images_per_second(device: str, precision: str) -> float:
    """Return the training rate of a small convolutional network at 64 px, from the fastest of a few steps. Sets TF32
    according to `precision`."""
    torch.manual_seed(0)
    allow_tf32(precision == "tf32")
    widths = [3, 64, 128, 256]
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Conv2d(a, b, 4, 2, 1), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * 8 * 8, 1)).to(device)
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(BATCH, 3, 64, 64, device=device).contiguous(memory_format=torch.channels_last)
    optimizer = make_adam(net.parameters(), 1e-3)

    def step(batch: Batch) -> dict[str, torch.Tensor]:
        with autocast(device, precision):
            scores = net(batch.images)
        loss = scores.float().square().mean()
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        return {"loss": loss.detach()}

    # As the engine trains: on a GPU a step is replayed as a graph, where launches cost nothing. Of eager steps, whose
    # launches take longest, those in low precision are the slowest.
    perform = CapturedStep(step, device) if device == "cuda" else PlainStep(step)
    rows = torch.ones(BATCH, 1, device=device)
    batch = Batch(images, rows, rows[:, 0], {}, 0)
    for _ in range(WARM_UP + 1 if device == "cuda" else 0):
        perform(batch, {})
    best = float("inf")
    for _ in range(STEPS):
        _wait(device)
        began = time.perf_counter()
        perform(batch, {})
        _wait(device)
        best = min(best, time.perf_counter() - began)
    return BATCH / best


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def precisions(device: str) -> tuple[str, ...]:
    """Return the precisions that are measured on a device type, the most exact first."""
    return ("fp32", "tf32", "bf16") if device == "cuda" else ("fp32", "bf16")


def fastest(rates: Mapping[str, float]) -> str:
    """Return the precision to use, given `rates` (images per second by precision, the most exact first). A less exact
    precision is used only if it is faster by `MARGIN` than the best of the previous ones."""
    chosen, *others = rates
    for precision in others:
        if rates[precision] > MARGIN * rates[chosen]:
            chosen = precision
    return chosen


def main() -> None:
    """Print `{"images_per_second": {...}, "precision": ...}`."""
    device = sys.argv[1]
    rates = {precision: images_per_second(device, precision) for precision in precisions(device)}
    sys.stdout.write(json.dumps({"images_per_second": rates, "precision": fastest(rates)}))


if __name__ == "__main__":
    main()
