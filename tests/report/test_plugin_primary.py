"""A metric of a plugin as the primary one: its comparisons have intervals and verdicts, in its own direction."""

from types import SimpleNamespace

import pytest
from tests.conftest import read_csv, toy_matrix

from derm_bench.runner.verify import verify

PLUGIN = """
from derm_bench.api import MetricSpec, Options, hookimpl

DERM_BENCH_API = 1


class WrongOptions(Options):
    fails: bool = False


@hookimpl
def derm_bench_metrics():
    return [
        MetricSpec(
            name="wrong", summary="share of wrong answers", create=f"{__name__}:Wrong", options=WrongOptions,
            level="predictions", higher_is_better=False,
        )
    ]


class Wrong:
    def __init__(self, options, task):
        self.fails, self.size = options.fails, task.size

    def compute(self, labels, proba, groups, classes):
        assert self.size == 8 and len(groups) == len(labels)
        if self.fails and len({*map(tuple, proba)}) < len(proba):
            raise ValueError("these images are repeated")
        return {"wrong": float((proba.argmax(1) != labels).mean())}
"""
STRATEGIES = [
    {"name": "real-only"},
    {"name": "junk", "generator": "shuffled-label", "synthetic": {"ratio": 1.0, "replace_real": True}},
]


@pytest.fixture
def primary(in_process, write_matrix, tmp_path):
    """Runs a matrix whose primary metric is that of the plugin; returns its rows against real-only by metric."""
    plugin = tmp_path / "wrong_plugin.py"
    plugin.write_text(PLUGIN)

    def ran(**options):
        matrix = toy_matrix(
            dataset={"name": "toy-blobs", "size": 8, "images": 240}, strategies=STRATEGIES, seeds=[0, 1, 2, 3],
            metrics=[{"name": "wrong", **options}], analysis={"primary": "wrong", "alpha": 0.2},
        )  # fmt: skip
        run = in_process("run", write_matrix(matrix), "--plugin", plugin, "--out", tmp_path / "out")
        assert run.code == 0, run.err
        rows = read_csv(tmp_path / "out/summary.csv")
        return {row["metric"]: row for row in rows if row["baseline"] == "real-only"}

    return ran


def test_more_of_a_metric_where_less_is_better_hurts_and_the_interval_is_that_of_the_built_in_one(
    primary, in_process, tmp_path
):
    row = primary()["wrong"]
    assert row["verdict"] == "hurts" and float(row["delta"]) > 0 and float(row["p_holm"]) < 0.2
    assert float(row["delta_ci_low"]) < float(row["delta"]) < float(row["delta_ci_high"])
    assert float(row["variance_test"]) >= 0 and row["rank_low"] == "2"
    import wrong_plugin

    plugins = SimpleNamespace(get=lambda kind, name: wrong_plugin.derm_bench_metrics()[0])
    found = verify(tmp_path / "out", plugins)
    assert not found.differences and "rows of summary.csv of wrong" not in found.not_recomputed
    without = in_process("verify", tmp_path / "out")
    assert without.code == 0 and "rows of summary.csv of wrong" in without.out


def test_a_metric_without_a_value_for_images_that_are_drawn_again_has_a_reason_and_no_verdict(primary):
    row = primary(fails=True)["wrong"]
    assert (
        row["verdict"] == "inconclusive"
        and "gives no number for images that are drawn again" in row["reason"]
    )
    assert float(row["delta"]) > 0
