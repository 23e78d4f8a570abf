"""Small run directories that are written by hand, so that the right answer is known."""

import json

import pytest

from derm_bench.rundir.frames import make_frame, write_csv
from derm_bench.rundir.schema import COMPOSITION, FIDELITY, HISTORY, RESULTS, SUBGROUPS, SUMMARY

CGAN = {"name": "cgan", "label": "cgan"}
STRATEGIES = {
    "real-only": {},
    "augmentation": {"augment": [{"name": "hflip"}]},
    "oversample": {"balance": "oversample"},
    "duplicate": {"generator": {"name": "duplicate"}, "synthetic": {"ratio": 1.0}},
    "blur": {"generator": {"name": "blur"}, "synthetic": {"ratio": 1.0}},
    "cgan": {"generator": CGAN, "synthetic": {"ratio": 1.0}},
    "cgan-3": {"generator": CGAN, "synthetic": {"ratio": 3.0}},
    "both": {"augment": [{"name": "hflip"}], "generator": CGAN, "synthetic": {"ratio": 1.0}},
    "filtered": {"generator": CGAN, "synthetic": {"ratio": 1.0, "filter": {"by": "confidence"}}},
}


def matrix_of(strategies, questions=(), baselines=(), pairs=(), **more):
    """A resolved matrix as manifest.json has it."""
    return {
        "name": "by-hand",
        "datasets": [{"name": "phantom-dermoscopy", "label": "phantom", "train_fraction": [1.0]}],
        "strategies": [{"name": name} | STRATEGIES.get(name, {"generator": {"name": name}, "synthetic": {"ratio": 1.0}})
                       for name in strategies],
        "classifiers": [{"name": "cnn", "label": "cnn", "options": {}}],
        "test_sets": [{"name": "test"}],
        "compare": {"baselines": list(baselines), "across": "strategy", "pairs": list(pairs),
                    "questions": list(questions)},
        "analysis": {"primary": "balanced_accuracy", "margin": 0.02, "alpha": 0.05},
    } | more  # fmt: skip


def row(arm, baseline, delta, half=0.01, verdict="", n=5, planned=5, **more):
    """A row of summary.csv: a comparison of the primary metric with an interval of this half-width."""
    known = half is not None
    return dict.fromkeys(SUMMARY.names) | {
        "dataset": "phantom", "train_fraction": 1.0, "test_set": "test", "strategy": arm, "classifier": "cnn",
        "metric": "balanced_accuracy", "baseline": baseline, "n_seeds": n, "n_planned": planned, "mean": 0.7,
        "delta": delta, "delta_ci_low": delta - half if known else None,
        "delta_ci_high": delta + half if known else None, "p_value": 0.004 if known else None,
        "p_holm": 0.012 if known else None, "verdict": verdict, "df": 6.0 if known else None,
        "variance_seed": (half / 2.4469) ** 2 - (half / 6) ** 2 if known else None,
        "variance_test": (half / 6) ** 2 if known else None,
        "reason": "because",
    } | more  # fmt: skip


def result(arm, seed, status="done", classifier="cnn", **more):
    return dict.fromkeys(RESULTS.names) | {
        "cell": f"phantom/{arm}/{classifier}/{seed}", "dataset": "phantom", "train_fraction": 1.0, "strategy": arm,
        "generator": "", "classifier": classifier, "seed": seed, "split_seed": 0, "classifier_seed": seed,
        "protocol": "fair", "test_set": "test", "status": status, "error": "",
    } | more  # fmt: skip


@pytest.fixture
def write(tmp_path):
    """Writes a run directory from its matrix and rows, and gives its path."""

    def write(matrix, summary, results=None, composition=(), metrics=None):
        folder = tmp_path / "run"
        folder.mkdir(exist_ok=True)
        names = [entry["name"] for entry in matrix["strategies"]]
        rows = [result(name, seed) for name in names for seed in range(5)] if results is None else results
        for table, content in (
            (RESULTS, rows), (SUMMARY, summary), (COMPOSITION, composition), (FIDELITY, ()), (HISTORY, ()),
            (SUBGROUPS, ()),
        ):  # fmt: skip
            write_csv(make_frame(list(content), table), folder / table.file)
        manifest = {"schema": 2, "matrix": matrix, "metrics": metrics or {}, "warnings": []}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return folder

    return write
