"""How fast this machine computes at the moment, for guesses of what stages take on it."""

from __future__ import annotations

import functools
import time

import numpy as np

REFERENCE = 1.05e10
"""Products of float32 per second, on one idle core of the machine that guesses are made for."""
VALUES = 2**15
"""The number of values that are multiplied at a time; they fit into the cache of a core."""
SECONDS = 0.08
"""How long they are multiplied, at least: longer than another program has a core at a time."""


@functools.cache
def slowdown() -> float:
    """How many times as long stages on the processor take here as the guesses say, at least 1: the time of products of
    numbers on one core, relative to `REFERENCE`. It is large on slow processors, and where other programs take the
    cores."""
    factor = np.ones(VALUES, np.float32)
    out = np.empty_like(factor)
    done, began = 0, time.perf_counter()
    while (spent := time.perf_counter() - began) < SECONDS:
        for _ in range(50):
            np.multiply(factor, factor, out=out)
        done += 50 * VALUES
    return max(1.0, REFERENCE * spent / done)
