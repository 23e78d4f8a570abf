"""`derm-bench run` from matrix to run directory, with toys that train in moments."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter, defaultdict

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn import metrics as sk
from tests.conftest import TOYS, main_here, read_csv, toy_matrix

from derm_bench.rundir.schema import MANIFEST_KEYS
from derm_bench.splits import read_split
from derm_bench.stages.decoded import Decoded
from derm_bench.store import file_digest
from derm_bench.training.feed import Feed, FeedOptions

TIMES = {
    "generator_seconds",
    "generator_seconds_shared",
    "train_seconds",
    "eval_seconds",
    "peak_memory_mb",
    "peak_device_mb",
}


def without_times(path):
    return [{k: v for k, v in row.items() if k not in TIMES} for row in read_csv(path)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, parsed):
    """Folder of a whole run of the toy matrix (matrix.yaml, out, store), which several tests read and none changes."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "matrix.yaml").write_text(yaml.safe_dump(toy_matrix()))
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(folder)
        patched.syspath_prepend(str(TOYS))
        patched.setenv("DERM_BENCH_CACHE", str(parsed))
        run = ["run", "matrix.yaml", "--out", "out", "--store", "store"]
        assert main_here(run, figures=True) == 0
    return folder


@pytest.fixture
def finished(whole, monkeypatch):
    """The run directory of `whole`, whose store is the one that commands use."""
    monkeypatch.setenv("DERM_BENCH_STORE", str(whole / "store"))
    return whole / "out"


def test_a_run_fills_its_directory(finished, whole, in_process, tmp_path):
    rows = read_csv(finished / "results.csv")
    assert [row["status"] for row in rows] == ["done"] * 6
    assert rows[0]["cell"] == "toy-blobs/real-only/toy-centroid/0"
    assert all(float(row["balanced_accuracy"]) > 0.4 for row in rows)
    assert {row["updates"] for row in rows} == {"12"}
    names = {path.name for path in finished.iterdir()}
    assert names >= {
        "results.csv", "summary.csv", "fidelity.csv", "predictions.parquet", "composition.csv", "history.csv",
        "manifest.json", "report.md", "report.html", "samples", "splits",
    }  # fmt: skip
    assert sorted(p.name for p in (finished / "samples").glob("*.png")) == [
        f"mean-balance__{name}__{what}__g{seed}.png"
        for name in ("blue", "green")
        for what in ("last", "neighbours")
        for seed in (0, 1)
    ]

    drawn = [json.loads(path.read_text()) for path in (whole / "store").glob("objects/*/*/samples.json")]
    assert drawn and all(
        one["attributes"]["place"] == list(range(len(one["attributes"]["place"]))) for one in drawn
    )

    with_balance = [
        row
        for row in read_csv(finished / "composition.csv")
        if row["strategy"] == "mean-balance" and row["split"] == "train"
    ]
    totals = {row["class"]: int(row["real"]) + int(row["synthetic"]) for row in with_balance}
    assert len(set(totals.values())) == 1, "balance fills every class to the largest"

    # A second run into another folder executes nothing and says the same.
    again = in_process("run", whole / "matrix.yaml", "--out", "again")
    assert again.code == 0
    assert "0 stages run" in again.out
    assert (tmp_path / "again/results.csv").read_bytes() == (finished / "results.csv").read_bytes()

    # Changing one classifier option re-runs training, evaluation, statistics and figures, and no generator.
    changed = in_process("plan", whole / "matrix.yaml", "--set", "classifiers.0.lr=0.5", "--json")
    assert json.loads(changed.out)["to_run"] == {"train": 6, "evaluate": 6, "analyse": 2}


