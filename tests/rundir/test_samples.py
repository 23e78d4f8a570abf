"""samples/: every sheet of a run is there and in the index, whatever classes and strategies are called."""

import json

import pytest
from PIL import Image
from tests.conftest import toy_matrix

from derm_bench.coordinates import ClassCoordinates
from derm_bench.report.data import ReportData
from derm_bench.report.pictures import pictures
from derm_bench.rundir.planned import FitStage, RunStages
from derm_bench.rundir.samples import read_index, write_samples
from derm_bench.rundir.sheet_index import SheetIndex

LABELS = ["g0", "a__b", "A", "a", "痣", "痣" * 200, "x" * 200, "last", "a/b", "preprocess"]


class Drawn:
    """Stages that have drawn a sheet of each of some classes: all that writing samples asks of the records."""

    def __init__(self, root):
        self.root = root

    def draw(self, key, classes):
        (self.root / key).mkdir()
        sheets = SheetIndex(self.root / key)
        for k, label in enumerate(classes):
            Image.new("RGB", (2 + k, 2)).save(sheets.add(label, "last"))
        sheets.write()

    def folder(self, key):
        return self.root / key if (self.root / key).is_dir() else None


def test_no_two_sheets_get_one_name_and_the_index_says_what_each_shows(tmp_path):
    drawn, fits = Drawn(tmp_path), []
    for k, strategy in enumerate(("gan", "gan__A", "GAN")):
        drawn.draw(f"{k}", LABELS)
        at = ClassCoordinates("ham", 1.0, strategy, "dcgan", 0, 7, "+".join(LABELS))
        fits.append(FitStage(at, f"fit{k}", f"health{k}", (f"{k}", "not there")))
    write_samples(RunStages({}, fits=fits), drawn, tmp_path / "samples")
    sheets = read_index(tmp_path / "samples")
    assert [(s.strategy, s.class_name) for s in sheets] == [
        (strategy, label) for strategy in ("gan", "gan__A", "GAN") for label in LABELS
    ]
    assert (
        len({s.file.casefold() for s in sheets}) == len(sheets) == len(list(tmp_path.glob("samples/*.png")))
    )
    for place, sheet in enumerate(sheets):
        with Image.open(tmp_path / "samples" / sheet.file) as image:
            assert image.width == 2 + place % len(LABELS), "each name leads to its own picture"


@pytest.mark.parametrize("names", [("g0", "a__b", "痣" * 200), ("A", "a", "y" * 200)], ids=["odd", "alike"])
def test_a_run_shows_its_sheets_under_the_labels_of_the_matrix(in_process, write_matrix, tmp_path, names):
    dataset = toy_matrix()["dataset"] | {
        "images": 60, "preprocess": [{"gamma": 1.5}],
        "classes": {names[0]: ["red"], names[1]: ["green"], names[2]: ["blue"]},
    }  # fmt: skip
    strategies = [{"name": "copies__g1", "generator": {"name": "duplicate"}, "synthetic": {"per_class": 9}}]
    matrix = write_matrix(dataset=dataset, strategies=strategies, seeds=[0])
    ran = in_process("run", matrix, "--out", "out")
    assert ran.code == 0, ran.err
    entries = json.loads((tmp_path / "out/samples/index.json").read_text())
    assert sorted((e["class"], e["shows"], e["strategy"], e["seed"], e["real"]) for e in entries) == sorted(
        [(name, "last", "copies__g1", 0, False) for name in names]
        + [(name, "neighbours", "copies__g1", 0, True) for name in names]
        + [(name, "preprocessing", None, None, True) for name in names],
        key=lambda row: row[:2],
    )
    assert {e["file"] for e in entries} == {path.name for path in (tmp_path / "out/samples").glob("*.png")}
    shown = pictures(ReportData.load(tmp_path / "out"))
    assert {p.heading for p in shown} == {"copies__g1", "toy-blobs"}
    assert {p.label for p in shown if p.preprocessing} == set(names)
