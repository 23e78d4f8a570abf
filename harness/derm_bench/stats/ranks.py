"""Rank intervals, and groups of arms that cannot be told apart, from pairwise comparisons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from derm_bench.stats.families import holm

Pair = tuple[int, int]


class Rank(NamedTuple):
    """The interval of ranks of an arm (1 is best), and its groups: letters, one for each group it belongs to."""

    low: int
    high: int
    groups: str


def ranks(
    scores: Sequence[float],
    p_values: Mapping[Pair, float | None],
    alpha: float,
    *,
    higher_is_better: bool = True,
) -> list[Rank]:
    """Return the rank interval and the groups of each arm.

    scores: one mean per arm. p_values: by pair (i, j), i < j, of every two arms; None where they could not be compared.
    Holm's correction over all pairs makes the intervals hold for all arms at once: with probability 1 - alpha no
    interval misses its rank (Mogstad et al. 2024). An arm's lowest rank is 1 + the arms that are better, its highest
    n - the arms that are worse. Two arms share a letter if they cannot be told apart (Piepho 2004).
    """
    n = len(scores)
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    corrected = dict(zip(pairs, holm([p_values.get(pair) for pair in pairs]), strict=True))
    differ = {pair for pair, p in corrected.items() if p is not None and p < alpha}
    found = []
    better = [0] * n
    worse = [0] * n
    for i, j in differ:
        first = (scores[i] > scores[j]) == higher_is_better
        up, down = (i, j) if first else (j, i)
        better[down] += 1
        worse[up] += 1
    order = sorted(range(n), key=lambda arm: -scores[arm] if higher_is_better else scores[arm])
    letters = _letters(order, differ)
    for arm in range(n):
        found.append(Rank(1 + better[arm], n - worse[arm], letters[arm]))
    return found


def _letters(order: Sequence[int], differ: set[Pair]) -> dict[int, str]:
    """The insert-and-absorb algorithm: start with one group of all, and split each group that has two arms which
    differ."""
    groups: list[frozenset[int]] = [frozenset(order)] if order else []
    for i, j in sorted(differ):
        split: list[frozenset[int]] = []
        for group in groups:
            split += [group - {i}, group - {j}] if i in group and j in group else [group]
        groups = [
            g
            for k, g in enumerate(split)
            if not any(g < o or (g == o and m < k) for m, o in enumerate(split))
        ]
    place = {arm: k for k, arm in enumerate(order)}
    groups = sorted(groups, key=lambda group: sorted(place[arm] for arm in group))
    return {arm: " ".join(_name(k) for k, group in enumerate(groups) if arm in group) for arm in order}


def _name(number: int) -> str:
    """a, b, ..., z, aa, ab, ..."""
    word = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        word = chr(ord("a") + rest) + word
    return word