def test_generators_are_fitted_once_for_all_cells_that_need_them(in_process, write_matrix):
    matrix = write_matrix(
        classifiers=[{"name": "toy-centroid"}, {"name": "toy-centroid", "label": "slow", "lr": 0.01}]
    )
    plan = json.loads(in_process("plan", matrix, "--json").out)
    titles = Counter(stage["title"] for stage in plan["stages"] if stage["kind"] == "fit")
    assert titles == {
        f"{what} toy-mean [{name}] seed {seed}": 1
        for what in ("fit", "check the health of")
        for name in ("green", "blue")
        for seed in (0, 1)
    }
    assert len(plan["cells"]) == 12


def test_two_fresh_stores_give_the_same_results(finished, in_process, write_matrix, tmp_path):
    ran = in_process("run", write_matrix(), "--out", "out", "--store", "fresh")
    assert ran.code == 0 and "0 stages run" not in ran.out, ran.err
    assert without_times(tmp_path / "out/results.csv") == without_times(finished / "results.csv")


def test_inline_and_local_give_the_same_results(finished, derm_bench, write_matrix, tmp_path):
    flags = ["--out", "out", "--store", "fresh", "--executor", "local", "--only", "seed=0"]
    ran = derm_bench("run", write_matrix(), *flags, figures=True)
    assert ran.code == 0 and "0 stages run" not in ran.out, ran.err
    inline = [row for row in without_times(finished / "results.csv") if row["seed"] == "0"]
    assert without_times(tmp_path / "out/results.csv") == inline and len(inline) == 3
    assert (tmp_path / "out/report.html").stat().st_size > 1000


def test_every_classification_number_follows_from_the_predictions(finished):
    """With scikit-learn alone, to 1e-6: nothing in results.csv has to be believed."""
    predictions = pd.read_parquet(finished / "predictions.parquet")
    classes = [name.removeprefix("p_") for name in predictions if name.startswith("p_")]
    rows = read_csv(finished / "results.csv")
    checked = set()
    for row in rows:
        mine = predictions[predictions["cell"] == row["cell"]]
        expected = scores_by_scikit_learn(
            mine[mine["split"] == "test"], mine[mine["split"] == "val"], classes
        )
        for name, value in expected.items():
            assert float(row[name]) == pytest.approx(value, abs=1e-6), name
            checked.add(name)
    columns = list(rows[0])
    assert set(columns[columns.index("accuracy") :]) == checked, "no number is left unchecked"


def scores_by_scikit_learn(test, val, classes) -> dict[str, float]:
    y = np.array([classes.index(label) for label in test["label"]])
    p = test[[f"p_{name}" for name in classes]].to_numpy()
    guess, k = p.argmax(1), range(len(classes))
    onehot = np.eye(len(classes))[y]
    scores = {
        "accuracy": sk.accuracy_score(y, guess),
        "balanced_accuracy": sk.balanced_accuracy_score(y, guess),
        "auc_macro": sk.roc_auc_score(onehot, p, average="macro"),
        "average_precision_macro": sk.average_precision_score(onehot, p, average="macro"),
        "log_loss": sk.log_loss(y, p, labels=list(k)),
        "brier": float(((p - onehot) ** 2).sum(1).mean()),
        "specificity_macro": np.mean([sk.recall_score(y != c, guess != c) for c in k]),
        "pauc_80": np.mean([pauc_above(onehot[:, c], p[:, c], 0.8) for c in k]),
        "ece": equal_mass_ece(y == guess, p.max(1), 15),
    }
    for name, score in (("precision", sk.precision_score), ("recall", sk.recall_score), ("f1", sk.f1_score)):
        for average in ("macro", "weighted"):
            scores[f"{name}_{average}"] = score(y, guess, average=average, zero_division=0)
        each = score(y, guess, average=None, labels=list(k), zero_division=0)
        scores |= {f"{name}_{label}": value for label, value in zip(classes, each, strict=True)}
    scores |= {f"auc_{name}": sk.roc_auc_score(onehot[:, c], p[:, c]) for c, name in enumerate(classes)}
    val_y = np.array([classes.index(label) for label in val["label"]])
    val_p = val[[f"p_{name}" for name in classes]].to_numpy()
    sensitivities = []
    for c in k:
        fpr, _, thresholds = sk.roc_curve(val_y == c, val_p[:, c], drop_intermediate=False)
        threshold = thresholds[np.flatnonzero(fpr <= 0.1)[-1]]
        sensitivities.append(sk.recall_score(y == c, p[:, c] >= threshold))
    return scores | {"sensitivity_at_0.90": np.mean(sensitivities)}


