"""Rows of fidelity: features are computed once, intervals are kept, damaged features are refused."""

import math

import numpy as np
import pytest
import torch

from derm_bench.errors import UserError
from derm_bench.fidelity.score import Scorer, extract, score
from derm_bench.specs import MetricSpec, Options, Task

CALLS = []


class Means:
    """An extractor that counts how many images it saw."""

    name = "means"

    def __call__(self, images):
        CALLS.append(len(images))
        return images.float().mean((2, 3))


class Gap:
    def compute(self, real, synthetic):
        return {"gap": float(np.abs(real.mean(0) - synthetic.mean(0)).sum())}


class Interval(Gap):
    def intervals(self, real, synthetic):
        return {"gap_with_interval": (1.0, 0.5, 1.5)}


def extractor(options, device):
    return Means()


def gap(options, task):
    return Gap()


def pictures(n, level):
    return torch.full((n, 3, 8, 8), level, dtype=torch.uint8)


def spec(name, **more):
    given = {"extractor": f"{__name__}:extractor", "create": f"{__name__}:gap"} | more
    return MetricSpec(name=name, summary="", level="images", higher_is_better=False, **given)


def test_rows_name_the_extractor_and_the_counts():
    rows = score(pictures(4, 10), pictures(3, 12), Means(), {"gap": Gap(), "gap_with_interval": Interval()})
    assert rows[0].pop("ci_low") != rows[0].pop("ci_high")  # NaN: a metric without an interval
    note = "all real images have the same features; all synthetic images have the same features"
    shared = {"extractor": "means", "n_real": 4, "n_synthetic": 3, "note": note}
    assert rows[0] == {"metric": "gap", "value": pytest.approx(6.0)} | shared
    assert rows[1] == {"metric": "gap_with_interval", "value": 1.0, "ci_low": 0.5, "ci_high": 1.5} | shared


def test_features_may_be_handed_in_and_are_then_not_computed_again():
    features = extract(Means(), pictures(600, 10))
    assert features.dtype == np.float64 and features.shape == (600, 3)
    CALLS.clear()
    score(features, features, Means(), {"gap": Gap()})
    assert not CALLS


def test_one_image_gives_no_value():
    (row,) = score(pictures(1, 10), pictures(5, 10), Means(), {"gap": Gap()})
    assert row["metric"] == "gap" and math.isnan(row["value"]) and row["n_real"] == 1
    (row,) = score(pictures(3, 10), pictures(0, 10), Means(), {"gap": Gap()})
    assert math.isnan(row["value"]) and row["n_synthetic"] == 0


def test_broken_features_are_refused_with_the_extractor_named():
    def broken(images):
        return torch.full((len(images), 2), math.nan)

    broken.name = "broken-net"
    with pytest.raises(UserError, match="broken-net: NaN or infinite features for 3 of 3 images"):
        extract(broken, pictures(3, 1))
    with pytest.raises(UserError, match="not \\[N,D\\]"):
        extract(lambda images: images, pictures(3, 1))


def test_metrics_with_equal_extractor_and_options_share_one_pass():
    uses = [(spec("first"), Options()), (spec("second"), Options())]
    scorer = Scorer(uses, Task(("a",), 8))
    CALLS.clear()
    real = scorer.features(pictures(5, 10))
    rows = scorer.rows(real, scorer.features(pictures(4, 20)))
    assert CALLS == [5, 4]
    assert [row["value"] for row in rows] == [30.0, 30.0]


def test_domain_metrics_use_the_reference(quick_reference):
    uses = [(spec("gap", extractor="domain"), Options())]
    scorer = Scorer(uses, Task(("a",), 64), quick_reference)
    features = scorer.features(torch.zeros(3, 3, 64, 64, dtype=torch.uint8))
    (row,) = scorer.rows(features, features)
    assert (row["metric"], row["value"], row["extractor"], row["n_real"]) == ("gap", 0.0, "domain", 3)
    with pytest.raises(ValueError, match="gap needs the reference network"):
        Scorer(uses, Task(("a",), 64))
