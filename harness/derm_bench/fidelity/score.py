"""Compute metric rows from images: features once per extractor and set of images, and all metrics on them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from derm_bench.errors import NoValue, UserError
from derm_bench.fidelity.reference import Reference
from derm_bench.specs import MetricSpec, Task, create, load_object

Floats = NDArray[np.float64]
Row = dict[str, Any]
Extractor = Callable[[torch.Tensor], Any]

CHUNK = 256
SAME = 1e-5
"""Differences up to this share of the largest feature are due to rounding: it varies with the size of a batch."""
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
    """Return rows `metric, value, ci_low, ci_high, extractor, n_real, n_synthetic, note` of the metrics of one
    extractor.

    Each side is either uint8 images or features from `extract`. metrics: name -> object with `compute(real, synthetic)
    -> {name: float}` or, with intervals, `intervals(real, synthetic) -> {name: (value, low, high)}`. A value is NaN for
    fewer than two images per side and where the metric raises `NoValue`; the note then has the reason. It also says if
    all images of a side have the same features.
    """
    a, b = _features(real, extractor), _features(synthetic, extractor)
    shared = {"extractor": _name(extractor), "n_real": len(a), "n_synthetic": len(b)}
    alike = [
        f"all {side} images have the same features"
        for side, rows in (("real", a), ("synthetic", b))
        if _equal(rows)
    ]
    out = []
    for own_name, metric in metrics.items():
        values, reasons = _values(own_name, metric, a, b)
        note = {"note": "; ".join([*reasons, *alike])}
        out += [
            {"metric": name, "value": float(value), "ci_low": float(low), "ci_high": float(high)}
            | shared
            | note
            for name, (value, low, high) in values.items()
        ]
    return out


class Scorer:
    """All image metrics of a matrix. Metrics with the same extractor share its features, if they agree in the options
    that it reads.

        scorer = Scorer([(spec, options), ...], task, reference)
        rows = scorer.rows(scorer.features(real), scorer.features(synthetic))

    A use may have a third part, the label under which its values are listed in place of the name of the metric.
    `reference` is required if the extractor of a metric is `domain`. Extractors run on `task.device`.
    """

    def __init__(
        self, uses: Sequence[tuple[Any, ...]], task: Task, reference: Reference | None = None
    ) -> None:
        self._groups: list[tuple[Extractor, dict[str, Any]]] = []
        made: dict[str, int] = {}
        for spec, options, *label in uses:
            key = _features_key(spec, options)
            if key not in made:
                made[key] = len(self._groups)
                self._groups.append((_make_extractor(spec, options, task, reference), {}))
            name, metric = (*label, spec.name)[0], create(spec, options, task)
            self._groups[made[key]][1][name] = (
                metric if name == spec.name else _Labelled(metric, spec.name, name)
            )

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
    path = spec.extractor_of(options)
    if path != "domain":
        return load_object(path)(options, task.device)
    if reference is None:
        raise ValueError(f"metric {spec.name} needs the reference network")
    return reference


def _features_key(spec: MetricSpec, options: Any) -> str:
    """Return a text that is equal for metrics with the same features."""
    path = spec.extractor_of(options)
    if path == "domain":
        return path
    if spec.feature_options is None:
        return f"{path} {options!r}"
    values = ((name, getattr(options, name)) for name in spec.feature_options)
    return f"{path} {sorted((name, value) for name, value in values if value is not None)!r}"


class _Labelled:
    """A metric whose values are listed under a label: the value that is called `name` as `label`, and any other as
    `<label>_<its name>`."""

    def __init__(self, metric: Any, name: str, label: str) -> None:
        self.metric, self.name, self.label = metric, name, label

    def intervals(self, *sides: Any) -> dict[str, tuple[float, float, float]]:
        found = _measured(self.metric, *sides)
        return {
            self.label if name == self.name else f"{self.label}_{name}": value
            for name, value in found.items()
        }


def _values(
    name: str, metric: Any, real: Floats, synthetic: Floats
) -> tuple[Mapping[str, tuple[float, float, float]], list[str]]:
    """Return the values of a metric, and the reason if there is none."""
    fewest = min(len(real), len(synthetic))
    if fewest < 2:
        return {name: UNKNOWN}, [f"no comparison with fewer than two images on a side ({fewest})"]
    try:
        return _measured(metric, real, synthetic), []
    except NoValue as reason:
        return {name: UNKNOWN}, [str(reason)]


def _equal(features: Floats) -> bool:
    """Return whether two or more rows are equal but for rounding."""
    if len(features) < 2:
        return False
    gap = np.abs(features - features[0]).max(initial=0.0)
    return bool(gap <= SAME * np.abs(features[0]).max(initial=0.0))


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
