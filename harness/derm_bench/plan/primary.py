"""The primary metric of a matrix, by which trainings select on validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from derm_bench.errors import did_you_mean
from derm_bench.matrix.model import Matrix
from derm_bench.plan.book import StageBook, Used
from derm_bench.scoring.names import higher_is_better, metric_names, metric_path


@dataclass(frozen=True)
class Selecting:
    """The metric that selects in a training: `params` for the identity of the stage, `plugins` with the plugin that
    computes it, or `code` with the import path of a built-in formula."""

    params: dict[str, Any]
    plugins: Used = ()
    code: tuple[str, ...] = ()
    local: dict[str, Any] = field(default_factory=dict)


class PrimaryMetric:
    """Finds the primary metric for the classes of a data set."""

    def __init__(self, matrix: Matrix, book: StageBook) -> None:
        self.matrix, self.book = matrix, book
        self._found: dict[tuple[str, ...], Selecting] = {}

    def among(self, classes: Sequence[str]) -> Selecting:
        """The primary metric for a data set with these classes. Raises UserError if the metric does not exist for
        them."""
        place = tuple(classes)
        if place not in self._found:
            self._found[place] = self._find(place)
        return self._found[place]

    def _find(self, classes: tuple[str, ...]) -> Selecting:
        name = self.matrix.analysis.primary
        known = metric_names(classes)
        if name in known:
            path, of_class = metric_path(name, classes)
            direction = {"name": name, "higher_is_better": higher_is_better(name)}
            return Selecting(direction | {"function": path, "of_class": of_class}, code=(path,))
        for use in self.matrix.metrics:
            spec = self.book.plugins.get("metric", use.name)
            if use.name == name and spec.level == "predictions" and spec.higher_is_better is not None:
                params = {"name": name, "higher_is_better": spec.higher_is_better}
                metric, local = self.book.metric(use.name, use.options), self.book.hashed(use.options).paths
                return Selecting(params | {"metric": metric}, (("metric", name),), local=local)
        raise self.matrix.error(
            f"no metric of the classes {', '.join(classes)} is named '{name}'",
            ("analysis", "primary"),
            did_you_mean(name, known),
        )
