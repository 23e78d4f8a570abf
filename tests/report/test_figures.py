"""Figures: made for whatever a run holds, the same every time, harmless labels."""

import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from derm_bench.report import view
from derm_bench.report.data import ReportData
from derm_bench.report.facts import facts
from derm_bench.report.figures import make_figures, read_figures
from derm_bench.report.plots import looks
from derm_bench.report.samples import Row, label_grid, row_sheet
from derm_bench.report.score_figures import deltas
from derm_bench.rundir.frames import make_frame
from derm_bench.rundir.manifest import metric_directions
from derm_bench.rundir.schema import FIDELITY, RESULTS
from derm_bench.specs import MetricSpec


def test_every_section_has_figures_and_all_are_plain_svg(whole_figures):
    made = read_figures(whole_figures)
    assert {f.section for f in made} == {"scores", "classes", "fidelity", "training", "data"}
    assert {f.file for f in made} == {path.name for path in whole_figures.glob("*.svg")}
    assert all(f.caption and f.title for f in made)
    for file in made:
        content = (whole_figures / file.file).read_text()
        tags = {element.tag.rpartition("}")[2] for element in ET.fromstring(content).iter()}
        assert not tags & {"script", "foreignObject", "image"}


def test_the_report_needs_no_torch_and_no_global_matplotlib():
    code = (
        "import sys, derm_bench.report.html, derm_bench.report.score_figures, "
        "derm_bench.report.training_figures; "
        "sys.exit(bool({'torch', 'matplotlib', 'pandas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_same_tables_give_the_same_bytes(make_run, tmp_path):
    data = ReportData.load(
        make_run(strategies={"real-only": (0.0, 0, "")}, fractions=(1.0,), classifiers=("net",))
    )
    for name in ("a", "b"):
        make_figures(data, tmp_path / name)
    for file in (tmp_path / "a").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / file.name).read_bytes()


@pytest.mark.parametrize(
    ("options", "sections"),
    [
        ({"everything": "failed"}, {"fidelity", "training", "data"}),
        ({"seeds": (0,)}, {"scores", "classes", "fidelity", "training", "data"}),
        (
            {"strategies": {"only": (0.0, 0, "")}, "predictions": False},
            {"scores", "classes", "training", "data"},
        ),
        ({"classifiers": ()}, {"fidelity", "training", "data"}),
    ],
    ids=["all failed", "one seed", "no generator, no predictions", "no classifier"],
)
def test_lean_runs_get_the_figures_they_have_numbers_for(make_run, tmp_path, strategies, options, sections):
    few = dict(list(strategies.items())[:3])
    folder = make_run(**{"strategies": few, "classifiers": ("net",), "fractions": (1.0,), **options})
    made = make_figures(ReportData.load(folder), tmp_path / "out")
    assert read_figures(tmp_path / "out") == made
    assert {f.section for f in made} == sections


def test_thirty_strategies_with_long_labels(make_run, tmp_path):
    strategies = {"real-only": (0.0, 0, "")}
    strategies |= {
        f"gan[base={k},lr=0.0{k},preprocess=#{k},$x$ a very long label indeed]": (0.01, 5, "")
        for k in range(29)
    }
    folder = make_run(
        strategies=strategies, seeds=(0,), fractions=(1.0,), classifiers=("net",), predictions=False
    )
    made = make_figures(ReportData.load(folder), tmp_path / "out")
    assert sum(f.name.startswith("curves") for f in made) == 5  # six a panel, the baseline in each


def test_a_strategy_looks_the_same_in_every_figure_and_unlike_the_others(whole_run, strategies):
    look = looks(ReportData.load(whole_run))
    assert len({(v.color, v.marker) for v in look.values()}) == len(strategies)
    assert look["real-only"].color == "#4D4D4D"


def test_contact_sheet_names_the_class_and_shows_every_image(tmp_path):
    images = np.zeros((10, 3, 16, 16), np.uint8)
    images[:, 0] = 200
    label_grid(images, "mel <b>", "a subtitle", tmp_path / "grid.png", columns=4, scale=2)
    with Image.open(tmp_path / "grid.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    red = (pixels == (200, 0, 0)).all(axis=2).sum()
    assert red == 10 * 32 * 32
    assert (pixels[:24].max(axis=2) < 100).any()  # dark letters in the strip


def test_snapshot_sheet_has_a_row_a_step(tmp_path):
    images = np.full((3, 3, 16, 16), 255, np.uint8)
    images[:, 1:] = 0
    rows = [Row(images, "100 updates"), Row(images, "200 updates")]
    row_sheet(rows, "nv", "dcgan", tmp_path / "s.png", scale=2)
    with Image.open(tmp_path / "s.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"))
    assert (pixels == (255, 0, 0)).all(axis=2).sum() == 6 * 32 * 32


def test_contact_sheet_refuses_floats(tmp_path):
    with pytest.raises(ValueError, match="uint8"):
        label_grid(np.zeros((1, 3, 8, 8)), "a", "b", tmp_path / "x.png")


def test_where_lower_is_better_figures_and_tables_say_so(make_run, tmp_path, strategies):
    few = dict(list(strategies.items())[:3])
    folder = make_run(
        strategies=few,
        classifiers=("net",),
        fractions=(1.0,),
        seeds=(0, 1),
        primary="log_loss",
        predictions=False,
    )
    data = ReportData.load(folder)
    captions = {file.name: file.caption for file in make_figures(data, tmp_path / "out")}
    (delta,) = [caption for name, caption in captions.items() if name.startswith("delta-")]
    assert "Left of zero is better" in delta and "Right of zero" not in delta
    assert "Lower is better" in next(c for name, c in captions.items() if name.startswith("forest-"))
    assert "Lower is better" in next(c for name, c in captions.items() if name.startswith("fidelity-phantom"))
    (table,) = view.headline(data)
    assert table.header[2] == "log loss (lower is better)" and "below zero is better" in table.note
    assert ("Primary metric", "log loss (lower is better)") in facts(data)
    axes = deltas(data, data.groups[0], "real-only").axes[0]
    assert axes.get_xlabel() == "difference in log loss, lower is better"


def test_where_higher_is_better_right_of_zero_is(whole_figures):
    captions = [file.caption for file in read_figures(whole_figures) if file.name.startswith("delta-")]
    assert captions and all("Right of zero is better" in caption for caption in captions)


def test_the_direction_of_a_plugin_metric_is_that_of_its_spec():
    specs = [
        MetricSpec(name="regret", summary="", create="x:y", level="predictions", higher_is_better=False),
        MetricSpec(name="gain", summary="", create="x:y", level="predictions", higher_is_better=True),
        MetricSpec(name="distance", summary="", create="x:y", level="images", higher_is_better=False),
    ]
    tables = {
        "results": make_frame([], RESULTS, ["log_loss", "recall_mel", "regret_mean", "gain", "unheard_of"]),
        "fidelity": make_frame([{"metric": "distance"}], FIDELITY),
    }
    found = metric_directions(tables, ("mel",), specs)
    assert {name: entry["higher_is_better"] for name, entry in found.items()} == {
        "log_loss": False, "recall_mel": True, "regret_mean": False, "gain": True,
        "distance": False,
    }  # fmt: skip


def test_nothing_is_said_of_a_metric_whose_direction_nobody_states(make_run):
    data = ReportData.load(make_run(classifiers=("net",), fractions=(1.0,), seeds=(0,), primary="mystery"))
    assert data.higher_is_better("mystery") is None and data.direction("mystery") == ""
