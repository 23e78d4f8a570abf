"""Whether networks agree on the order of generators, in the report."""

from pathlib import Path

import pytest

from derm_bench.report.data import ReportData
from derm_bench.report.extractors import compared, disagreements, tables
from derm_bench.rundir.directory import RunFiles
from derm_bench.rundir.frames import make_frame
from derm_bench.rundir.schema import FIDELITY

METRICS = [
    {"name": "fid", "label": "fid"},
    {"name": "fid", "label": "fid_vgg16"},
    {"name": "fd_domain", "label": "fd_domain"},
    {"name": "density", "label": "density"},
]
DIRECTIONS = {m["label"]: {"higher_is_better": m["name"] == "density", "level": "images"} for m in METRICS}


def scored(metric, values, width=1.0, **more):
    """Rows of generators a, b, ... with these values."""
    return [
        {
            "dataset": "d", "train_fraction": 1.0, "strategy": name, "generator": "dcgan", "split_seed": 0,
            "generator_seed": 0, "class": "nv", "metric": metric, "step": "last", "value": value,
            "ci_low": value - width, "ci_high": value + width, "extractor": "x:1", "reference": "val",
            "n_real": 50, "n_synthetic": 50, "note": "",
        } | more
        for name, value in zip("abcd", values, strict=False)
    ]  # fmt: skip


def run_of(rows):
    manifest = {"matrix": {"name": "t", "metrics": METRICS}, "metrics": DIRECTIONS}
    return ReportData(RunFiles(Path("nowhere"), manifest, {"fidelity": make_frame(rows, FIDELITY)}, None, []))


def test_generators_in_the_same_order_agree_and_nothing_is_said():
    data = run_of(scored("fid", [10, 20, 30]) + scored("fid_vgg16", [100, 300, 400]))
    (one,) = compared(data)
    assert one.metrics == ("fid", "fid_vgg16") and one.of_class == "nv"
    assert one.found.n == 3 and one.found.tau == pytest.approx(1)
    assert disagreements(data) == []


def test_a_pair_that_is_reversed_beyond_the_intervals_is_named():
    data = run_of(
        scored("fid", [10, 20, 30])
        + scored("fid_vgg16", [400, 300, 500])
        + scored("fd_domain", [1, 2, 3], 0.1)
    )
    found = {one.metrics: one.found for one in compared(data)}
    assert set(found) == {("fid", "fid_vgg16"), ("fid", "fd_domain"), ("fid_vgg16", "fd_domain")}
    assert found["fid", "fid_vgg16"].tau == pytest.approx(1 / 3)
    assert found["fid", "fid_vgg16"].reversed == (("a", "b"),)
    first, other = disagreements(data)
    assert first.startswith("fid and fid_vgg16") and "a and b (d" in first and "nv)" in first
    assert other.startswith("fid_vgg16 and fd_domain")
    (table,) = tables(data)
    assert "0.33" in table.rows[0] and "a and b" in table.rows[0] and 0 in table.flagged


def test_a_pair_within_the_intervals_or_the_range_of_seeds_is_not():
    wide = run_of(scored("fid", [10, 20]) + scored("fid_vgg16", [300, 290], 50))
    assert [one.found.tau for one in compared(wide)] == [pytest.approx(-1)]
    assert disagreements(wide) == []
    seeds = scored("fid_vgg16", [320, 280]) + scored("fid_vgg16", [280, 290], generator_seed=1)
    assert disagreements(run_of(scored("fid", [10, 20]) + seeds)) == []


def test_controls_single_metrics_and_single_generators_are_not_compared():
    rows = scored("fid", [10]) + scored("fid_vgg16", [100]) + scored("density", [1, 2])
    rows += scored("fid", [1, 2], strategy="control") + scored("fid_vgg16", [2, 1], strategy="control")
    assert list(compared(run_of(rows))) == [] and tables(run_of(rows)) == []


def test_missing_values_are_listed_with_their_reason():
    reason = "at least 100 images per side are needed, not 50"
    rows = scored("fid", [10, 20])
    for row in rows:
        row |= {"value": float("nan"), "note": reason}
    (table,) = tables(run_of(rows))
    assert table.rows == [["d", "FID", "nv", "a and b", reason]]
