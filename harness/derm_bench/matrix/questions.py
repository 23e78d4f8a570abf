"""The twelve questions that a matrix may settle (`compare.questions`), and which comparisons of its arms answer each.

Everything here reads a resolved matrix as plain data, as manifest.json has it, so that planning refuses a question that
the arms cannot answer, and `derm-bench answer` finds the same comparisons in the finished run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CONTROLS = ("duplicate", "noise", "blur", "shuffled-label", "more-real", "bottleneck")
"""Generators that make nothing new: they show what a gain may be due to besides synthetic images."""

MIXING = ("ricap", "mixup", "cutmix")
"""Augmentations that mix images of several classes."""

Plain = Mapping[str, Any]


@dataclass(frozen=True)
class Contrast:
    """A difference that a question is about: arm minus base, two strategies. The classifiers are empty where both are
    compared under each classifier of the matrix."""

    arm: str
    base: str
    arm_classifier: str = ""
    base_classifier: str = ""


@dataclass(frozen=True)
class Question:
    """One of the twelve. contrasts: the differences of a matrix that it is about, whether or not they are compared.
    needs: what a matrix must have for it, in words. more: what else the matrix lacks, if anything."""

    number: int
    text: str
    contrasts: Callable[[Plain], list[Contrast]]
    needs: str
    more: Callable[[Plain], str] = lambda matrix: ""


def compared(matrix: Plain, number: int) -> list[Contrast]:
    """Return the differences that a question is about and that the matrix compares."""
    return [one for one in QUESTIONS[number].contrasts(matrix) if _is_compared(matrix, one)]


def lacking(matrix: Plain, number: int) -> str:
    """Return what a matrix lacks to answer a question, as a sentence; empty if it lacks nothing."""
    question = QUESTIONS[number]
    wanted = question.contrasts(matrix)
    if not wanted:
        return f"it needs {question.needs}"
    if not any(_is_compared(matrix, one) for one in wanted):
        first = wanted[0]
        if first.arm_classifier:
            sides = (
                f"[{{strategy: {first.arm}, classifier: {first.arm_classifier}}}, "
                f"{{strategy: {first.base}, classifier: {first.base_classifier}}}]"
            )
            return f"its arms are not compared: write {sides} in compare.pairs"
        return f"its arms are not compared: list '{first.base}' in compare.baselines"
    return question.more(matrix)


def answerable(matrix: Plain) -> list[int]:
    """Return the numbers of the questions that a matrix can answer: those it names, otherwise all whose arms it has."""
    stated = (matrix.get("compare") or {}).get("questions") or ()
    return list(stated) if stated else [number for number in QUESTIONS if not lacking(matrix, number)]


# ------------------------------------------------------------------------------------- what arms are


def strategies(matrix: Plain) -> list[Plain]:
    """The strategies that make cells, as maps."""
    return [
        entry
        for entry in matrix.get("strategies") or ()
        if entry.get("generator") is None or entry.get("synthetic") is not None
    ]


def generator_of(strategy: Plain) -> str:
    """The plugin name of the generator, without its distribution; empty without one."""
    found = strategy.get("generator")
    return str(found["name"]).rpartition(":")[2] if found else ""


def is_generative(strategy: Plain) -> bool:
    """Whether a strategy trains on images that a generator made, other than a control."""
    return bool(strategy.get("generator")) and generator_of(strategy) not in CONTROLS


def is_real(strategy: Plain) -> bool:
    """Whether a strategy trains on the real images alone."""
    return not strategy.get("generator")


def _augmentations(strategy: Plain) -> list[str]:
    return [str(use["name"]).rpartition(":")[2] for use in strategy.get("augment") or ()]


def is_augmented(strategy: Plain) -> bool:
    """Whether images are augmented one by one, by anything other than mixing."""
    return any(name not in MIXING for name in _augmentations(strategy))


def is_rebalanced(strategy: Plain) -> bool:
    """Whether a strategy weights or oversamples classes, or mixes images and does nothing else."""
    names = _augmentations(strategy)
    return bool(strategy.get("balance")) or (bool(names) and all(name in MIXING for name in names))


def is_filtered(strategy: Plain) -> bool:
    """Whether the synthetic images are filtered."""
    return bool((strategy.get("synthetic") or {}).get("filter"))


def is_pretrained(classifier: Plain) -> bool:
    """Whether a classifier starts from weights that it did not learn on the data set of its cells."""
    options = classifier.get("options") or {}
    return bool(options.get("pretrained") or options.get("weights") or classifier.get("init"))


def baselines(matrix: Plain) -> list[str]:
    """The baselines that every arm is compared with: those of the matrix, else real-only if it has one."""
    compare = matrix.get("compare") or {}
    stated = list(compare.get("baselines") or ())
    if stated or compare.get("across", "strategy") != "strategy":
        return stated
    return [entry["name"] for entry in strategies(matrix) if entry["name"] == "real-only"]


def _is_compared(matrix: Plain, one: Contrast) -> bool:
    compare = matrix.get("compare") or {}
    across = compare.get("across", "strategy") == "strategy"
    if across and not one.arm_classifier and one.base in baselines(matrix):
        return True
    wanted = (
        {"strategy": one.arm, "classifier": one.arm_classifier},
        {"strategy": one.base, "classifier": one.base_classifier},
    )
    return any(
        all(side.get(key, value) == value or not value for side, full in zip(pair, wanted, strict=True)
            for key, value in full.items())
        and pair[0].get("strategy") == one.arm and pair[1].get("strategy") == one.base
        for pair in compare.get("pairs") or ()
    )  # fmt: skip


def _between(
    arm: Callable[[Plain], bool], base: Callable[[Plain], bool]
) -> Callable[[Plain], list[Contrast]]:
    """The differences between all strategies of one sort and all of another."""

    def contrasts(matrix: Plain) -> list[Contrast]:
        entries = strategies(matrix)
        return [
            Contrast(one["name"], other["name"])
            for one in entries
            if arm(one)
            for other in entries
            if base(other) and other is not one
        ]

    return contrasts


def _named(*names: str) -> Callable[[Plain], bool]:
    return lambda strategy: generator_of(strategy) in names


def _and(*tests: Callable[[Plain], bool]) -> Callable[[Plain], bool]:
    return lambda strategy: all(test(strategy) for test in tests)


def _not(test: Callable[[Plain], bool]) -> Callable[[Plain], bool]:
    return lambda strategy: not test(strategy)


# -------------------------------------------------------------------------- differences of single questions


def gains(matrix: Plain) -> list[Contrast]:
    """Generators against the baselines without a generator; against the first one alone if there are several."""
    base = [one for one in strategies(matrix) if is_real(one) and one["name"] in baselines(matrix)]
    first = min(base, key=lambda one: baselines(matrix).index(one["name"]), default=None)
    if first is None:
        first = next((one for one in strategies(matrix) if is_real(one)), None)
    if first is None:
        return []
    return [Contrast(one["name"], first["name"]) for one in strategies(matrix) if is_generative(one)]


def _both(matrix: Plain) -> list[Contrast]:
    entries = strategies(matrix)
    both = [one for one in entries if is_generative(one) and is_augmented(one)]
    apart = [one for one in entries if is_generative(one) != is_augmented(one) and not _is_control(one)]
    kinds = {is_generative(one) for one in apart}
    return [Contrast(b["name"], a["name"]) for b in both for a in apart] if len(kinds) == 2 else []


def _is_control(strategy: Plain) -> bool:
    return generator_of(strategy) in CONTROLS


def _larger(matrix: Plain) -> list[Contrast]:
    """Each generator under one classifier against real images alone under another, as `compare.pairs` has them."""
    kinds = {one["name"]: is_generative(one) for one in strategies(matrix)}
    found: list[Contrast] = []
    for arm, base in (matrix.get("compare") or {}).get("pairs") or ():
        names = [side.get("strategy", "") for side in (arm, base)]
        labels = [side.get("classifier", "") for side in (arm, base)]
        if all(labels) and labels[0] != labels[1] and kinds.get(names[0]) and kinds.get(names[1]) is False:
            found.append(Contrast(names[0], names[1], *labels))
    if found or len(labelled := [str(c["label"]) for c in matrix.get("classifiers") or ()]) < 2:
        return found
    plain = next((one["name"] for one in strategies(matrix) if is_real(one)), "")
    made = [name for name, generative in kinds.items() if generative]
    return [Contrast(made[0], plain, labelled[0], labelled[1])] if made and plain else []


def _filtered(matrix: Plain) -> list[Contrast]:
    entries = [one for one in strategies(matrix) if is_generative(one)]
    return [
        Contrast(one["name"], other["name"])
        for one in entries
        for other in entries
        if is_filtered(one)
        and not is_filtered(other)
        and one["generator"]["name"] == other["generator"]["name"]
    ]


def amount(strategy: Plain) -> str:
    """How many synthetic images a strategy adds, in the words of the matrix: `ratio 2`; empty without any."""
    stated = strategy.get("synthetic") or {}
    for key in ("ratio", "balance", "per_class", "total"):
        if stated.get(key) is not None:
            value = stated[key]
            return f"{key} {value:g}" if isinstance(value, float) else f"{key} {value}"
    return ""


def _amounts(matrix: Plain) -> str:
    fractions = max((len(one.get("train_fraction") or ()) for one in matrix.get("datasets") or ()), default=0)
    made = [one for one in strategies(matrix) if is_generative(one)]
    several = {one["generator"]["name"] for one in made if len({amount(o) for o in made}) > 1}
    if fractions > 1 or several:
        return ""
    return "it needs several train_fraction, or one generator with several amounts of synthetic images"


def _external(matrix: Plain) -> str:
    sets = matrix.get("test_sets") or ()
    own = any(one.get("name") == "test" and not one.get("synthetic") for one in sets)
    other = any(one.get("dataset") for one in sets)
    return "" if own and other else "it needs the test sets `test` and one with a `dataset` of its own"


def _starts(matrix: Plain) -> str:
    kinds = {is_pretrained(one) for one in matrix.get("classifiers") or ()}
    return (
        ""
        if len(kinds) == 2
        else "it needs a classifier from scratch and one with init, weights or pretrained"
    )


def _several(matrix: Plain) -> str:
    count = len(gains(matrix))
    return "" if count >= 5 else f"it needs five strategies with a generator that is no control, not {count}"


_GENERATIVE = "a strategy with a generator that is no control"
QUESTIONS: Mapping[int, Question] = {
    one.number: one
    for one in (
        Question(
            1,
            "Do synthetic images help more than strong geometric and colour augmentation?",
            _between(_and(is_generative, _not(is_augmented)), _and(is_real, is_augmented)),
            f"{_GENERATIVE}, and one with `augment` and no generator",
        ),
        Question(
            2,
            "Do synthetic images help more than class weighting, oversampling, mixup or RICAP?",
            _between(is_generative, _and(is_real, is_rebalanced)),
            f"{_GENERATIVE}, and one with `balance`, or with mixup, cutmix or ricap",
        ),
        Question(
            3,
            "Do synthetic images help more than real images drawn again, or is the gain only more steps?",
            _between(is_generative, _named("duplicate")),
            f"{_GENERATIVE}, and one with the generator `duplicate`",
        ),
        Question(
            4,
            "How does the gain change with the amount of real and of synthetic images?",
            gains,
            f"{_GENERATIVE}, and one without a generator",
            _amounts,
        ),
        Question(
            5,
            "Do synthetic images with augmentation help more than each alone?",
            _both,
            f"{_GENERATIVE} and has `augment`, one with the generator alone, and one with `augment` alone",
        ),
        Question(
            6,
            "Is the gain the same in distribution and on another data set?",
            gains,
            f"{_GENERATIVE}, and one without a generator",
            _external,
        ),
        Question(
            7,
            "What does the gain of the rare class cost the others?",
            gains,
            f"{_GENERATIVE}, and one without a generator",
        ),
        Question(
            8,
            "Does the generator beat blurred copies and copies with shuffled labels?",
            _between(is_generative, _named("blur", "shuffled-label")),
            f"{_GENERATIVE}, and one with the generator `blur` or `shuffled-label`",
        ),
        Question(
            9,
            "Is the gain the same from scratch and from pretrained weights?",
            gains,
            f"{_GENERATIVE}, and one without a generator",
            _starts,
        ),
        Question(
            10,
            "Do image metrics predict the gain?",
            gains,
            f"{_GENERATIVE}, and one without a generator",
            _several,
        ),
        Question(
            11,
            "Is the compute of the generator better spent on a larger classifier?",
            _larger,
            f"{_GENERATIVE}, one without a generator, and two classifiers",
        ),
        Question(
            12,
            "Do filtered samples help more than random ones?",
            _filtered,
            "two strategies with the same generator, one of them with `synthetic.filter`",
        ),
    )
}
"""All questions by number."""


def refusals(matrix: Plain) -> Iterator[tuple[int, str, str]]:
    """Yields (position in compare.questions, message, hint) for each question that cannot be answered."""
    stated: Sequence[int] = (matrix.get("compare") or {}).get("questions") or ()
    for index, number in enumerate(stated):
        if number not in QUESTIONS:
            yield index, f"there is no question {number}", f"the questions are 1 to {len(QUESTIONS)}"
        elif number in stated[:index]:
            yield index, f"question {number} is listed twice", ""
        elif problem := lacking(matrix, number):
            yield index, f'question {number} ("{QUESTIONS[number].text}") cannot be answered', problem
