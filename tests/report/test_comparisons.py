"""What the report says about comparisons: verdicts, data sets together, subgroups."""

import pytest
from tests.report.test_tables import data_of, row

from derm_bench.report import comparisons, plots
from derm_bench.report.across_data_sets import critical_differences, groups_within, over_data_sets
from derm_bench.report.data import ReportData
from derm_bench.report.tables import supported, verdict, without_columns


def two_data_sets(n=6):
    """`good` is best on every data set, `bad` worst."""
    values = {"real-only": 0.6, "good": 0.7, "bad": 0.5}
    return data_of(
        [
            row(name, s, v + 0.001 * d + s / 100, dataset=f"d{d}", cell=f"d{d}/{name}/net/{s}")
            for name, v in values.items()
            for d in range(n)
            for s in range(3)
        ]
    )


def test_arms_are_ranked_over_data_sets_and_few_of_them_are_said_to_show_little():
    arms, found = over_data_sets(two_data_sets())
    assert dict(zip(arms, found.ranks, strict=True)) == {"real-only/net": 2, "good/net": 1, "bad/net": 3}
    table = comparisons.data_sets(two_data_sets(3))
    assert [cells[0] for cells in table.rows] == ["good/net", "real-only/net", "bad/net"]
    assert "3 data sets cannot reach p < 0.05" in table.note and "Seeds are not data sets" in table.note
    assert comparisons.data_sets(two_data_sets(1)) is None


def test_the_diagram_joins_what_cannot_be_told_apart():
    assert groups_within([1.0, 2.0, 3.0], 1.5) == [(0, 1), (1, 2)]
    assert groups_within([1.0, 2.0, 3.0], 2.5) == [(0, 2)] and groups_within([1.0, 3.0], 1.0) == []
    with plots.style():
        assert len(critical_differences(two_data_sets()).axes) == 1
    assert critical_differences(two_data_sets(1)) is None


def test_the_table_of_verdicts_has_every_comparison_with_its_reason(whole_run):
    data = ReportData.load(whole_run)
    tables = comparisons.verdicts(data)
    assert len(tables) == 2 and all(len(table.rows) == 6 for table in tables)
    for table in tables:
        assert table.header[-1] == "why" and all(cells[-1] for cells in table.rows)
    unfinished = [c for t in tables for c in t.rows if "2 of 3" in c[-1]]
    assert unfinished and all(cells[3] == "" and cells[6] == "inconclusive" for cells in unfinished)


def test_only_a_supported_difference_is_marked():
    assert verdict({"verdict": "helps", "p_holm": 0.0123}) == "helps (p = 0.012)"
    assert verdict({"verdict": "hurts", "p_holm": 1e-5}) == "hurts (p <0.001)"
    assert verdict({"verdict": "equivalent", "p_holm": 0.6}) == "equivalent" and verdict({}) == ""
    assert [w for w in ("helps", "equivalent", "inconclusive", "hurts") if supported({"verdict": w})] == [
        "helps",
        "hurts",
    ]


def test_subgroups_have_counts_and_a_flag_where_there_are_too_few(whole_run):
    data = ReportData.load(whole_run)
    tables = {table.title.split(": ")[1]: table for table in comparisons.subgroups(data)}
    assert set(tables) == {"sex", "age"}
    sex, age = tables["sex"], tables["age"]
    assert [cells[0] for cells in sex.rows] == ["female", "male", "unknown"]
    assert [cells[0] for cells in age.rows] == ["0-29", "30-44", "45-59", "60-74", "75+"]
    assert sum(int(cells[1]) for cells in sex.rows) == 130
    few = {k for k, cells in enumerate(age.rows) if cells[-1] == "few"}
    assert few == set(age.flagged) and few
    for r in data.subgroups:
        if r["ci_low"] is not None:
            assert 0 <= r["ci_low"] <= r["mean"] <= r["ci_high"] <= 1


@pytest.mark.parametrize("values", [(0.5,), (0.5, 0.6)])
def test_few_seeds_have_no_interval(values):
    data = data_of([row(name, s, v) for name in ("real-only", "gan") for s, v in enumerate(values)])
    own = [r for r in data.summary if r["baseline"]]
    assert all(r["delta_ci_low"] is None and r["verdict"] == "inconclusive" for r in own)


def test_columns_that_say_nothing_are_left_out():
    header, rows = ["arm", "verdict", "p", "verdict"], [["a", "helps", "", ""], ["b", "", "", "inconclusive"]]
    kept = without_columns(header, rows, {"verdict": ("", "inconclusive"), "p": ("",)})
    assert kept == (["arm", "verdict"], [["a", "helps"], ["b", ""]])
