"""summary.csv: means, intervals and paired differences against values worked out by hand."""

import io
import math
from pathlib import Path

import pytest
from rich.console import Console

from derm_bench.report.data import ReportData
from derm_bench.report.keep_in_mind import keep_in_mind
from derm_bench.report.tables import markdown_table, mean_of
from derm_bench.report.terminal import fidelity_table, summarise_for_terminal
from derm_bench.report.view import headline
from derm_bench.rundir.directory import RunFiles
from derm_bench.rundir.frames import make_frame, read_csv, to_rows, write_csv
from derm_bench.rundir.schema import COMPOSITION, FIDELITY, HISTORY, RESULTS, SUBGROUPS, SUMMARY
from derm_bench.rundir.summary import metric_columns, summarise


def row(strategy, seed, value, status="done", **more):
    return {
        "cell": f"d/{strategy}/net/{seed}", "dataset": "d", "train_fraction": 1.0, "strategy": strategy,
        "classifier": "net", "seed": seed, "split_seed": 0, "generator_seed": None, "classifier_seed": seed,
        "test_set": "test", "status": status, "error": "", "balanced_accuracy": value,
    } | more  # fmt: skip


def of(summary, strategy, baseline=None, metric="balanced_accuracy"):
    found = [r for r in summary if r["strategy"] == strategy and r["metric"] == metric]
    return next(r for r in found if baseline is None or r["baseline"] == baseline)


def test_mean_deviation_and_t_interval_over_three_seeds():
    summary = summarise([row("a", s, v) for s, v in enumerate((0.6, 0.7, 0.8))])
    assert of(summary, "a")["n_seeds"] == 3
    assert of(summary, "a")["mean"] == pytest.approx(0.7)
    assert of(summary, "a")["std"] == pytest.approx(0.1)
    half = 4.302652729911275 * 0.1 / math.sqrt(3)  # t(0.975, 2)
    assert (of(summary, "a")["ci_low"], of(summary, "a")["ci_high"]) == pytest.approx(
        (0.7 - half, 0.7 + half)
    )


def test_a_difference_is_paired_by_seed():
    results = [row("real-only", s, v) for s, v in enumerate((0.5, 0.6, 0.9))]
    results += [row("gan", s, v, accuracy=v) for s, v in ((2, 0.9), (0, 0.6), (1, 0.9))]
    results = [r | {"accuracy": r["balanced_accuracy"]} for r in results]
    gan = of(summarise(results), "gan", "real-only", "accuracy")
    assert gan["delta"] == pytest.approx(0.4 / 3)
    half = 4.302652729911275 * math.sqrt((0.01 + 0.09 - 3 * (0.4 / 3) ** 2) / 2 / 3)  # of 0.1, 0.3 and 0
    assert (gan["delta_ci_low"], gan["delta_ci_high"]) == pytest.approx((0.4 / 3 - half, 0.4 / 3 + half))


def test_a_failed_seed_leaves_no_difference_of_the_surviving_pairs():
    results = [row("real-only", s, v) for s, v in enumerate((0.5, 0.6, 0.9, 0.7))]
    results += [row("gan", s, 0.95) for s in range(3)] + [row("gan", 3, None, "diverged")]
    gan = of(summarise(results), "gan", "real-only")
    assert (gan["n_seeds"], gan["n_planned"], gan["verdict"]) == (3, 4, "inconclusive")
    assert gan.get("delta") is None and gan["p_value"] is None
    assert gan["reason"] == "3 of 4 runs of gan/net are done"
    again = of(summarise(results, baselines=["gan"]), "real-only", "gan")  # the baseline failed
    assert again["verdict"] == "inconclusive" and "3 of 4 runs of gan/net" in again["reason"]


def test_two_seeds_show_two_values_and_no_interval():
    results = [row("real-only", s, v) for s, v in enumerate((0.5, 0.6))]
    results += [row("gan", s, v) for s, v in enumerate((0.6, 0.9))]
    gan = of(summarise(results), "gan", "real-only")
    assert gan["delta"] == pytest.approx(0.2) and gan["ci_low"] is gan.get("p_value") is None
    assert gan["reason"] == "two seeds give no interval; the differences are +0.100 and +0.300"
    assert mean_of(gan, "balanced_accuracy", results[2:]) == "0.750 (0.600, 0.900)"


def test_equal_values_of_all_seeds_are_no_certainty():
    summary = summarise([row("a", s, 0.7) | {"ece": 0.1} for s in range(3)])
    assert of(summary, "a", metric="ece")["ci_low"] is None
    assert mean_of(of(summary, "a", metric="ece")) == "0.100"


