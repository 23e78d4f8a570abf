"""A made-up but realistic run directory: seeded numbers, files as the contract names them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from derm_bench.report.samples import label_grid
from derm_bench.rundir.arms import Arms
from derm_bench.rundir.cell_predictions import CellPredictions
from derm_bench.rundir.comparison import Analysis
from derm_bench.rundir.frames import make_frame, to_rows, write_csv
from derm_bench.rundir.pairs import pair_rows
from derm_bench.rundir.sampled import sampled_scores
from derm_bench.rundir.schema import COMPOSITION, FIDELITY, HISTORY, PAIRS, RESULTS, SUBGROUPS, SUMMARY
from derm_bench.rundir.subgroups import subgroup_rows
from derm_bench.rundir.summary import comparisons_of, summarise
from derm_bench.scoring import Predictions, higher_is_better

CLASSES = ("mel", "nv", "bkl")
TEST = {"mel": 40, "nv": 60, "bkl": 30}
METRICS = ("accuracy", "balanced_accuracy", "auc_macro", "log_loss", "ece")
# Label -> (what it adds to the scores, synthetic images a class, generator).
STRATEGIES = {
    "real-only": (0.0, 0, ""),
    "geometric": (0.05, 0, ""),
    "dcgan-balance": (0.02, 120, "dcgan"),
    "<script>alert('x')</script>": (-0.06, 60, "acgan[base=32,lr=0.001,classes=#2]"),
}
Options = dict[str, object]


def scores(rng, gain):
    """Probabilities [N,3] that are right more often the greater the gain, and the labels."""
    labels = np.repeat(np.arange(3), list(TEST.values()))
    logits = rng.normal(size=(len(labels), 3)) + (1.1 + 6 * gain) * np.eye(3)[labels]
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return labels, proba


def metrics(labels, proba):
    predicted = proba.argmax(axis=1)
    recall = [float((predicted[labels == k] == k).mean()) for k in range(3)]
    values = {
        "accuracy": float((predicted == labels).mean()),
        "balanced_accuracy": float(np.mean(recall)),
        "auc_macro": 0.8 + float(np.mean(recall)) / 10,
        "log_loss": float(-np.log(proba[np.arange(len(labels)), labels]).mean()),
        "ece": 0.05,
    }
    for name, value in zip(CLASSES, recall, strict=True):
        values |= {f"recall_{name}": value, f"precision_{name}": value, f"auc_{name}": 0.8 + value / 10}
    return values


def cells(strategies, classifiers, seeds, fractions):
    for fraction in fractions:
        for strategy in strategies:
            for classifier in classifiers:
                for seed in seeds:
                    yield fraction, strategy, classifier, seed


def status_of(fraction, strategy, classifier, seed, everything):
    if everything != "mixed":
        return everything, "" if everything == "done" else "out of memory: <b>8 GB</b> asked"
    if (fraction, strategy, classifier, seed) == (0.5, "dcgan-balance", "resnet18", 2):
        return "failed", "RuntimeError: loss was <nan> & the weights of `conv1` are gone"
    if strategy.startswith("<script>") and fraction == 0.5 and seed == 1:
        return "skipped", "needs fit of acgan (class mel, seed 1), which diverged"
    return "done", ""


def write_run(
    folder: Path,
    *,
    strategies=STRATEGIES,
    classifiers=("dermagan-cnn", "resnet18"),
    seeds=(0, 1, 2),
    fractions=(0.5, 1.0),
    everything="mixed",
    predictions=True,
    primary="balanced_accuracy",
) -> Path:
    """Writes a run directory; `everything` is the status of all cells (mixed: done but for a few)."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(7)
    results, parts, history = [], [], []
    for fraction, strategy, classifier, seed in cells(strategies, classifiers, seeds, fractions):
        gain, extra, generator = strategies[strategy]
        status, error = status_of(fraction, strategy, classifier, seed, everything)
        name = f"phantom@{fraction:g}/{strategy}/{classifier}/{seed}"
        row = dict.fromkeys(RESULTS.names, "") | {
            "cell": name, "dataset": "phantom", "train_fraction": fraction, "strategy": strategy,
            "generator": generator, "classifier": classifier, "seed": seed, "split_seed": 0,
            "generator_seed": seed if generator else "", "classifier_seed": seed, "protocol": "fair",
            "test_set": "test", "status": status, "error": error,
        }  # fmt: skip
        if status == "done":
            labels, proba = scores(rng, gain + 0.1 * (fraction - 1) + rng.normal() / 60)
            row |= metrics(labels, proba) | {
                "n_train_real": round(600 * fraction), "n_train_synthetic": 2 * extra, "n_test": 130,
                "updates": 400, "generator_seconds": 31.5 if generator else 0.0,
                "generator_seconds_shared": 10.5 if generator else 0.0, "train_seconds": 12 + rng.random(),
                "eval_seconds": 0.4, "peak_memory_mb": 812.0, "peak_device_mb": 0.0,
            }  # fmt: skip
            parts.append((name, labels, proba))
            history += classifier_history(rng, fraction, f"{strategy}/{classifier}", seed, gain)
        results.append(row)
    generators = {name: entry for name, entry in strategies.items() if entry[2]}
    fidelity = fidelity_rows(rng, generators, seeds, fractions)
    history += [
        row for name in generators for f in fractions for s in seeds for row in gan_history(rng, f, name, s)
    ]
    names = [f"{m}_{c}" for c in CLASSES for m in ("recall", "precision", "auc")]
    made = make_frame(results, RESULTS, (*METRICS, *names))
    scored = make_frame(fidelity, FIDELITY)
    write_csv(made, folder / "results.csv")
    source = Source(parts if predictions else ())
    analysis = Analysis(primary, classes=CLASSES, higher_is_better=higher_is_better(primary))
    sampled = sampled_scores(source, primary) if predictions else None
    summary = summarise(to_rows(made), to_rows(scored), analysis=analysis, sampled=sampled)
    write_csv(make_frame(summary, SUMMARY), folder / "summary.csv")
    write_csv(make_frame(subgroup_rows(to_rows(made), source), SUBGROUPS), folder / "subgroups.csv")
    arms = Arms.of(list(to_rows(made)))
    write_csv(make_frame(pair_rows(arms, comparisons_of(arms, None), source), PAIRS), folder / "pairs.csv")
    write_csv(scored, folder / "fidelity.csv")
    composition = make_frame(composition_rows(strategies, seeds, fractions), COMPOSITION)
    write_csv(composition, folder / "composition.csv")
    write_csv(make_frame(history, HISTORY), folder / "history.csv")
    if predictions and parts:
        pq.write_table(prediction_table(parts), folder / "predictions.parquet")
    write_samples(rng, folder / "samples", generators)
    manifest = fake_manifest(strategies, classifiers, seeds, fractions, primary)
    manifest["metrics"] |= {
        name: {"higher_is_better": higher_is_better(name), "level": "predictions"}
        for name in (*METRICS, *names)
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def classifier_history(rng, fraction, name, seed, gain):
    for step in range(20, 401, 20):
        base = {
            "dataset": "phantom", "train_fraction": fraction, "stage": "t1", "role": "classifier",
            "name": name,
            "class": "", "seed": seed, "step": step, "images": step * 64, "epoch": step / 10,
        }  # fmt: skip
        loss = 1.1 * np.exp(-step / 200) + 0.05 * rng.random()
        yield base | {"split": "train", "metric": "loss", "value": float(loss)}
        if step % 100 == 0:
            value = 0.75 + gain - 0.4 * np.exp(-step / 100) + 0.02 * rng.random()
            yield base | {"split": "val", "metric": "balanced_accuracy", "value": float(value)}


def gan_history(rng, fraction, name, seed):
    for label in CLASSES:
        for step in range(10, 701, 10):
            base = {
                "dataset": "phantom", "train_fraction": fraction, "stage": "f1", "role": "generator",
                "name": name,
                "class": label, "seed": seed, "step": step, "images": step * 64, "epoch": step / 10,
                "split": "train",
            }  # fmt: skip
            yield base | {
                "metric": "d_loss",
                "value": float(0.6 + 0.6 * np.exp(-step / 90) + 0.1 * rng.normal()),
            }
            yield base | {"metric": "g_loss", "value": float(1.8 - np.exp(-step / 90) + 0.25 * rng.normal())}


def fidelity_rows(rng, generators, seeds, fractions):
    rows = []
    for fraction in fractions:
        for label in CLASSES:
            for metric, low, high in (("fd_domain", 2.1, 480.0), ("kid_domain", 0.001, 0.9)):
                base = dict.fromkeys(FIDELITY.names, "") | {
                    "dataset": "phantom", "train_fraction": fraction, "split_seed": 0, "class": label,
                    "metric": metric, "extractor": "domain@1f2e3d", "reference": "train-half-a",
                    "n_real": 100,
                    "n_synthetic": 100,
                }  # fmt: skip
                for control, value in (("real-holdout", low), ("noise", high)):
                    rows.append(base | {"strategy": "control", "generator": control, "value": value})
                for name, entry in generators.items():
                    for seed in seeds:
                        for step in (350, 700):
                            value = float(low * (6 + 1400 / step + rng.normal()))
                            own = {
                                "strategy": name,
                                "generator": entry[2],
                                "generator_seed": seed,
                                "step": step,
                            }
                            rows.append(base | own | {"value": value})
    return rows


def composition_rows(strategies, seeds, fractions):
    for fraction in fractions:
        for name, (_, extra, generator) in strategies.items():
            for seed in seeds:
                for split, count in (("train", 200 * fraction), ("val", 30), ("test", 40)):
                    for k, label in enumerate(CLASSES):
                        yield {
                            "dataset": "phantom", "train_fraction": fraction, "strategy": name,
                            "generator": generator, "split_seed": 0,
                            "generator_seed": seed if generator else "",
                            "split": split, "class": label, "real": round(count / (k + 1)),
                            "synthetic": extra * (k > 0) if split == "train" else 0,
                        }  # fmt: skip


class Source:
    """The predictions of the made-up cells (`derm_bench.rundir.cell_predictions.PredictionSource`)."""

    def __init__(self, parts):
        self.parts = {name: (labels, proba) for name, labels, proba in parts}

    def of(self, cell, test_set):
        if cell not in self.parts:
            return None
        labels, proba = self.parts[cell]
        ids, groups = (
            [f"{letter}{k // n}" for k in range(len(labels))] for letter, n in (("i", 1), ("g", 2))
        )
        attributes = {name: column(len(labels)) for name, column in ATTRIBUTES.items()}
        return CellPredictions.sorted(ids, groups, Predictions.checked(labels, proba, CLASSES), attributes)


ATTRIBUTES = {
    "sex": lambda n: [("female", "male", None)[k % 3] for k in range(n)],
    "age": lambda n: [float(20 + k % 65) for k in range(n)],
}


def prediction_table(parts):
    columns: dict[str, list] = {}
    for name, labels, proba in parts:
        rows = {
            "cell": [name] * len(labels),
            "split": ["test"] * len(labels),
            "test_set": ["test"] * len(labels),
            "image_id": [f"i{k}" for k in range(len(labels))],
            "group": [f"g{k // 2}" for k in range(len(labels))],
            "label": [CLASSES[k] for k in labels],
            "predicted": [CLASSES[k] for k in proba.argmax(axis=1)],
        } | {f"p_{c}": proba[:, k].tolist() for k, c in enumerate(CLASSES)}
        rows |= {name: column(len(labels)) for name, column in ATTRIBUTES.items()}
        for column, values in rows.items():
            columns.setdefault(column, []).extend(values)
    return pa.table(columns)


def write_samples(rng, folder, generators):
    folder.mkdir()
    entries = []
    for position, label in enumerate(CLASSES):
        y, x = np.mgrid[:64, :64] - 32
        blob = np.hypot(x, y)[None, None] < rng.uniform(8, 26, size=(16, 1, 1, 1))
        skin, lesion = np.array([226, 180, 160 - 20 * position]), np.array([110, 62, 50])
        images = np.where(blob, lesion[None, :, None, None], skin[None, :, None, None]) + rng.normal(
            0, 8, (16, 3, 64, 64)
        )
        for name in ["dcgan-balance"] * bool(generators):
            for step in (350, 700):
                file = f"{len(entries)}.png"
                entries.append(sheet_entry(file, name, label, step=step))
                words = f"{name}, seed 0, {step} updates"
                label_grid(images.clip(0, 255).astype(np.uint8), label, words, folder / file)
    (folder / "index.json").write_text(json.dumps(entries))


def sheet_entry(file, strategy, label, **more):
    """An entry of samples/index.json."""
    return {
        "file": file, "shows": "last", "dataset": "phantom", "strategy": strategy, "generator": "dcgan",
        "class": label, "seed": 0, "step": None, "real": False, "licence": "",
    } | more  # fmt: skip


def fake_manifest(strategies, classifiers, seeds, fractions, primary):
    return {
        "schema": 2,
        "matrix": {
            "name": "fake & <b>bold</b>",
            "protocol": {"name": "fair", "allow": []},
            "datasets": [
                {"name": "phantom-dermoscopy", "label": "phantom", "size": 64, "train_fraction": fractions}
            ],
            "seeds": {"together": list(seeds)},
            "budget": {"updates": 400},
            "strategies": [{"name": name} for name in strategies],
            "classifiers": [{"name": name, "label": name} for name in classifiers],
            "analysis": {"primary": primary, "margin": 0.02, "alpha": 0.05},
        },
        "distributions": {"derm-bench": "0.1.0", "torch": "2.12.0", "numpy": "2.4.6"},
        "environment": {"python": "3.11.2", "platform": "Linux x86_64", "device": "cpu"},
        "datasets": {"phantom": {"licence": "CC0", "citation": "Nobody & others 2020, <i>Phantoms</i>"}},
        "notes": {
            "phantom": [
                {"text": "transparent pixels were put on white", "count": 12, "names": ["<b>.png", "a.png"]}
            ]
        },
        "metrics": {
            "fd_domain": {"higher_is_better": False, "level": "images"},
            "kid_domain": {"higher_is_better": False, "level": "images"},
        },
        "split_digests": {"phantom@0.5/0": "ab" * 32, "phantom/0": "cd" * 32},
        "git": {"commit": "0123456789abcdef0123456789abcdef01234567", "dirty": True},
        "protocol_version": 1,
        "digests": {"results.csv": "ef" * 32},
        "warnings": ["dcgan was fitted for 700 updates a class; its <i>images</i> are illustrative"],
        "health": [
            {
                "dataset": "phantom",
                "train_fraction": 1.0,
                "strategy": "dcgan",
                "generator": "dcgan",
                "split_seed": 0,
                "generator_seed": 0,
                "class": label,
                "figures": {"distance_ratio": 1.2, "coarse_ratio": coarse},
                "flags": ["nearly one image, whatever noise is on it"] if coarse < 0.25 else [],
            }
            for label, coarse in (("mel", 0.031), ("nv", 0.92))
        ],
    }


@pytest.fixture
def make_run(tmp_path) -> Callable[..., Path]:
    """Writes a fake run directory with the given options and gives its path."""
    return lambda **options: write_run(tmp_path / "run", **options)


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory) -> Path:
    """The fake run directory with everything in it; to be read only."""
    return write_run(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture(scope="session")
def whole_figures(whole_run, tmp_path_factory) -> Path:
    """The figures of `whole_run`."""
    from derm_bench.report.data import ReportData
    from derm_bench.report.figures import make_figures

    folder = tmp_path_factory.mktemp("figures")
    make_figures(ReportData.load(whole_run), folder)
    return folder


@pytest.fixture(scope="session")
def strategies():
    """Options of the fake run's strategies by label."""
    return STRATEGIES
