"""McNemar's and DeLong's tests of pairs of trained models: in pairs.csv and the report, where they are valid."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar as by_statsmodels
from tests.conftest import read_csv, toy_matrix

from derm_bench.rundir.arms import Arms
from derm_bench.rundir.cell_predictions import CellPredictions
from derm_bench.rundir.pairs import FEW, OTHER_IMAGES, pair_rows
from derm_bench.scoring.predictions import Predictions

ARM, BASE = (("d", "1.0", "test", name, "c") for name in ("gan", "real-only"))


class Source:
    """Predictions of two cells on the same 60 images of 30 lesions, two of each."""

    def __init__(self, classes=("a", "b"), labels=None):
        rng = np.random.default_rng(0)
        labels = np.arange(60) % len(classes) if labels is None else labels
        self.ids = [f"{i:02d}" for i in range(60)]
        self.groups = [f"lesion {i % 30}" for i in range(60)]
        self.cells = {
            cell: Predictions(labels, rng.dirichlet(np.ones(len(classes)), 60), classes)
            for cell in ("gan", "real")
        }

    def of(self, cell, test_set):
        return CellPredictions.sorted(self.ids, self.groups, self.cells[cell], {})


def rows_of(source):
    def row(cell, strategy):
        at = {
            "dataset": "d",
            "train_fraction": 1.0,
            "test_set": "test",
            "strategy": strategy,
            "classifier": "c",
        }
        seeds = {"split_seed": 0, "classifier_seed": 0, "generator_seed": None}
        return {**at, **seeds, "cell": cell, "status": "done", "accuracy": 0.5}

    arms = Arms.of([row("gan", "gan"), row("real", "real-only")])
    return list(pair_rows(arms, {ARM: [("real-only", BASE)], BASE: []}, source))


def test_one_image_of_each_lesion_is_tested_and_the_numbers_are_those_of_the_libraries():
    source = Source()
    first, second = rows_of(source)
    assert (first["test"], second["test"], second["class"]) == ("mcnemar", "delong", "b")
    assert first["n_images"] == second["n_images"] == 30
    hits = [p.proba[:30].argmax(1) == p.labels[:30] for p in source.cells.values()]
    table = [[(x & y).sum() for y in (hits[1], ~hits[1])] for x in (hits[0], ~hits[0])]
    assert (first["value"], first["baseline_value"]) == (table[0][1], table[1][0])
    assert first["p_value"] == pytest.approx(by_statsmodels(table, exact=True).pvalue)
    areas = [roc_auc_score(p.labels[:30], p.proba[:30, 1]) for p in source.cells.values()]
    assert [second["value"], second["baseline_value"]] == pytest.approx(areas)


def test_each_of_several_classes_has_its_own_area_and_a_class_without_images_a_reason():
    found = rows_of(Source(("a", "b", "c"), np.arange(60) % 2))
    assert [(row["test"], row["class"]) for row in found[1:]] == [("delong", name) for name in "abc"]
    assert [row["note"] for row in found] == ["", "", "", FEW] and np.isnan(found[-1]["p_value"])


def test_models_that_were_scored_on_different_images_have_a_reason_and_no_test():
    class Other(Source):
        def of(self, cell, test_set):
            found = super().of(cell, test_set)
            return found if cell == "gan" else CellPredictions([f"x{i}" for i in found.ids], *_rest(found))

    (row,) = rows_of(Other())
    assert row["note"] == OTHER_IMAGES and np.isnan(row["p_value"])


def _rest(found):
    return found.groups, found.predictions, found.attributes


def test_a_run_has_the_tests_of_each_seed_and_verifies_and_a_directory_without_them_is_read(
    in_process, write_matrix, tmp_path
):
    strategies = [{"name": "real-only"}, {"name": "flipped", "augment": ["hflip"]}]
    ran = in_process("run", write_matrix(toy_matrix(strategies=strategies)), "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    rows = read_csv(tmp_path / "out/pairs.csv")
    assert {(row["cell"], row["baseline_cell"]) for row in rows} == {
        (f"toy-blobs/flipped/toy-centroid/{k}", f"toy-blobs/real-only/toy-centroid/{k}") for k in (0, 1)
    }
    assert [row["class"] for row in rows[:4]] == ["", "red", "green", "blue"]
    assert "## Pairs of trained models" in (tmp_path / "out/report.md").read_text()
    assert in_process("verify", tmp_path / "out").code == 0
    text = (tmp_path / "out/pairs.csv").read_text()
    (tmp_path / "out/pairs.csv").write_text(text.replace("mcnemar", "delong", 1))
    assert in_process("verify", tmp_path / "out").code == 1
    (tmp_path / "out/pairs.csv").unlink()
    assert in_process("report", tmp_path / "out").code == 0
