"""`reproduce` runs the matrix of a paper, and shows published values beside measured ones."""

import io
import json
import shutil

import click
import pytest
import yaml
from rich.console import Console
from tests.conftest import toy_matrix

from derm_bench.cli import reproduce as command
from derm_bench.errors import UserError
from derm_bench.leaderboard import published, reproduced
from derm_bench.leaderboard.published import COLUMNS, read_published
from derm_bench.leaderboard.reproduced import PaperArm, beside, find_matrix, our_metric, read_arms
from derm_bench.rundir.selection import Selection

ROWS = [
    ("900", "moles", "96", "", "CNN", "accuracy", "", "48.0", "percent", "Table 1", "claimed", ""),
    ("900", "moles", "96", "", "CNN + GAN", "accuracy", "", "70.00", "percent", "Table 1", "inconsistent", "Too low."),
    ("900", "moles", "96", "", "CNN + GAN", "recall", "malignant", "0.9", "share", "Table 2", "claimed", ""),
    ("900", "moles", "96", "", "CNN + GAN", "training_seconds", "", "60", "s", "Table 2", "claimed", ""),
]  # fmt: skip
ARMS = {
    "paper": "900",
    "arms": [
        {"method": "CNN", "strategy": "real-only", "classifier": "tiny"},
        {"method": "CNN + GAN", "strategy": "gan", "classifier": "tiny"},
    ],
    "classes": {"malignant": "mel"},
}


@pytest.fixture
def shelves(tmp_path, monkeypatch):
    """Shipped folders with one paper of our own."""
    shelf = tmp_path / "shipped"
    (shelf / published.FOLDER / "arms").mkdir(parents=True)
    (shelf / reproduced.MATRICES).mkdir(parents=True)
    lines = [",".join(row) for row in (COLUMNS, *ROWS)]
    (shelf / published.FOLDER / "900.csv").write_text("\n".join(lines) + "\n")
    (shelf / published.FOLDER / "arms/study.yaml").write_text(yaml.safe_dump(ARMS))
    (shelf / reproduced.MATRICES / "study.yaml").write_text(yaml.safe_dump(toy_matrix()))
    for module in (published, reproduced):
        monkeypatch.setattr(module, "shipped", lambda folder: shelf / folder)
    return shelf


def test_a_matrix_is_found_by_its_name_or_the_number_of_its_paper(shelves):
    assert find_matrix("study") == find_matrix("900") == shelves / reproduced.MATRICES / "study.yaml"
    other = shelves / published.FOLDER / "arms/quoted.yaml"
    other.write_text(yaml.safe_dump(ARMS | {"by_number": False}))
    (shelves / reproduced.MATRICES / "quoted.yaml").write_text(yaml.safe_dump(toy_matrix()))
    assert find_matrix("900").stem == "study" and find_matrix("quoted").stem == "quoted"
    with pytest.raises(UserError, match="there is no matrix of a paper 'studie'") as raised:
        find_matrix("studie")
    assert "did you mean 'study'" in raised.value.hint


@pytest.mark.parametrize(
    ("metric", "class_name", "ours"),
    [
        ("accuracy", "", "accuracy"), ("loss", "", "log_loss"), ("f1", "", "f1_macro"), ("fid", "", "fid"),
        ("recall", "malignant", "recall_mel"), ("auc", "nv", "auc_nv"), ("specificity", "malignant", None),
        ("training_seconds", "", None), ("precision", "", "precision_weighted"),
    ],
)  # fmt: skip
def test_a_published_metric_has_a_counterpart(metric, class_name, ours):
    (value,) = [v for v in read_published("003") if (v.method, v.metric) == ("VGG16", "accuracy")]
    arm = PaperArm(method="x", strategy="y", metrics={"precision": "precision_weighted"})
    value = value.model_copy(update={"metric": metric, "class_name": class_name})
    assert our_metric(value, arm, {"malignant": "mel"}) == ours


def test_an_arm_that_selects_nothing_is_named_with_its_line(shelves):
    path = shelves / published.FOLDER / "arms/study.yaml"
    path.write_text(path.read_text().replace("method: CNN + GAN", "method: CNN + GANN"))
    with pytest.raises(UserError, match="no published row of 'CNN \\+ GANN'") as raised:
        read_arms("study")
    assert raised.value.line and "CNN + GAN" in raised.value.hint


def test_differs_means_outside_of_our_interval_by_more_than_the_rounding(shelves):
    def row(strategy, low, high):
        return {
            "metric": "accuracy", "strategy": strategy, "classifier": "tiny", "test_set": "test",
            "dataset": "moles", "train_fraction": 1.0, "mean": (low + high) / 2 if low else 0.5, "ci_low": low,
            "ci_high": high, "n_seeds": 3, "n_planned": 3,
        }  # fmt: skip

    def differs(low, high):
        found = beside(read_arms("study"), read_published("900"), [row("real-only", low, high)])
        return found[0].differs, [each.mean for each in found]

    assert differs(0.47, 0.49)[0] == "no" and differs(0.4804, 0.5)[0] == "no"
    assert differs(0.4806, 0.5)[0] == "yes" and differs(0.3, 0.47)[0] == "yes"
    assert differs(None, None)[0] == ""
    assert differs(0.47, 0.49)[1][1:] == [None, None], "an arm that was not run has no value"


def test_two_published_values_of_one_metric_are_told_apart_by_their_source(shelves):
    twice = shelves / published.FOLDER / "900.csv"
    twice.write_text(f"{twice.read_text()}900,moles,96,,CNN,accuracy,,51.0,percent,Fig. 3,recomputed,\n")
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(command._table(beside(read_arms("study"), read_published("900"), []), "title"))
    text = console.export_text()
    assert "accuracy, Table 1" in text and "accuracy, Fig. 3" in text
    assert "recall (malignant) " in text


def test_the_command_runs_the_preset_and_prints_both_values(shelves, run, tmp_path, in_process, monkeypatch):
    asked = {}

    @click.pass_obj
    def copy(flags, /, **options):
        asked.update(options)
        shutil.copytree(run, options["out"])
        print("a table")
        return 1

    monkeypatch.setattr(command, "run", click.Command("run", callback=copy, params=command.run.params))
    ran = in_process("reproduce", "study", "--protocol", "fair", "--preset", "smoke", "--set", "seeds=[0]")
    assert ran.code == 1, "the exit code is that of the run"
    assert (asked["presets"], asked["sets"], asked["matrix"].name) == (
        ("fair", "smoke"),
        ("seeds=[0]",),
        "study.yaml",
    )
    assert asked["out"].name == Selection(("fair", "smoke"), ("seeds=[0]",), ()).folder("study")
    assert "48.0%" in ran.out and "inconsist" in ran.out and "Too low." in ran.out and "yes" in ran.out
    table = ran.out.partition("Paper 900")[2].partition("differs:")[0]
    assert table.count("CNN + GAN") == 1, "the method of several values is named once"
    assert "Table" not in table, "no metric has two values of a method"
    said = json.loads(in_process("reproduce", "900", "--out", "there", "--json").out)
    assert [value["differs"] for value in said["values"]][1] == "yes" and said["protocol"] == "paper"
    assert len(said["values"]) == 3, "times have no counterpart"
