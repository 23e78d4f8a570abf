"""Question 10: whether image metrics predict the gain, as a rank correlation over generators."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from derm_bench.answers.gains import grouped
from derm_bench.answers.model import CANNOT_TELL, PARTLY, SETTLED, Answer, Comparison
from derm_bench.answers.tables import Finished
from derm_bench.answers.verdicts import with_needs
from derm_bench.answers.words import listed, metric_name, place
from derm_bench.matrix.questions import QUESTIONS, compared
from derm_bench.report.data import number, same, unique
from derm_bench.stats.rank_correlation import FEWEST_PAIRS, RankCorrelation, rank_correlation

NOTE = (
    "Positive: the better the metric, the larger the gain. Intervals are over generators, and not corrected for the "
    "number of metrics."
)


def prediction(finished: Finished) -> Answer:
    """The rank correlation of each image metric with the gain, with its interval."""
    found = finished.compared(compared(finished.data.matrix, 10))
    values, sentences = [], []
    for own in grouped(found, lambda c: (c.dataset, c.train_fraction, c.test_set, c.classifier)).values():
        known = [one for one in own if one.delta is not None]
        rows = [row for name in _metrics(finished, own[0]) for row in [_correlation(finished, name, known)]]
        values += rows
        sentences.append(_sentence(own, known, rows))
    decided = [row["ci_low"] is not None and (row["ci_low"] > 0 or row["ci_high"] < 0) for row in values]
    status = SETTLED if decided and all(decided) else PARTLY if any(decided) else CANNOT_TELL
    answer = Answer(10, QUESTIONS[10].text, status, sentences, (), found, values)
    needs = with_needs(finished, answer)
    if status == SETTLED:
        return needs
    return Answer(10, answer.text, status, sentences, _needs(finished, values), found, values)


def _metrics(finished: Finished, one: Comparison) -> list[str]:
    """The image metrics of a data set in summary.csv."""
    return unique(
        row["metric"]
        for row in finished.data.summary
        if not row["classifier"]
        and row["dataset"] == one.dataset
        and same(row["train_fraction"], one.train_fraction)
    )


def _correlation(finished: Finished, metric: str, known: Sequence[Comparison]) -> dict[str, Any]:
    means = {
        (row["dataset"], row["strategy"]): number(row["mean"])
        for row in finished.data.summary
        if row["metric"] == metric
        and not row["classifier"]
        and any(same(row["train_fraction"], one.train_fraction) for one in known)
    }
    higher = finished.data.higher_is_better(metric)
    sign = -1.0 if higher is False else 1.0
    gain_sign = 1.0 if finished.data.higher_is_better(finished.data.primary) is not False else -1.0
    pairs = [
        (sign * value, gain_sign * one.delta)
        for one in known
        if one.delta is not None and (value := means.get((one.dataset, one.arm))) is not None
    ]
    result = (
        rank_correlation([a for a, _ in pairs], [b for _, b in pairs], finished.data.alpha)
        if pairs
        else RankCorrelation(math.nan, math.nan, math.nan, 0)
    )
    numbers = {"rho": result.rho, "ci_low": result.low, "ci_high": result.high}
    first = {"dataset": known[0].dataset, "classifier": known[0].classifier} if known else {}
    return {
        **first,
        "metric": metric,
        "directed": higher is not None,
        "n_generators": result.n,
        **{name: value if math.isfinite(value) else None for name, value in numbers.items()},
    }


def _sentence(own: Sequence[Comparison], known: Sequence[Comparison], rows: Sequence[dict[str, Any]]) -> str:
    head = f"{place(own[0])}: "
    left = (
        f" {len(own) - len(known)} generators without a gain are left out." if len(known) < len(own) else ""
    )
    if not rows:
        return f"{head}the run has no image metrics of its generators.{left}"
    parts = [_one(row) for row in rows]
    clear = [row["metric"] for row in rows if row["ci_low"] is not None and row["ci_low"] > 0]
    meaning = (
        f"{', '.join(clear)} predict{'s' if len(clear) == 1 else ''} the gain"
        if clear
        else "no metric is shown to predict the gain"
    )
    return (
        f"{head}{meaning}. Rank correlation with the gain in {metric_name(own[0].metric)} over {len(known)} "
        f"generators: {listed(parts)}. {NOTE}{left}"
    )


def _one(row: dict[str, Any]) -> str:
    name = row["metric"] if row["directed"] else f"{row['metric']} (without a direction)"
    if row["rho"] is None:
        return f"{name} unknown (all gains or all values are equal)"
    if row["ci_low"] is None:
        return f"{name} {row['rho']:+.2f} (no interval)"
    return f"{name} {row['rho']:+.2f} [{row['ci_low']:+.2f}, {row['ci_high']:+.2f}]"


def _needs(finished: Finished, values: Sequence[dict[str, Any]]) -> list[str]:
    counts = [row["n_generators"] for row in values]
    fewest = min(counts, default=0)
    found = []
    if not values:
        found.append("image metrics: list them under `metrics`, or leave the key out for the _domain family")
    if fewest < FEWEST_PAIRS:
        found.append(
            f"at least {FEWEST_PAIRS} generators with a gain and a value of each metric; it has {fewest}"
        )
    else:
        strengths = [abs(row["rho"]) for row in values if row["rho"] is not None]
        weakest = f" (the weakest here is {min(strengths):.2f})" if strengths else ""
        needed = _smallest(fewest, finished.data.alpha)
        found.append(
            f"more generators: with {fewest}, only a rank correlation above {needed:.2f} is "
            f"told from none{weakest}"
        )
    if absent := finished.absent(compared(finished.data.matrix, 10)):
        found.append(f"the strategies {', '.join(absent)}, which this run leaves out")
    return found


def _smallest(n: int, alpha: float) -> float:
    """The smallest rank correlation of n pairs whose interval does not contain 0."""
    from scipy.special import ndtri

    z, low, high = float(ndtri(1 - alpha / 2)), 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        enough = math.atanh(min(middle, 1 - 1e-12)) > z * math.sqrt((1 + middle**2 / 2) / (n - 3))
        low, high = (low, middle) if enough else (middle, high)
    return high
