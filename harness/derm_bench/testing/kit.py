"""The rules of each kind, and functions that check a plugin against them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from derm_bench.plugins import Plugins
from derm_bench.testing import classifier, dataset, generator, metric, transform
from derm_bench.testing.rules import ConformanceError, Limits, NotApplicable, Rule, is_slow, name, tried
from derm_bench.testing.subject import Subject, at_path, by_name

CASES: dict[str, Any] = {
    "dataset": dataset.DatasetCase,
    "generator": generator.GeneratorCase,
    "classifier": classifier.ClassifierCase,
    "metric": metric.MetricCase,
    "transform": transform.TransformCase,
}
RULES: dict[str, tuple[Rule, ...]] = {
    "dataset": dataset.RULES,
    "generator": generator.RULES,
    "classifier": classifier.RULES,
    "metric": metric.RULES,
    "transform": transform.RULES,
}


@dataclass(frozen=True)
class Outcome:
    """The outcome of one rule for one plugin. `warning`: the plugin passes, but `message` describes a concern.
    `skipped`: the rule does not apply, or could not be tried because of what another rule has reported."""

    kind: str
    plugin: str
    rule: str
    status: Literal["ok", "failed", "skipped", "warning"]
    message: str = ""


def rules_of(kind: str) -> tuple[Rule, ...]:
    return RULES[kind]


def check(
    subject: Subject, *, size: int = 32, limits: Limits | None = None, slow: bool = True
) -> Iterator[Outcome]:
    """Yield the outcome of each rule for the kind of the subject, as soon as it is known."""
    spec = subject.spec
    try:
        case = CASES[subject.kind](subject, size=size, limits=limits)
    except ConformanceError as error:
        yield Outcome(subject.kind, spec.name, "can_be_tried", "failed", str(error))
        return
    said: dict[str, str] = {}
    for rule in rules_of(subject.kind):
        if slow or not is_slow(rule):
            yield _outcome(rule, case, subject, said)


def check_target(
    target: str,
    given: Mapping[str, Any],
    *,
    size: int = 32,
    slow: bool = True,
    plugins: Plugins | None = None,
) -> Iterator[Outcome]:
    """Yield the outcomes for every plugin of `target`, an existing path or the name of a plugin (of `plugins`; default:
    those installed)."""
    with ExitStack() as stack:
        path = Path(target)
        if path.exists():
            subjects = stack.enter_context(at_path(path, given, plugins.files if plugins else ()))
        else:
            subjects = by_name(target, given, plugins)
        for subject in subjects:
            yield from check(subject, size=size, slow=slow)


def _outcome(rule: Rule, case: Any, subject: Subject, said: dict[str, str]) -> Outcome:
    found: tuple[Literal["ok", "failed", "skipped", "warning"], str]
    try:
        message = tried(rule, lambda: case, said)
        found = ("warning", message) if message else ("ok", "")
    except ConformanceError as error:
        found = ("failed", str(error))
    except NotApplicable as reason:
        found = ("skipped", str(reason))
    return Outcome(subject.kind, subject.spec.name, name(rule), *found)
