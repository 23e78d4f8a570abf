"""The rules for metrics."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import numpy as np

from derm_bench.errors import NoValue
from derm_bench.specs import load_object
from derm_bench.testing.calls import ABOUT_CALLS, CLASSES, CallCase
from derm_bench.testing.phantoms import phantoms
from derm_bench.testing.rules import NotApplicable, Rule, plugin_code, require
from derm_bench.testing.spec import ABOUT_SPECS

N, D = 64, 12


class MetricCase(CallCase):
    """A metric with generated probabilities, or with features of phantoms or of a normal distribution."""

    @cached_property
    def made(self) -> Any:
        """The metric. If its `preflight` reports something missing (such as weights), the rules do not apply."""
        options = self.subject.options()
        if self.spec.preflight:
            with plugin_code(f"{self.name}: preflight"):
                problems = load_object(self.spec.preflight)(options)
            if problems:
                raise NotApplicable(problems[0])
        return self.make()

    def arguments(self, quality: float, seed: int = 0) -> tuple[Any, ...]:
        """Return arguments of compute() for a model or generator of a `quality` from useless (0) to perfect (1)."""
        rng = np.random.default_rng(seed)
        if self.spec.level == "predictions":
            labels = np.arange(N) % len(CLASSES)
            proba = quality * np.eye(len(CLASSES))[labels] + (1 - quality) * rng.dirichlet(
                np.ones(len(CLASSES)), N
            )
            groups = tuple(f"lesion-{k // 2:03d}" for k in range(N))
            return labels, proba / proba.sum(1, keepdims=True), groups, CLASSES
        if self.spec.screen:
            groups = tuple(f"lesion-{k // 2:03d}" for k in range(N))
            return *(rng.normal(size=(N, D)) for _ in range(3)), groups
        if self._has_own_features:
            return self._features
        return rng.normal(size=(N, D)), rng.normal(size=(N, D)) * (3 - 2 * quality) + 4 * (1 - quality)

    @cached_property
    def _features(self) -> tuple[Any, ...]:
        _ = self.made  # raises NotApplicable if something is missing
        with plugin_code(f"{self.name}: extractor"):
            options = self.subject.options()
            extract = load_object(self.spec.extractor_of(options))(options, "cpu")
            return tuple(extract(phantoms(per_class=8, seed=seed).images) for seed in (0, 1))

    @property
    def _has_own_features(self) -> bool:
        """Whether the metric is one of images that does not use the reference network."""
        return self.spec.level == "images" and self.spec.extractor != "domain"

    def compute(self, quality: float = 0.5) -> dict[str, float]:
        """Return the values. The rules do not apply to a metric that has none for so few images."""
        return self.computed(*self.arguments(quality))

    def computed(self, *arguments: Any) -> dict[str, float]:
        def compute() -> dict[str, float]:
            try:
                return dict(self.made.compute(*arguments))
            except NoValue as reason:
                raise NotApplicable(str(reason)) from reason

        found: dict[str, float] = self.call("compute()", compute)
        return found

    def use(self) -> None:
        self.compute()


def values_are_numbers(case: MetricCase) -> None:
    """compute() returns finite values {name: float}, one of them under the name of the metric."""
    values = case.compute()
    odd = {k: v for k, v in values.items() if not isinstance(v, (int, float)) or not math.isfinite(v)}
    require(
        not odd and bool(values) and all(isinstance(name, str) for name in values),
        f"{case.name}: compute() returned {odd or values}; return {{name: float}} with finite values "
        "(convert an array element with float(value))",
    )
    require(
        case.name in values or len(values) > 1,
        f"{case.name}: compute() named its value '{next(iter(values))}'; name it '{case.name}' as in the spec",
    )


def equal_inputs_give_equal_values(case: MetricCase) -> None:
    """A second call with the same arguments gives the same values."""
    require(
        repr(case.compute()) == repr(case.compute()),  # which holds for NaN too
        f"{case.name}: equal inputs gave other values the second time; use a fixed seed for random numbers",
    )


def inputs_stay_as_they_are(case: MetricCase) -> None:
    """The input arrays are not changed, as other metrics read them."""
    arguments = case.arguments(0.5)
    before = [value.copy() for value in arguments if isinstance(value, np.ndarray)]
    case.computed(*arguments)
    after = [value for value in arguments if isinstance(value, np.ndarray)]
    require(
        all(np.array_equal(a, b) for a, b in zip(before, after, strict=True)),
        f"{case.name}: compute() changes its input arrays; work on a copy",
    )


def better_is_better(case: MetricCase) -> None:
    """A nearly perfect input scores better than a useless one, in the direction of the spec's `higher_is_better`."""
    if case._has_own_features:
        raise NotApplicable("the metric has its own extractor")
    if case.spec.higher_is_better is None or case.spec.screen:
        raise NotApplicable("its best value lies in between")
    good, bad = (case.compute(quality).get(case.name) for quality in (0.95, 0.0))
    if good is None or bad is None:
        raise NotApplicable("the metric computes several values, none of which has its name")
    require(
        (good > bad) == case.spec.higher_is_better and good != bad,
        f"{case.name}: {good:.3g} for a nearly perfect input, {bad:.3g} for a useless one, with higher_is_better="
        f"{case.spec.higher_is_better}; invert higher_is_better, or check the order of the arguments",
    )


RULES: tuple[Rule, ...] = (
    *ABOUT_SPECS,
    values_are_numbers,
    equal_inputs_give_equal_values,
    inputs_stay_as_they_are,
    better_is_better,
    *ABOUT_CALLS,
)