def pauc_above(y, p, floor: float) -> float:
    """Area between the ROC curve and the line TPR = floor: that of the mirrored curve up to FPR 1 - floor."""
    fpr, tpr, _ = sk.roc_curve(y, p)
    points = np.unique(np.concatenate([fpr, np.interp(floor, tpr, fpr, left=0)[None]]))
    heights = np.clip(np.interp(points, fpr, tpr) - floor, 0, None)
    return float(np.trapezoid(heights, points))


def equal_mass_ece(correct, confidence, bins: int) -> float:
    edges = [-1, *np.quantile(confidence, np.linspace(0, 1, bins + 1)[1:-1]), 2]
    places = pd.cut(confidence, edges, right=False, duplicates="drop").codes
    gaps = pd.Series(correct - confidence).groupby(places).sum()
    return float(gaps.abs().sum() / len(correct))


def test_no_lesion_is_in_two_splits_and_no_test_image_is_trained_on(finished):
    predictions = pd.read_parquet(finished / "predictions.parquet")
    parts = defaultdict(set)
    for group, split in zip(predictions["group"], predictions["split"], strict=True):
        parts[group].add(split)
    assert all(len(found) == 1 for found in parts.values())
    assert list(predictions)[:7] == ["cell", "split", "test_set", "image_id", "group", "label", "predicted"]
    assert set(zip(predictions["split"], predictions["test_set"], strict=True)) == {
        ("val", ""),
        ("test", "test"),
    }
    assert set(predictions.columns) >= {"age", "site"}, "subgroup columns"


def test_the_manifest_says_what_was_run(finished):
    manifest = json.loads((finished / "manifest.json").read_text())
    assert manifest["matrix"]["name"] == "toy"
    assert manifest["distributions"]["toy-plugins"] == "1.0"
    assert "torch" in manifest["distributions"]
    assert list(manifest["splits"]) == ["toy-blobs/0"]
    assert manifest["schema"] == 2 and set(manifest) <= set(MANIFEST_KEYS)
    assert manifest["datasets"] == {"toy-blobs": {"licence": "CC0", "citation": "The Toys, 2020"}}
    grey = {"text": "set aside: grey blobs", "count": 2, "names": ["blob<b>", "blob2"]}
    assert manifest["notes"] == {"toy-blobs": [grey]}
    assert "set aside: grey blobs (2): blob&lt;b&gt;, blob2" in (finished / "report.html").read_text()
    assert manifest["metrics"]["log_loss"] == {"higher_is_better": False, "level": "predictions"}
    assert "The Toys, 2020" in (finished / "report.html").read_text()
    assert "The Toys, 2020" in (finished / "report.md").read_text()


def test_the_manifest_has_the_digest_of_every_file(finished):
    files = {p.relative_to(finished).as_posix(): p for p in finished.rglob("*") if p.is_file()}
    stated = json.loads((finished / "manifest.json").read_text())["files"]
    assert stated == {name: file_digest(path) for name, path in files.items() if name != "manifest.json"}


def test_a_split_lies_in_the_directory_as_its_digest_has_it(finished):
    (path,) = (finished / "splits").iterdir()
    digest = json.loads((finished / "manifest.json").read_text())["splits"]["toy-blobs/0"]
    assert path.name == "toy-blobs-s0.csv" and file_digest(path) == digest
    assert list(read_csv(path)[0]) == ["image_id", "group", "label", "split"]


