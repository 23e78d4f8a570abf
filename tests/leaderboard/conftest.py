"""Finished run directories made up in a second: real predictions at chosen levels, and everything that follows."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from derm_bench.coordinates import Coordinates
from derm_bench.leaderboard.add import Added, add
from derm_bench.leaderboard.build import build
from derm_bench.leaderboard.taken import Asked
from derm_bench.plugins import Plugins
from derm_bench.report.samples import label_grid
from derm_bench.rundir.cell_predictions import DirectoryPredictions
from derm_bench.rundir.frames import make_frame, write_csv
from derm_bench.rundir.manifest import seal
from derm_bench.rundir.planned import CellStages, RunStages, SplitUse
from derm_bench.rundir.schema import COMPOSITION, FIDELITY, HISTORY, RESULTS, SCHEMA
from derm_bench.rundir.scored_cells import AllPredictions
from derm_bench.rundir.tables import compared_tables
from derm_bench.scoring import classification_metrics, metric_names
from derm_bench.splits import PlannedSplit

CLASSES = ("mel", "nv", "bkl")
ARMS = {"real-only": 0.5, "flipped": 0.55, "gan": 4.0}
"""How much the logit of the true class is raised."""
Arms = dict[str, float]


def make_split(seed: int = 0, images: int = 240) -> PlannedSplit:
    """Images in groups of two; a seed moves them between the parts."""
    ids = tuple(f"image{k:04d}" for k in range(images))
    groups = tuple(f"lesion{k // 2:03d}" for k in range(images))
    labels = tuple(CLASSES[k // 2 % 3] for k in range(images))
    parts = tuple(("train", "test", "test", "val", "train")[(k // 2 + seed) // 3 % 5] for k in range(images))
    return PlannedSplit(ids, labels, groups, parts, CLASSES)


def make_run(
    folder: Path,
    arms: Arms = ARMS,
    *,
    seeds: tuple[int, ...] = (0, 1, 2),
    splits: tuple[int, ...] = (0,),
    failed: tuple[str, ...] = (),
    rng: int = 1,
    changes: dict | None = None,
    dropped: tuple[str, ...] = (),
    clean: dict | None = None,
) -> Path:
    """Write a run directory that `verify` agrees with. failed: names of cells that diverged. changes: of the manifest.
    dropped: images that no cell predicts; clean: what the matrix says about dropping images."""
    planned = {seed: make_split(seed) for seed in splits}
    cells, rows, tables = [], [], []
    random = np.random.default_rng(rng)
    for strategy, gain in arms.items():
        for split_seed in splits:
            for seed in seeds:
                cell = make_cell(strategy, split_seed, seed, len(splits) > 1)
                cells.append(cell)
                row = make_row(cell)
                if cell.name in failed:
                    rows.append(row | {"status": "diverged", "error": "the loss is NaN"})
                    continue
                predictions, scores = make_predictions(cell, planned[split_seed], gain, random, dropped)
                tables.append(predictions)
                rows.append(row | scores)
    matrix = make_matrix(arms, seeds)
    matrix["datasets"][0]["clean"] = clean or {}
    stages = RunStages(
        matrix,
        cells=cells,
        splits=[SplitUse("moles", k, split.digest, CLASSES, True) for k, split in planned.items()],
    )
    write_all(folder, stages, planned, rows, pa.concat_tables(tables))
    write_manifest(folder, stages, changes or {})
    return folder


def make_cell(strategy: str, split_seed: int, seed: int, several: bool) -> CellStages:
    generator = "dcgan" if strategy == "gan" else ""
    at = Coordinates("moles", 1.0, strategy, generator, split_seed, seed if generator else None)
    name = f"moles/{strategy}/tiny/" + (f"s{split_seed}-c{seed}" if several else str(seed))
    key = hashlib.sha1(name.encode()).hexdigest()
    return CellStages(at, name, "tiny", seed, seed, key, {"test": key[::-1]}, (), ())


def make_row(cell: CellStages) -> dict:
    return cell.at.columns() | {
        "cell": cell.name, "classifier": "tiny", "seed": cell.seed, "classifier_seed": cell.classifier_seed,
        "protocol": "fair", "test_set": "test", "status": "done", "n_train_real": 40, "n_train_synthetic": 0,
        "updates": 100, "train_seconds": 1.5, "peak_memory_mb": 300.0,
    }  # fmt: skip


def make_predictions(cell, split, gain, random, dropped=()):
    parts = {}
    for part in ("val", "test"):
        where = [k for k in split.indices(part) if split.ids[k] not in dropped]
        labels = np.array([CLASSES.index(split.labels[k]) for k in where])
        logits = random.normal(size=(len(labels), 3)) + gain * np.eye(3)[labels]
        parts[part] = where, labels, np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    (_, val_labels, val_proba), (_, labels, proba) = parts["val"], parts["test"]
    scores = classification_metrics(labels, proba, CLASSES, val_labels=val_labels, val_proba=val_proba)
    columns: dict[str, list] = {}
    for part, (where, _, p) in parts.items():
        rows = {
            "cell": [cell.name] * len(where),
            "split": [part] * len(where),
            "test_set": ["test" if part == "test" else ""] * len(where),
            "image_id": [split.ids[k] for k in where],
            "group": [split.groups[k] for k in where],
            "label": [split.labels[k] for k in where],
            "predicted": [CLASSES[k] for k in p.argmax(1)],
        } | {f"p_{name}": p[:, k].tolist() for k, name in enumerate(CLASSES)}
        rows["sex"] = ["female"] * len(where)
        for name, values in rows.items():
            columns.setdefault(name, []).extend(values)
    return pa.table(columns), scores | {"n_test": len(labels)}


def make_matrix(arms: Arms, seeds: tuple[int, ...]) -> dict:
    generator = {"name": "dcgan", "label": "dcgan", "options": {}}
    return {
        "name": "moles-study",
        "file": "matrix.yaml",
        "protocol": {"name": "fair", "allow": []},
        "datasets": [{"name": "phantom-dermoscopy", "label": "moles", "size": 32, "resize": "center-crop",
                      "options": {"seed": 0, "root": ".../moles"}, "train_fraction": [1.0]}],
        "seeds": {"together": list(seeds)},
        "test_sets": [{"name": "test"}],
        "strategies": [{"name": name, "seed_offset": 0, "generator": generator if name == "gan" else None}
                       for name in arms],
        "classifiers": [{"name": "tiny", "label": "tiny"}],
        "metrics": [],
        "compare": {"baselines": [], "across": "strategy", "pairs": [], "questions": []},
        "analysis": {"primary": "balanced_accuracy", "margin": 0.02, "alpha": 0.05, "sweeps": "all"},
    }  # fmt: skip


def write_all(folder, stages, planned, rows, predictions) -> None:
    folder.mkdir(parents=True)
    (folder / "splits").mkdir()
    for seed, split in planned.items():
        (folder / "splits" / f"moles-s{seed}.csv").write_bytes(split.csv)
    pq.write_table(predictions, folder / "predictions.parquet")
    results = make_frame(rows, RESULTS, metric_names(CLASSES))
    fidelity = make_frame([
        {"dataset": "moles", "train_fraction": 1.0, "strategy": "gan", "generator": "dcgan", "split_seed": seed,
         "generator_seed": 0, "class": "mel", "metric": "fd_domain", "step": "last", "value": 3.5}
        for seed in planned
    ], FIDELITY)  # fmt: skip
    composition = make_frame([], COMPOSITION)
    source = DirectoryPredictions(stages, AllPredictions(folder / "predictions.parquet"))
    compared = compared_tables(stages, results, fidelity, composition, source)
    frames = {"results": results, "fidelity": fidelity, "composition": composition,
              "history": make_frame([], HISTORY), **compared}  # fmt: skip
    for name, frame in frames.items():
        write_csv(frame, folder / f"{name}.csv")
    (folder / "samples").mkdir()
    images = np.random.default_rng(0).integers(0, 255, (16, 3, 32, 32), np.uint8)
    label_grid(images, "mel", "gan, seed 0", folder / "samples" / "a.png")
    label_grid(images, "mel", "real images", folder / "samples" / "b.png")
    sheet = {
        "dataset": "moles",
        "strategy": "gan",
        "generator": "dcgan",
        "class": "mel",
        "seed": 0,
        "step": None,
    }
    sheets = [
        {"file": "a.png", "shows": "last", "real": False, "licence": "", **sheet},
        {"file": "b.png", "shows": "neighbours", "real": True, "licence": "CC0 1.0", **sheet},
    ]
    (folder / "samples" / "index.json").write_text(json.dumps(sheets))


def write_manifest(folder: Path, stages: RunStages, changes: dict) -> None:
    manifest = {
        "schema": SCHEMA, "derm_bench": "0.1.0", "protocol_version": "2", "selection": "",
        "command": ["derm-bench", "run", "matrix.yaml"], "distributions": {"torch": "2.7.0"},
        "machine": {"device": "cpu", "precision": "fp32"}, "git": None, "matrix": stages.matrix,
        "datasets": {"moles": {"licence": "CC0 1.0", "citation": "Moles, 2024"}}, "metrics": {},
        "splits": {f"{split.dataset}/{split.seed}": split.digest for split in stages.splits},
        "plan": {"stages": stages.dump(), "statuses": {}},
    } | changes  # fmt: skip
    manifest["files"] = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    seal(folder)


@pytest.fixture(scope="session")
def plugins() -> Plugins:
    return Plugins(builtins_only=True)


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    """A run of three arms and three seeds; to be read only."""
    return make_run(tmp_path_factory.mktemp("runs") / "moles")


@pytest.fixture(scope="session")
def other_run(tmp_path_factory) -> Path:
    """A run of somebody else on the same task; to be read only."""
    arms = {"real-only": 0.5, "mixup": 0.6}
    return make_run(tmp_path_factory.mktemp("runs") / "other", arms, rng=7)


@pytest.fixture(scope="session")
def made(run, plugins, tmp_path_factory) -> Path:
    """A board with the entry of `run`; to be copied."""
    folder = tmp_path_factory.mktemp("boards") / "board"
    assert add(run, folder, plugins).problems == []
    assert build(folder).problems == []
    return folder


@pytest.fixture(scope="session")
def small(plugins, tmp_path_factory) -> Path:
    """A board with an entry of two arms and one seed; to be copied."""
    folder = tmp_path_factory.mktemp("small")
    run = make_run(folder / "run", {"real-only": 0.5, "gan": 4.0}, seeds=(0,))
    assert add(run, folder / "board", plugins).problems == []
    assert build(folder / "board").problems == []
    return folder / "board"


@pytest.fixture
def board(made, tmp_path) -> Path:
    """A copy of a board with one entry."""
    return shutil.copytree(made, tmp_path / "board")


@pytest.fixture
def entry(board) -> Path:
    """The folder of its entry."""
    (found,) = (board / "entries").iterdir()
    return found


@pytest.fixture
def add_run(plugins) -> Callable[..., Added]:
    """Adds a run to a board."""
    return lambda run, folder, **asked: add(run, folder, plugins, Asked(**asked))


def sealed(entry: Path) -> None:
    """Write the digests of all files of an entry into its manifest, as somebody who tampers would."""
    manifest = json.loads((entry / "manifest.json").read_text())
    for name in manifest["files"]:
        manifest["files"][name] = hashlib.sha256((entry / name).read_bytes()).hexdigest()
    (entry / "manifest.json").write_text(json.dumps(manifest))
