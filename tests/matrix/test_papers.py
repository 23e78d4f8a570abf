"""benchmarks/papers: every matrix can be planned with every preset, `fair` permits nothing, and `paper` has the arms of
the paper's tables and no permit that it does not use."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from tests.conftest import ROOT
from tests.datasets.trees.alopecia import FOLDER, GRADES, both
from tests.datasets.trees.build import picture

from derm_bench.cli.preflight import preflight
from derm_bench.leaderboard.reproduced import find_matrix, read_arms
from derm_bench.machine import Machine
from derm_bench.matrix.cells import cells
from derm_bench.matrix.checks import permitted_leaks
from derm_bench.matrix.load import load_matrix
from derm_bench.matrix.model import Matrix
from derm_bench.plan.model import Plan
from derm_bench.plan.planner import make_plan
from derm_bench.plugins import Plugins

FILES = {path.stem: path for path in sorted((ROOT / "benchmarks/papers").glob("*.yaml"))}
CPU = Machine("cpu", ("cpu",), "fp32", 2)
EACH = pytest.mark.parametrize("name", FILES)
ARMS_OF = ("datasets", "strategies", "classifiers", "test_sets")

# What each paper compares. A matrix that is added gets its row here, and its data in `_made`.
ARMS = {
    "aagan_alopecia": {
        "strategies": {"real-only", "ricap", "efgan", "iagan", "aagan", "warp", "maps-only"},
        "classifiers": {"cnn", "vgg16", "ab-mtedeep", "no-attention", "no-cross-residual", "single-task"},
    },
    "acne_hierarchy": {
        "strategies": {"synthetic-only"},
        "classifiers": {"inception-resnet-v2", "resnet152v2", "resnet50v2"},
        "test_sets": {"test", "synthetic"},
    },
    "dermagan": {
        "strategies": {"real-only", "dermagan"},
        "classifiers": {"dermagan-cnn", "mobilenet", "mobilenetv2", "resnet50", "vgg16", "vgg19"}
        | {f"dropout[dropout={share}]" for share in ("0.0", "0.1", "0.3", "0.4", "0.5")},
    },
    "isic_dcgan": {
        "strategies": {"real-only", "dcgan-1176", "dcgan-1472", "dcgan-split"},
        "classifiers": {"inception-v3"},
        "test_sets": {"test", "augmented"},
    },
    "limeros": {"strategies": {"real-only", "ada", "ada-conditional"}, "classifiers": {"efficientnet-b2"}},
    "mutepfe": {
        "datasets": {"filtered", "gamma-1.0", "no-bilateral", "unfiltered"},
        "strategies": {"real-only", "dcgan-mutepfe", "vanilla-gan", "lapgan"},
        "classifiers": {"discriminator", "batch-100", "lr-1e-3", "sgd", "gan-batch-100", "gan-lr-1e-3", "gan-sgd"}
        | {"gan-z-100", "linear-probe", "k+1"},
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return Plugins(builtins_only=True)


@pytest.fixture
def load(plugins, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    def load(name: str, *presets: str, sets: tuple[str, ...] = ()) -> Matrix:
        return load_matrix(FILES[name], plugins, presets=presets, sets=sets)

    return load


@pytest.fixture
def plan(plugins, load):
    """Plans a matrix as `plan` does, with the preflight of its plugins: nothing may need a download."""

    def plan(name: str, *presets: str, sets: tuple[str, ...] = ()) -> Plan:
        matrix = load(name, *presets, sets=sets)
        chosen = cells(matrix, plugins)
        preflight(matrix, plugins, chosen)
        return make_plan(matrix, chosen, plugins, CPU)

    return plan


@EACH
@pytest.mark.parametrize(
    "presets", [(), ("smoke",), ("fair", "phantom", "smoke"), ("paper", "phantom", "smoke")]
)
def test_a_paper_can_be_planned_without_a_download(name, presets, plan):
    planned = plan(name, *presets)
    assert planned.cells and planned.fidelity
    if not presets:
        assert planned.warnings == []


@EACH
def test_under_our_protocol_nothing_is_permitted_and_all_arms_train_equally_long(name, load):
    for presets in ((), ("fair",), ("fair", "phantom")):
        matrix = load(name, *presets)
        assert (matrix.protocol.name, matrix.protocol.allow) == ("fair", ()) and matrix.budget.updates
        seeds = matrix.seeds.together or matrix.seeds.classifier
        assert len(seeds) >= 3, "a verdict needs three seeds"


@EACH
def test_paper_has_the_arms_of_the_tables_and_uses_what_it_permits(name, load, plugins):
    matrix = load(name, "paper", "phantom")
    for section, expected in ARMS[name].items():
        entries = [getattr(entry, "label", None) or entry.name for entry in getattr(matrix, section)]
        assert expected <= set(entries), section
    leaks = permitted_leaks(matrix, plugins)
    assert matrix.protocol.name == "paper" and leaks
    real = load(name, "paper")  # whose split states the leaks of the split
    leaks += permitted_leaks(real, plugins)
    used = {leak.split(":")[0].removeprefix("permitted by ") for leak in leaks}
    assert used == set(matrix.protocol.allow) - {"duplicates_across_splits"}


@EACH
def test_the_arms_beside_published_values_are_in_the_matrix(name, load):
    arms = read_arms(name)
    assert find_matrix(name) == FILES[name]
    for protocol in ("paper", "fair"):
        matrix = load(name, protocol)
        known = {
            section: {getattr(e, "label", None) or e.name for e in getattr(matrix, section)}
            for section in ARMS_OF
        }
        for arm in arms.arms:
            assert arm.strategy in known["strategies"] and arm.classifier in {"", *known["classifiers"]}
            assert arm.dataset is None or arm.dataset in known["datasets"]
            assert protocol == "fair" or arm.test_set in known["test_sets"]


def test_the_numbers_of_the_papers_are_those_of_their_text(load):
    isic = load("isic_dcgan", "paper")
    generator = isic.strategies[1].generator.options
    assert isic.strategies[1].synthetic.per_class == {"malignant": 1176}
    assert (generator.size, generator.batch_size, generator.budget.epochs) == (64, 64, 300)
    inception = isic.classifiers[0].options
    assert (inception.optimizer, inception.lr, inception.batch_size, isic.budget.epochs) == (
        "adagrad",
        1e-3,
        128,
        20,
    )
    mutepfe = load("mutepfe", "paper")
    assert mutepfe.datasets[0].split.test.per_class == {"benign": 380, "malignant": 471}
    gan = mutepfe.strategies[1].generator.options
    assert (gan.z_dim, gan.batch_size, gan.lr, gan.base) == (128, 128, 2e-4, 64)
    acne = load("acne_hierarchy", "paper")
    synthetic = acne.strategies[0].synthetic
    assert sum(synthetic.per_class.values()) == 4487 and synthetic.holdout == 0.2 and synthetic.replace_real
    dermagan = load("dermagan", "paper")
    assert dermagan.datasets[0].split.test.per_class == 100
    assert sum(dermagan.datasets[0].limit.per_class.values()) == 1976
    cnn = dermagan.classifiers[0].options
    assert (cnn.lr, cnn.betas, cnn.batch_size, cnn.pooled) == (2e-4, (0.5, 0.999), 64, False)


# ------------------------------------------------------------------------------ the data of the papers

N = 40  # images of each class


def _write(file: Path, header: list[str], rows: list[list[str]]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="") as opened:
        csv.writer(opened).writerows([header, *rows])


def _isic(first: int, n: int) -> list[str]:
    return [f"ISIC_{first + k:07d}" for k in range(n)]


def _archive(root: Path) -> None:
    names = _isic(0, 2 * N)
    labels = ["Benign", "Malignant"] * N
    _write(
        root / "metadata.csv",
        ["isic_id", "diagnosis_1"],
        [list(row) for row in zip(names, labels, strict=True)],
    )
    for name in names:
        picture(root / f"{name}.jpg")


def _ham10000(root: Path) -> None:
    codes = ("mel", "bkl", "akiec", "bcc", "nv", "df", "vasc")
    names = _isic(24306, len(codes) * N)
    rows = [
        [f"HAM_{k:07d}", name, codes[k % 7], "histo", "60.0", "male", "back"] for k, name in enumerate(names)
    ]
    header = ["lesion_id", "image_id", "dx", "dx_type", "age", "sex", "localization"]
    _write(root / "HAM10000_metadata.csv", header, rows)
    for name in names:
        picture(root / "HAM10000_images_part_1" / f"{name}.jpg")


def _isic_2019(root: Path) -> None:
    codes = ("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK")
    names = _isic(50000, 8 * N)
    rows = [[name, *(str(float(k % 8 == i)) for i in range(len(codes)))] for k, name in enumerate(names)]
    _write(root / "ISIC_2019_Training_GroundTruth.csv", ["image", *codes], rows)
    for name in names:
        picture(root / "ISIC_2019_Training_Input" / f"{name}.jpg")


def _isic_2020(root: Path) -> None:
    names = _isic(2637011, 2 * N)
    header = ["image_name", "patient_id", "sex", "age_approx", "anatom_site_general_challenge", "diagnosis"]
    rows = [
        [
            name,
            f"IP_{k}",
            "male",
            "45.0",
            "torso",
            "unknown",
            ("benign", "malignant")[k % 4 == 0],
            str(int(k % 4 == 0)),
        ]
        for k, name in enumerate(names)
    ]
    _write(root / "train.csv", [*header, "benign_malignant", "target"], rows)
    for name in names:
        picture(root / "train" / f"{name}.jpg")


def _alopecia(root: Path) -> None:
    both(root)
    names = [f"dermnet/train/{FOLDER}/alopecia-areata-more{k}.jpg" for k in range(3 * N)]
    with (root / "severity.csv").open("a") as table:
        table.writelines(f"{name},{GRADES[k % 3]}\n" for k, name in enumerate(names))
    for name in names:
        picture(root / name)


def _folders(root: Path, *folders: str) -> None:
    for folder in folders:
        for k in range(N):
            picture(root / folder / f"{k}.jpg", f"{folder}{k}")


def _made(name: str, at: Path) -> tuple[str, ...]:
    """Makes the data set of a paper in the layout that people have, and returns the values of `--set`."""
    if name == "limeros":
        _isic_2020(at / "one")
        _isic_2019(at / "other")
        return f"datasets.0.of.0.root={at / 'one'}", f"datasets.0.of.1.root={at / 'other'}"
    if name == "mutepfe":
        _folders(at / "one", "train/benign", "train/malignant", "test/benign", "test/malignant")
    elif name == "acne_hierarchy":
        _folders(at / "one", "healthy", "mild", "moderate", "severe")
    else:
        {"isic_dcgan": _archive, "dermagan": _ham10000, "aagan_alopecia": _alopecia}[name](at / "one")
    return (f"datasets.0.root={at / 'one'}",)


@EACH
def test_a_paper_can_be_planned_on_its_data(name, plan, tmp_path):
    sets = _made(name, tmp_path)
    for protocol in ("fair", "paper"):
        planned = plan(name, protocol, "smoke", sets=sets)
        assert planned.cells
        assert all({"train", "test"} <= set(split.parts) for split in planned.splits.values())


def test_dermagan_can_be_planned_with_two_classifiers_and_little_time(plan):
    planned = plan("dermagan", "fair", "reduced", "phantom")
    assert {cell.cell.classifier for cell in planned.cells} == {"dermagan-cnn", "mobilenetv2"}
    assert {cell.cell.seed for cell in planned.cells} == {0, 1, 2}


def test_dermagan_can_be_planned_on_both_of_its_data_sets(plan, tmp_path):
    _ham10000(tmp_path / "one")
    _isic_2019(tmp_path / "other")
    roots = (f"datasets.0.of.0.root={tmp_path / 'one'}", f"datasets.0.of.1.root={tmp_path / 'other'}")
    assert plan("dermagan", "paper", "isic2019", "smoke", sets=roots).cells


@pytest.mark.slow
@EACH
def test_the_smoke_preset_runs(name, in_process, tmp_path):
    assert in_process("run", FILES[name], "--preset", "smoke").code == 0
    summary = next(tmp_path.glob("runs/*/summary.csv")).read_text()
    assert summary.count("\n") > 10
