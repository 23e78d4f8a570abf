"""Numbers and places of comparisons as words."""

from __future__ import annotations

from collections.abc import Sequence

from derm_bench.answers.model import Comparison
from derm_bench.report.data import group_title
from derm_bench.stats.verdict import shown


def place(one: Comparison) -> str:
    """Where a comparison was made: `phantom@0.1, test set external, resnet18`."""
    return f"{group_title((one.dataset, one.train_fraction, one.test_set))}, {one.classifier}"


def metric_name(metric: str) -> str:
    """A metric in a sentence: `balanced accuracy`."""
    return metric.replace("_", " ")


def signed(one: Comparison) -> str:
    """The difference with its interval: `+0.031 [+0.010, +0.052]`."""
    if one.delta is None:
        return "no difference"
    if one.ci_low is None or one.ci_high is None:
        return f"{one.delta:+.3f}"
    return f"{one.delta:+.3f} [{one.ci_low:+.3f}, {one.ci_high:+.3f}]"


def seeds(one: Comparison) -> str:
    """`5 seeds`, or `3 of 5 seeds`."""
    plural = "" if one.n_planned == 1 else "s"
    if one.n_seeds < one.n_planned:
        return f"{one.n_seeds} of {one.n_planned} seed{plural}"
    return f"{one.n_seeds} seed{'' if one.n_seeds == 1 else 's'}"


def numbers(one: Comparison) -> str:
    """The difference in a metric, its interval, p and seeds."""
    parts = [f"{metric_name(one.metric)} {signed(one)}"]
    if one.p_holm is not None:
        p = shown(one.p_holm)
        parts.append(f"p {p[0]} {p[1:]}" if p.startswith("<") else f"p = {p}")
        parts[-1] += " after Holm's correction"
    return ", ".join([*parts, seeds(one)])


def with_verdict(one: Comparison) -> str:
    """`+0.031 [+0.010, +0.052], helps`."""
    return f"{signed(one)}{f', {one.verdict}' if one.verdict else ''}"


def listed(parts: Sequence[str]) -> str:
    """The parts with semicolons, `a; b and c` being hard to read with numbers."""
    return "; ".join(parts)