def test_the_report_can_be_rebuilt_from_the_records(finished, in_process, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    for name in ("results.csv", "summary.csv", "report.html"):
        (out / name).unlink()
    ran = in_process("report", out)
    assert ran.code == 0, ran.err
    assert (out / "results.csv").read_bytes() == (finished / "results.csv").read_bytes()
    assert (out / "report.html").stat().st_size > 1000


def test_only_selects_cells(in_process, write_matrix, tmp_path):
    ran = in_process("run", write_matrix(), "--only", "strategy=real*,seed=1", "--out", "out", "--json")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["cells"] == {"done": 1}
    assert [row["cell"] for row in read_csv(tmp_path / "out/results.csv")] == [
        "toy-blobs/real-only/toy-centroid/1"
    ]


def test_snapshots_are_sampled(in_process, write_matrix, tmp_path):
    ran = in_process("run", write_matrix(seeds=[0], snapshots={"every": 2}), "--out", "out")
    assert ran.code == 0, ran.err
    assert "mean-balance__blue__snapshots__g0.png" in {p.name for p in (tmp_path / "out/samples").iterdir()}


def test_a_generator_may_leave_out_images_that_are_not_kept(in_process, write_matrix, tmp_path):
    generator = {"name": "toy-mean", "budget": {"updates": 4}, "trouble": "needed"}
    strategies = [{"name": "few", "generator": generator, "synthetic": {"per_class": 3}}]
    ran = in_process("run", write_matrix(seeds=[0], strategies=strategies), "--out", "out")
    assert ran.code == 0, ran.out + ran.err
    (row,) = read_csv(tmp_path / "out/results.csv")
    assert row["n_train_synthetic"] == "9"


def test_a_split_without_validation_images_is_scored(in_process, write_matrix, tmp_path):
    dataset = {"name": "toy-blobs", "size": 8, "images": 90, "split": {"val": 0}}
    matrix = write_matrix(
        dataset=dataset,
        seeds=[0],
        strategies=["real-only"],
        classifiers=[{"name": "toy-centroid", "select": "last"}],
    )
    ran = in_process("run", matrix, "--out", "out")
    assert ran.code == 0, ran.out + ran.err
    (row,) = read_csv(tmp_path / "out/results.csv")
    assert float(row["balanced_accuracy"]) > 0


def test_synthetic_alone_and_held_out(in_process, write_matrix, tmp_path):
    strategies = [
        {
            "name": "tstr",
            "generator": {"name": "toy-mean", "budget": {"updates": 4}},
            "synthetic": {"per_class": 20, "replace_real": True, "holdout": 0.25},
        }
    ]
    ran = in_process("run", write_matrix(seeds=[0], strategies=strategies), "--out", "out")
    assert ran.code == 0, ran.err
    (row,) = read_csv(tmp_path / "out/results.csv")
    assert (row["n_train_real"], row["n_train_synthetic"]) == ("0", "45")


def test_copies_are_set_aside_and_listed(in_process, write_matrix, tmp_path):
    dataset = {"name": "toy-blobs", "size": 8, "images": 90, "copies": 5, "clean": {"duplicates": "drop"}}
    ran = in_process(
        "run", write_matrix(dataset=dataset, seeds=[0]), "--out", "out", "--only", "strategy=real-only"
    )
    assert ran.code == 0, ran.err
    warnings = json.loads((tmp_path / "out/manifest.json").read_text())["warnings"]
    assert "5 images were set aside (copy)" in warnings


def test_a_cleaned_data_set_keeps_the_snapshots_that_were_planned(in_process, write_matrix, tmp_path):
    dataset = {"name": "toy-blobs", "size": 8, "images": 90, "copies": 25, "clean": {"duplicates": "drop"}}
    strategies = [
        {"name": "mean", "generator": {"name": "toy-mean", "scope": "pooled", "budget": {"epochs": 3}}}
    ]
    matrix = write_matrix(dataset=dataset, seeds=[0], strategies=strategies, snapshots={"every": 6})
    ran = in_process("run", matrix, "--out", "out")
    assert ran.code == 0, ran.err
    # 63 of 90 images are planned for training, in batches of 8: 3 epochs are 24 updates, whatever cleaning leaves.
    history = read_csv(tmp_path / "out/history.csv")
    assert max(int(row["step"]) for row in history) == 24
    (snapshots,) = tmp_path.glob("**/objects/*/*/snapshots")
    assert {path.stem for path in snapshots.iterdir()} == {"6", "12", "18", "24"}


def test_a_metric_of_predictions_may_read_a_file(in_process, write_matrix, tmp_path):
    (tmp_path / "costs.json").write_text('{"red": 1, "green": 1, "blue": 1}')
    metrics = [{"name": "toy-cost", "costs": "costs.json"}]
    matrix = write_matrix(
        seeds=[0], strategies=[{"name": "real-only"}], metrics=metrics, analysis={"primary": "toy-cost"}
    )
    ran = in_process("run", matrix, "--out", "out")
    assert ran.code == 0, ran.err
    (row,) = read_csv(tmp_path / "out/results.csv")
    assert float(row["toy-cost"]) == pytest.approx(1 - float(row["accuracy"]))


def test_further_labels_and_the_order_of_classes_reach_whoever_trains(in_process, write_matrix, tmp_path):
    dataset = {"name": "toy-blobs", "size": 8, "images": 90, "graded": True}
    ran = in_process(
        "run", write_matrix(dataset=dataset, seeds=[0]), "--out", "out", "--only", "strategy=real-only"
    )
    assert ran.code == 0, ran.err
    (folder,) = [path.parent for path in tmp_path.glob("**/objects/*/*/index.json")]
    (split,) = (tmp_path / "out" / "splits").iterdir()
    decoded = Decoded.load(folder, read_split(split.read_bytes(), ("red", "green", "blue")), {})
    train = decoded.image_set(("train",), 1.0, None, {})
    assert train.ordinal
    sides = [int(name.removeprefix("blob")) % 3 for name in train.ids]
    assert train.aux_labels["side"].tolist() == [(0, 1, -1)[k] for k in sides]
    batch = next(Feed(train, FeedOptions(batch_size=4), seed=0).batches(1))
    assert batch.aux["side"].shape == (4, 2)


def test_a_few_unreadable_images_are_left_out_where_allowed(in_process, write_matrix, tmp_path):
    dataset = {"name": "toy-blobs", "size": 8, "images": 90, "unreadable": 2, "clean": {"unreadable": 0.05}}
    ran = in_process(
        "run", write_matrix(dataset=dataset, seeds=[0]), "--out", "out", "--only", "strategy=real-only"
    )
    assert ran.code == 0, ran.err
    assert any(
        "2 images could not be read" in w
        for w in json.loads((tmp_path / "out/manifest.json").read_text())["warnings"]
    )


def test_nothing_imports_torch_before_a_worker_does(write_matrix, toys):
    commands = [["--help"], ["plan", str(write_matrix())], ["plugins", "list"], ["schema"], ["doctor"]]
    code = (
        f"import sys\nfrom derm_bench.cli import main\nfor command in {commands!r}:\n"
        "    try:\n        main(command)\n    except SystemExit as e:\n        assert not e.code, command\n"
        "    assert 'torch' not in sys.modules, command"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_matrix_that_only_scores_generators_fails_with_them(in_process, write_matrix):
    def run(trouble):
        generator = {"name": "toy-mean", "budget": {"updates": 4}, "trouble": trouble}
        strategies = [{"name": "scored", "generator": generator}]
        matrix = write_matrix(strategies=strategies, classifiers=[], metrics=["fd_domain"], seeds=[0])
        return in_process("run", matrix, "--out", trouble)

    good, bad = run("none"), run("raise")
    assert good.code == 0 and "fd_domain" in good.out, good.err
    assert bad.code == 1 and "6 fits or scores of generators not done" in bad.out
