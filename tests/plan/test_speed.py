"""Guesses are for this machine as it is at the moment; records and probes of it need no correction."""

import pytest

from derm_bench.forecast import speed


@pytest.mark.parametrize(("steps", "least", "most"), [(1, 1.0, 1.0), (1000, 5.0, float("inf"))])
def test_guesses_are_longer_where_the_processor_is_slow_and_never_shorter(monkeypatch, steps, least, most):
    """The clock goes on by `steps` times the time of the products on the machine of the guesses."""
    speed.slowdown.cache_clear()
    clock = iter(k * steps * 50 * speed.VALUES / speed.REFERENCE / 10 for k in range(10**6))
    monkeypatch.setattr(speed.time, "perf_counter", lambda: next(clock))
    try:
        assert least <= speed.slowdown() <= most
    finally:
        speed.slowdown.cache_clear()