def test_the_baseline_has_one_row_without_a_difference(tmp_path):
    summary = summarise([row("real-only", 0, 0.5), row("gan", 0, 0.6)])
    own = [r for r in summary if r["strategy"] == "real-only"]
    assert [r["baseline"] for r in own] == [""]
    write_csv(make_frame(own, SUMMARY), tmp_path / "summary.csv")
    (read,) = to_rows(read_csv(tmp_path / "summary.csv", SUMMARY))
    assert read["delta"] is read["std"] is read["ci_low"] is read["p_value"] is None
    assert (read["mean"], read["n_seeds"], read["verdict"]) == (0.5, 1, "")


def test_failed_arm_keeps_its_row_with_no_seeds():
    summary = summarise([row("real-only", 0, 0.5), row("gan", 0, None, "oom")])
    assert of(summary, "gan")["n_seeds"] == 0
    assert math.isnan(of(summary, "gan")["mean"])


def test_pairs_match_on_the_axes_that_both_have():
    results = [row("real-only", s, 0.5 + s / 10) for s in (0, 1)]
    results += [
        row("gan", 10 * g + c, 0.6 + c / 10 + g / 5, generator_seed=g, classifier_seed=c)
        for g in (0, 1)
        for c in (0, 1)
    ]
    gan = of(summarise(results), "gan", "real-only")
    assert gan["delta"] == pytest.approx(0.2)  # generators averaged: 0.7 - 0.5 and 0.8 - 0.6
    assert gan["n_seeds"] == 4


def test_a_seed_offset_does_not_break_the_pairs():
    results = [row("real-only", 0, 0.5), row("again", 1000, 0.55)]
    assert of(summarise(results, offsets={"again": 1000}), "again", "real-only")["delta"] == pytest.approx(
        0.05
    )


def test_comparison_across_classifiers_and_by_pairs():
    results = [row("a", 0, 0.5), row("a", 0, 0.8, classifier="big")]
    across = summarise(results, baselines=["net"], across="classifier")
    assert [(r["classifier"], r["baseline"]) for r in across] == [("net", ""), ("big", "net")]
    pairs = [({"strategy": "a", "classifier": "big"}, {"strategy": "a", "classifier": "net"})]
    by_pair = [r for r in summarise(results, pairs=pairs) if r["baseline"]]
    assert [(r["baseline"], r["delta"]) for r in by_pair] == [("a/net", pytest.approx(0.3))]


def test_image_metrics_are_means_over_classes_at_the_last_step_then_over_seeds():
    base = {
        "dataset": "d",
        "train_fraction": 1.0,
        "strategy": "gan",
        "generator": "dcgan",
        "split_seed": 0,
        "metric": "fd_domain",
    }
    fidelity = [
        base | {"generator_seed": g, "class": c, "step": step, "value": value + g}
        for g in (0, 1)
        for c, step, value in (("x", 10, 99.0), ("x", 20, 1.0), ("y", 20, 3.0))
    ]
    fidelity.append(base | {"generator_seed": 2, "class": "x", "step": 20, "value": 50.0})  # lacks class y
    fidelity.append(
        base
        | {
            "strategy": "control",
            "generator": "noise",
            "generator_seed": "",
            "class": "x",
            "step": "",
            "value": 500.0,
        }
    )
    (found,) = summarise([], fidelity)
    assert (found["mean"], found["n_seeds"], found["classifier"], found["test_set"]) == (
        pytest.approx(2.5),
        2,
        "",
        "",
    )


def test_csv_is_written_whole_and_floats_survive(tmp_path):
    path = tmp_path / "tables" / "composition.csv"
    path.parent.mkdir()
    rows = [{"dataset": 'x,"y"', "train_fraction": 0.1 + 0.2, "generator_seed": None, "real": 3}]
    write_csv(make_frame(rows, COMPOSITION), path)
    assert path.read_text().splitlines()[1] == '"x,""y""",0.30000000000000004,,,,,,,3,'
    assert [p.name for p in path.parent.iterdir()] == ["composition.csv"]
    (read,) = to_rows(read_csv(path, COMPOSITION))
    assert read["train_fraction"] == 0.1 + 0.2 and (read["real"], read["synthetic"]) == (3, None)


def test_markdown_cells_cannot_break_the_table_or_carry_html():
    table = markdown_table(["name", "n"], [["a|b<script>", 3]])
    assert "<script>" not in table
    assert table.splitlines()[1:] == ["| --- | ---: |", "| a\\|b&lt;script&gt; | 3 |"]


