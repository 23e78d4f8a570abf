"""Compute metric rows from images: features once per extractor and set of images, and all metrics on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from derm_bench.errors import UserError
from derm_bench.fidelity.reference import Reference
from derm_bench.specs import MetricSpec, Task, create, load_object

Floats = NDArray[np.float64]
Row = dict[str, Any]
Extractor = Callable[[torch.Tensor], Any]

CHUNK = 256
UNKNOWN = (math.nan, math.nan, math.nan)


def extract(extractor: Extractor, images: torch.Tensor) -> Floats:
    """Return features float64 [N,D] of uint8 images [N,3,H,W]. Raises UserError for NaN, infinity and other shapes."""
    # Contiguous, as the rounding of an extractor may depend on the memory layout.
    parts = [_array(extractor(part.contiguous())) for part in images.split(CHUNK)]
    features = np.concatenate(parts) if parts else np.empty((0, 0))
    if features.ndim != 2 or len(features) != len(images):
        name = _name(extractor)
        raise UserError(f"extractor {name} returned {features.shape} for {len(images)} images, not [N,D]")
    broken = int((~np.isfinite(features)).any(1).sum())
    if broken:
        raise UserError(
            f"extractor {_name(extractor)}: NaN or infinite features for {broken} of {len(images)} images",
            hint="the weights are damaged or belong to another network",
        )
    return features


def score(
    real: torch.Tensor | Floats,
    synthetic: torch.Tensor | Floats,
    extractor: Extractor,
    metrics: Mapping[str, Any],
) -> list[Row]:
    """Return rows `metric, value, ci_low, ci_high, extractor, n_real, n_synthetic` of the metrics of one extractor.

    Each side is either uint8 images or features from `extract`. metrics: name -> object with `compute(real, synthetic)
    -> {name: float}` or, with intervals, `intervals(real, synthetic) -> {name: (value, low, high)}`. For fewer than two
    images per side, all values are NaN.
    """
    a, b = _features(real, extractor), _features(synthetic, extractor)
    shared = {"extractor": _name(extractor), "n_real": len(a), "n_synthetic": len(b)}
    enough = min(len(a), len(b)) >= 2
    return [
        {"metric": name, "value": float(value), "ci_low": float(low), "ci_high": float(high)} | shared
        for own_name, metric in metrics.items()
        for name, (value, low, high) in (_measured(metric, a, b) if enough else {own_name: UNKNOWN}).items()
    ]


class Scorer:
    """All image metrics of a matrix. Metrics with the same extractor and options share its features.

        scorer = Scorer([(spec, options), ...], task, reference)
        rows = scorer.rows(scorer.features(real), scorer.features(synthetic))

    `reference` is required if the extractor of a metric is `domain`. Extractors run on `task.device`.
    """

    def __init__(
        self, uses: Sequence[tuple[MetricSpec, Any]], task: Task, reference: Reference | None = None
    ) -> None:
        self._groups: list[tuple[Extractor, dict[str, Any]]] = []
        made: dict[str, int] = {}
        for spec, options in uses:
            key = "domain" if spec.extractor == "domain" else f"{spec.extractor} {options!r}"
            if key not in made:
                made[key] = len(self._groups)
                self._groups.append((_make_extractor(spec, options, task, reference), {}))
            self._groups[made[key]][1][spec.name] = create(spec, options, task)

    def __len__(self) -> int:
        """Return the number of extractors."""
        return len(self._groups)

    def features(self, images: torch.Tensor) -> list[Floats]:
        """Return the features of uint8 images [N,3,H,W], one array per extractor."""
        return [extract(extractor, images) for extractor, _ in self._groups]

    def screened(
        self,
        samples: Sequence[Floats],
        train: Sequence[Floats],
        held_out: Sequence[Floats],
        groups: Sequence[str],
    ) -> list[Row]:
        """Return the rows of all metrics with `screen`, from the features of samples, of training images and of
        held-out images with these groups."""
        out: list[Row] = []
        for (extractor, metrics), *sides in zip(self._groups, samples, train, held_out, strict=True):
            shared = {"extractor": _name(extractor), "n_real": len(sides[1]), "n_synthetic": len(sides[0])}
            for metric in metrics.values():
                found = _measured(metric, *sides, groups)
                out += [
                    {"metric": name, "value": float(value), "ci_low": float(low), "ci_high": float(high)}
                    | shared
                    for name, (value, low, high) in found.items()
                ]
        return out

    def rows(self, real: Sequence[Floats], synthetic: Sequence[Floats]) -> list[Row]:
        """Return the rows of all metrics from the features of both sides."""
        out = []
        for (extractor, metrics), a, b in zip(self._groups, real, synthetic, strict=True):
            out += score(a, b, extractor, metrics)
        return out


def _make_extractor(spec: MetricSpec, options: Any, task: Task, reference: Reference | None) -> Extractor:
    if spec.extractor != "domain":
        return load_object(spec.extractor)(options, task.device)
    if reference is None:
        raise ValueError(f"metric {spec.name} needs the reference network")
    return reference


def _measured(metric: Any, *arguments: Any) -> Mapping[str, tuple[float, float, float]]:
    if hasattr(metric, "intervals"):
        return metric.intervals(*arguments)
    return {name: (value, math.nan, math.nan) for name, value in metric.compute(*arguments).items()}


def _features(side: torch.Tensor | Floats, extractor: Extractor) -> Floats:
    return extract(extractor, side) if isinstance(side, torch.Tensor) else side


def _array(features: Any) -> Floats:
    if isinstance(features, torch.Tensor):
        features = features.detach().cpu().numpy()
    return np.asarray(features, np.float64)


def _name(extractor: Extractor) -> str:
    return str(getattr(extractor, "name", type(extractor).__name__))
