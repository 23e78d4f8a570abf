"""Base classes for tests, one per kind of plugin, in which every rule of the kind is a test method."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import pytest

from derm_bench.errors import UserError
from derm_bench.testing import rules
from derm_bench.testing.kit import CASES, rules_of
from derm_bench.testing.subject import installed


class Conformance:
    """Base of the classes below. Subclass the one for your kind of plugin, name it `Test...` and set `plugin`.

    plugin: name of an installed plugin. options: options that override preset `tiny` (or the defaults). size: side in
    pixels of the phantoms for generators, classifiers and transforms. limits: time limits of presets in seconds.
    inputs: stand-ins for the requirements of the plugin, by name; the kit fits those that are not given.
    """

    kind: ClassVar[str] = ""
    plugin: ClassVar[str] = ""
    options: Mapping[str, Any] = {}
    inputs: Mapping[str, Any] = {}
    size: ClassVar[int] = 32
    limits: ClassVar[rules.Limits] = rules.Limits()
    _cases: ClassVar[dict[str, Any]] = {}
    _said: ClassVar[dict[str, str]] = {}

    def __init_subclass__(cls) -> None:
        cls._cases, cls._said = {}, {}
        if "kind" in vars(cls):
            for rule in rules_of(cls.kind):
                setattr(cls, f"test_{rules.name(rule)}", _test_of(rule))

    def case(self) -> Any:
        """The plugin under test, cached on the class so that its rules share fits."""
        key = json.dumps(dict(self.options), sort_keys=True, default=str)
        if key not in self._cases:
            try:
                subject = installed(self.kind, self.plugin, self.options, self.inputs)
            except UserError as error:
                raise rules.ConformanceError(str(error)) from error
            self._cases.clear()
            self._cases[key] = CASES[self.kind](subject, size=self.size, limits=self.limits)
        return self._cases[key]


def _test_of(rule: rules.Rule) -> Callable[[Conformance], None]:
    def test(self: Conformance) -> None:
        broken = skipped = remark = None
        try:
            remark = rules.tried(rule, self.case, self._said)
        except rules.NotApplicable as reason:
            skipped = str(reason)
        except rules.ConformanceError as error:
            broken = str(error)
        # Outside of the `except`, so that pytest shows no chain of exceptions.
        if skipped is not None:
            pytest.skip(skipped)
        if broken is not None:
            pytest.fail(broken, pytrace=False)
        if remark:
            warnings.warn(remark, rules.ConformanceWarning, stacklevel=1)

    test.__doc__ = rule.__doc__
    return pytest.mark.slow(test) if rules.is_slow(rule) else test


class GeneratorConformance(Conformance):
    """The rules for generators."""

    kind = "generator"


class ClassifierConformance(Conformance):
    """The rules for classifiers."""

    kind = "classifier"


class DatasetConformance(Conformance):
    """The rules for data sets."""

    kind = "dataset"


class MetricConformance(Conformance):
    """The rules for metrics."""

    kind = "metric"


class TransformConformance(Conformance):
    """The rules for transforms."""

    kind = "transform"
