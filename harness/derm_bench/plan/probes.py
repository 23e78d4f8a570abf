"""The parameters of small versions of stages, from which probes forecast the time of a plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from derm_bench.matrix.model import PERMITS
from derm_bench.plan import params as p
from derm_bench.plan.amounts import MadeSmall


def small_view(params: Any, small: MadeSmall) -> Any:
    return replace(params, split=small.split(params.split), fraction=1.0, clean={}, select_on_test=False)


def small_decode(params: p.Decode, small: MadeSmall) -> p.Decode:
    return replace(params, images=small.images(params.images), unreadable=1.0)


def small_gate(params: p.AuditGate, small: MadeSmall) -> p.AuditGate:
    return replace(params, permits=PERMITS)


def small_fit(params: p.Fit, small: MadeSmall) -> p.Fit:
    return replace(small_view(params, small), updates=small.updates, snapshots=None, extra={})


def small_sample(params: p.Sample, small: MadeSmall) -> p.Sample:
    return replace(small_view(params, small), n=small.samples, snapshot=None)


def small_filter(params: p.Filter, small: MadeSmall) -> p.Filter:
    """The parameters of a filter that grades the samples of a probe and keeps one of them."""
    return replace(params, n=1, snapshot=None)


def small_train(params: p.Train, small: MadeSmall) -> p.Train:
    """The parameters of a training on real images alone, since an update costs the same, and without evaluations, which
    would take longer than the few updates of a probe."""
    view = small_view(params, small)
    return replace(view, updates=small.updates, val="held_out", holdout=0.0, replace_real=False)


def small_evaluate(params: p.Evaluate, small: MadeSmall) -> p.Evaluate:
    """The parameters of an evaluation on the test part of the split, since an image takes the same time wherever it is
    from."""
    return replace(small_view(params, small), test={})
