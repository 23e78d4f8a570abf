"""Measures which precision trains faster on this machine: `python -m derm_bench.training.probe cpu|cuda [THREADS]`."""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

from derm_bench.run import Batch
from derm_bench.training.capture import WARM_UP, CapturedStep, PlainStep
from derm_bench.training.optim import make_adam
from derm_bench.training.precision import allow_tf32, autocast

BATCH = 64
SMALL_BATCH = 4
ROUNDS = 9
SECONDS = 6.0
# A less exact precision must be clearly faster, so that noise in the measurement does not change stage keys.
MARGIN = 1.15
# A precision that takes this many times as long for a few images is not measured any further.
HOPELESS = 2.0

Step = Callable[[], float]


def make_step(device: str, precision: str, batch_size: int) -> Step:
    """Return a function that trains a small convolutional network at 64 px for one update in `precision`, and returns
    the seconds that it took. It has been called often enough that the next call takes as long as any later one."""
    torch.manual_seed(0)
    widths = [3, 64, 128, 256]
    layers: list[nn.Module] = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Conv2d(a, b, 4, 2, 1), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * 8 * 8, 1)).to(device)
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = torch.randn(batch_size, 3, 64, 64, device=device).contiguous(memory_format=torch.channels_last)
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
    rows = torch.ones(batch_size, 1, device=device)
    batch = Batch(images, rows, rows[:, 0], {}, 0)

    def timed() -> float:
        allow_tf32(precision == "tf32")
        _wait(device)
        began = time.perf_counter()
        perform(batch, {})
        _wait(device)
        return time.perf_counter() - began

    for _ in range(WARM_UP + 1 if device == "cuda" else 1):
        timed()
    return timed


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def worth_measuring(device: str) -> tuple[str, ...]:
    """Return the precisions to measure on a device type, the most exact first: on a CPU, without bf16 if that is far
    slower than fp32 for a few images, as it is on processors that have to emulate it."""
    if device == "cuda":
        return ("fp32", "tf32", "bf16")
    few = {name: make_step(device, name, SMALL_BATCH) for name in ("fp32", "bf16")}
    seconds = {name: min(step() for _ in range(2)) for name, step in few.items()}
    return ("fp32",) if seconds["bf16"] > HOPELESS * seconds["fp32"] else ("fp32", "bf16")


def race(steps: Mapping[str, Step], rounds: int, seconds: float = SECONDS) -> dict[str, list[float]]:
    """Return the seconds of each step in every round. All steps take turns in a round, so that what else the machine
    does falls on all of them. At least three rounds are run; a further one is begun only within `seconds`."""
    began = time.perf_counter()
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for k in range(rounds):
        if k >= 3 and time.perf_counter() - began > seconds:
            break
        for name, step in steps.items():
            taken[name].append(step())
    return taken


def fastest(taken: Mapping[str, Sequence[float]]) -> str:
    """Return the precision to use, given the seconds of each round (the most exact precision first). A less exact one
    is used only if, in the median of the rounds, it is faster by `MARGIN` than the best of the previous ones."""
    chosen, *others = taken
    for precision in others:
        ratios = [slow / fast for slow, fast in zip(taken[chosen], taken[precision], strict=True)]
        if statistics.median(ratios) > MARGIN:
            chosen = precision
    return chosen


def main() -> None:
    """Print `{"images_per_second": {...}, "precision": ...}`."""
    device = sys.argv[1]
    if len(sys.argv) > 2:
        torch.set_num_threads(int(sys.argv[2]))
    taken = race({name: make_step(device, name, BATCH) for name in worth_measuring(device)}, ROUNDS)
    rates = {name: BATCH / statistics.median(seconds) for name, seconds in taken.items()}
    sys.stdout.write(json.dumps({"images_per_second": rates, "precision": fastest(taken)}))


if __name__ == "__main__":
    main()