def test_terminal_table_shows_counts_of_planned_and_takes_brackets_literally():
    results = [row("gan[base=32]", s, v, st) for s, v, st in ((0, 0.6, "done"), (1, None, "failed"))]
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(summarise_for_terminal(data_of(results)))
    printed = console.export_text()
    assert (
        "gan[base=32]" in printed
        and "1 of 2" in printed
        and "0.600" in printed
        and "1 of 2 rows are not done" in printed
    )


def test_terminal_table_of_a_run_directory(whole_run):
    assert summarise_for_terminal(ReportData.load(whole_run)).row_count == 16


def test_the_terminal_says_where_lower_is_better():
    results = [row(name, 0, 0.5) | {"log_loss": 0.4} for name in ("real-only", "gan")]
    low = summarise_for_terminal(data_of(results, primary="log_loss"))
    assert "lower is better" in str(low.title) and "lower" not in str(
        summarise_for_terminal(data_of(results)).title
    )


def test_tables_of_a_kfold_run_say_that_runs_differ_in_folds():
    results = [row("gan", 0, 0.5, split_seed=fold, cell=f"d/gan/net/0-s{fold}") for fold in range(3)]
    folded, plain = (data_of(results, split={"method": method}) for method in ("kfold", "random"))
    assert "over folds and seeds" in str(summarise_for_terminal(folded).title)
    assert str(summarise_for_terminal(plain).title).endswith("over seeds")
    assert any(line.startswith("3 folds and seeds at most") for line in keep_in_mind(folded))
    (table,) = headline(folded)
    assert table.header[3] == "folds and seeds" and "the same folds and seeds" in table.note


def data_of(results, primary="balanced_accuracy", split=None, baselines=None, composition=()):
    """A run of these rows, in memory."""
    tables = {
        "results": make_frame(results, RESULTS, metric_columns(results)),
        "summary": make_frame(summarise(results, baselines=baselines), SUMMARY),
        "subgroups": make_frame([], SUBGROUPS),
        "fidelity": make_frame([], FIDELITY),
        "composition": make_frame(composition, COMPOSITION),
        "history": make_frame([], HISTORY),
    }
    datasets = [{"label": "d", "split": split}]
    manifest = {"matrix": {"name": "t", "analysis": {"primary": primary}, "datasets": datasets}}
    manifest["matrix"]["compare"] = {"baselines": baselines or []}
    return ReportData(RunFiles(Path("nowhere"), manifest, tables, None, []))


def test_without_cells_the_terminal_shows_how_far_samples_lie_from_real_images():
    rows = [
        ("1.0", "control", "noise", "fd_domain", "", 900.0),
        ("1.0", "gan", "dcgan", "fd_domain", "100", 80.0),
        ("1.0", "gan", "dcgan", "fd_domain", "last", 12.5),
        ("1.0", "gan", "dcgan", "fd_domain", "last", 13.5),
        ("1.0", "gan", "dcgan", "coverage_domain", "last", 0.25),
        ("0.5", "gan", "dcgan", "fd_domain", "last", 20.0),
    ]
    names = ("train_fraction", "strategy", "generator", "metric", "step", "value")
    frame = make_frame(
        [dict(zip(names, r, strict=True)) | {"dataset": "ham", "class": "mel"} for r in rows], FIDELITY
    )
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(fidelity_table(to_rows(frame)))
    shown = [[cell.strip() for cell in line.split("│")[1:-1]] for line in console.export_text().splitlines()]
    assert [line for line in shown if line] == [
        ["ham", "gan", "mel", "13", "0.25"],
        ["ham@0.5", "gan", "mel", "20", ""],
        ["ham", "noise (control)", "mel", "900", ""],
    ]


@pytest.mark.parametrize("stated", [["zebra", "apple"], ["apple", "zebra"]])
def test_the_first_baseline_of_the_matrix_is_the_one_shown(stated):
    """Its own row is the first of summary.csv, which compares it with the other one."""
    results = [row(name, seed, 0.5) for name in (*stated, "gan") for seed in (0, 1)]
    data = data_of(results, baselines=stated)
    assert data.baselines == stated
    assert f"Δ to {stated[0]}" in [str(column.header) for column in summarise_for_terminal(data).columns]
    (table,) = headline(data)
    assert [name for name in table.header if name.startswith("Δ")] == [f"Δ to {name}" for name in stated]
    assert [cells[0] for cells in table.rows] == [*stated, "gan"]
