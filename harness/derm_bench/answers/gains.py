"""Questions about how a gain changes: 4 (amounts), 6 (test sets), 7 (classes) and 9 (pretraining)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from derm_bench.answers.model import CANNOT_TELL, PARTLY, SETTLED, Answer, Comparison, status_of
from derm_bench.answers.tables import Finished
from derm_bench.answers.verdicts import with_needs
from derm_bench.answers.words import listed, metric_name, place, seeds, signed, with_verdict
from derm_bench.matrix.questions import QUESTIONS, amount, compared, is_pretrained
from derm_bench.report.data import group_title, number, same

UNTESTED = "Differences between these gains are not tested."


def grouped(
    found: Sequence[Comparison], key: Callable[[Comparison], Hashable]
) -> dict[Hashable, list[Comparison]]:
    """The comparisons by a key, in order of first appearance."""
    groups: dict[Hashable, list[Comparison]] = {}
    for one in found:
        groups.setdefault(key(one), []).append(one)
    return groups


def amounts(finished: Finished) -> Answer:
    """Question 4: the gain at each share of the real images, and for each amount of synthetic images."""
    matrix = finished.data.matrix
    entries: Mapping[str, Any] = {one["name"]: one for one in matrix.get("strategies") or ()}
    found = finished.compared(compared(matrix, 4))

    def generator(one: Comparison) -> str:
        stated = entries[one.arm]["generator"]
        return str(stated.get("label") or stated["name"])

    def said(one: Comparison) -> str:
        shown = f"{100 * one.train_fraction:g}% of the real images, {amount(entries[one.arm])}"
        return f"{shown}: {with_verdict(one)}"

    groups = grouped(found, lambda c: (c.dataset, c.test_set, c.classifier, generator(c), c.baseline))
    sentences = [
        f"{group_title((first.dataset, 1.0, first.test_set))}, {first.classifier}: the gain of {generator(first)} in "
        f"{metric_name(first.metric)} over {first.baseline} is, at {listed([said(one) for one in own])} "
        f"({seeds(first)}). {UNTESTED}"
        for own in groups.values()
        for first in own[:1]
    ]
    return with_needs(finished, Answer(4, QUESTIONS[4].text, status_of(found), sentences, (), found))


def test_sets(finished: Finished) -> Answer:
    """Question 6: the gain on the test part of the data set, and on other data sets."""
    matrix = finished.data.matrix
    external = {one["name"] for one in matrix.get("test_sets") or () if one.get("dataset")}
    found = [one for one in finished.compared(compared(matrix, 6)) if one.test_set in {"test", *external}]
    sentences = []
    for own in grouped(found, lambda c: (c.dataset, c.train_fraction, c.classifier, c.arm)).values():
        first = own[0]
        inside = [one for one in own if one.test_set == "test"]
        outside = [one for one in own if one.test_set != "test"]
        where = group_title((first.dataset, first.train_fraction))
        shown = listed([f"on {_set(one)} {with_verdict(one)}" for one in (*inside, *outside)])
        sentences.append(
            f"{where}, {first.classifier}: {first.arm} against {first.baseline} changes {metric_name(first.metric)} "
            f"{shown} ({seeds(first)}). {_transfer(inside, outside)}"
        )
    return with_needs(finished, Answer(6, QUESTIONS[6].text, status_of(found), sentences, (), found))


def _set(one: Comparison) -> str:
    return (
        "the test set in distribution" if one.test_set == "test" else f"the external test set {one.test_set}"
    )


def _transfer(inside: Sequence[Comparison], outside: Sequence[Comparison]) -> str:
    """What the verdicts in distribution and outside say together."""
    here, there = {one.verdict for one in inside}, {one.verdict for one in outside}
    if not here or not there:
        return "One of the two is missing."
    if any(one.open for one in (*inside, *outside)):
        return "The run cannot tell whether the gain holds on both."
    if here == there == {"helps"}:
        return "The gain holds on both."
    if here == there:
        return f"The verdict is the same on both: {here.pop()}."
    return "The verdicts differ: the result in distribution does not carry over."


def classes(finished: Finished) -> Answer:
    """Question 7: what each class gains or loses in recall, the rarest first."""
    matrix = finished.data.matrix
    contrasts = compared(matrix, 7)
    found = finished.compared(contrasts)
    values: list[dict[str, Any]] = []
    sentences, known = [], []
    for one in found:
        counts = _training_images(finished, one)
        recalls = [
            (name, change)
            for name in sorted(counts, key=counts.__getitem__)
            for change in finished.compared(contrasts, f"recall_{name}")
            if (
                change.dataset,
                change.train_fraction,
                change.test_set,
                change.arm,
                change.classifier,
                change.baseline,
            )
            == (one.dataset, one.train_fraction, one.test_set, one.arm, one.classifier, one.baseline)
        ]
        values += [_recall(change, name, counts[name]) for name, change in recalls]
        known.append(bool(recalls) and _is_clear(recalls[0][1]))
        sentences.append(_of_classes(one, recalls, counts))
    status = SETTLED if known and all(known) else PARTLY if any(known) else CANNOT_TELL
    return with_needs(finished, Answer(7, QUESTIONS[7].text, status, sentences, (), found, values))


def _is_clear(one: Comparison) -> bool:
    """Whether the interval of a difference leaves zero out."""
    return one.ci_low is not None and one.ci_high is not None and not one.ci_low <= 0 <= one.ci_high


def _recall(change: Comparison, name: str, images: int) -> dict[str, Any]:
    return {
        "dataset": change.dataset,
        "train_fraction": change.train_fraction,
        "test_set": change.test_set,
        "arm": change.arm,
        "classifier": change.classifier,
        "baseline": change.baseline,
        "class": name,
        "training_images": images,
        "recall_delta": change.delta,
        "ci_low": change.ci_low,
        "ci_high": change.ci_high,
    }


def _of_classes(one: Comparison, recalls: Sequence[tuple[str, Comparison]], counts: Mapping[str, int]) -> str:
    head = f"{place(one)}: {one.arm} against {one.baseline}"
    if not recalls or any(change.delta is None for _, change in recalls):
        return f"{head}: the run cannot tell ({one.reason or 'recalls of the classes are missing'})."
    parts = [f"{name} ({counts[name]} training images) {signed(change)}" for name, change in recalls]
    rare, others = recalls[0][1], [change for _, change in recalls[1:]]
    cost = [c for c in others if c.ci_high is not None and c.ci_high < 0]
    gained = rare.ci_low is not None and rare.ci_low > 0
    lost = ", ".join(c.metric.removeprefix("recall_") for c in cost)
    meaning = (
        f"{recalls[0][0]} gains {'at the cost of ' + lost if lost else 'and no other class clearly loses'}"
        if gained
        else f"no gain of the rarest class {recalls[0][0]} is shown{', and ' + lost + ' loses' if lost else ''}"
    )
    return (
        f"{head}: {meaning}. Recall changes, from the rarest class on: {listed(parts)}; balanced over the classes "
        f"{with_verdict(one)} ({seeds(one)}). Intervals of recalls cover other seeds on these test images and are not "
        "corrected for the number of classes."
    )


def _training_images(finished: Finished, one: Comparison) -> dict[str, int]:
    """The real training images of each class, from composition.csv."""
    counts: dict[str, int] = {}
    for row in finished.data.composition:
        if (
            row["dataset"] == one.dataset
            and row["split"] == "train"
            and row["strategy"] == one.arm
            and same(row["train_fraction"], one.train_fraction)
        ):
            counts[str(row["class"])] = int(number(row["real"]) or 0)
    return counts


def starts(finished: Finished) -> Answer:
    """Question 9: the gain of classifiers from scratch, and of those that start from other weights."""
    matrix = finished.data.matrix
    pretrained = {str(one["label"]): is_pretrained(one) for one in matrix.get("classifiers") or ()}
    found = finished.compared(compared(matrix, 9))
    sentences = []
    for own in grouped(found, lambda c: (c.dataset, c.train_fraction, c.test_set, c.arm)).values():
        first = own[0]
        parts = [
            f"{_start(pretrained.get(one.classifier))} ({one.classifier}) {with_verdict(one)}"
            for one in sorted(own, key=lambda c: pretrained.get(c.classifier, False))
        ]
        where = group_title((first.dataset, first.train_fraction, first.test_set))
        sentences.append(
            f"{where}: {first.arm} against {first.baseline} changes {metric_name(first.metric)} {listed(parts)} "
            f"({seeds(first)}). {UNTESTED}"
        )
    return with_needs(finished, Answer(9, QUESTIONS[9].text, status_of(found), sentences, (), found))


def _start(pretrained: bool | None) -> str:
    return "pretrained" if pretrained else "from scratch"
