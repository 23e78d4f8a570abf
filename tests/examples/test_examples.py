"""The packages under examples/: each passes its own tests, and all three work together in one matrix."""

import csv
import os
import re

import numpy as np
import pytest
import yaml
from PIL import Image
from tests.conftest import ROOT, read_csv
from tests.packages import installed, pytest_of

EXAMPLES = sorted(path.parent for path in (ROOT / "examples").glob("*/pyproject.toml"))
PLUGINS = {"ddpm": "generator", "csv-lesions": "dataset", "sharpness_gap": "metric"}


@pytest.fixture
def examples(tmp_path, monkeypatch, toys):
    """All of them installed, for this process and those that it starts."""
    for project in EXAMPLES:
        environment = installed(project, monkeypatch, tmp_path / "installed")
    return environment


def clinic(root, rows=40):
    """A folder for csv-lesions: two classes that differ in colour, two images a lesion."""
    rng = np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    table = [["image", "label", "lesion"]]
    for k in range(rows):
        label = ["mel", "nv"][k // 2 % 2]
        table.append([f"{k}.png", label, f"lesion-{k // 2}"])
        pixels = rng.integers(0, 120, (20, 24, 3)) + (100 if label == "nv" else 0)
        Image.fromarray(pixels.astype(np.uint8)).save(root / "images" / f"{k}.png")
    with (root / "labels.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows(table)
    return root


# The quick ones: without the kit's slow rule, and without the fit that has to learn something.
QUICK = ["-m", "not slow", "-k", "not test_a_short_fit_learns"]


@pytest.mark.parametrize(
    "chosen",
    [
        pytest.param(QUICK, id="quick"),
        pytest.param(["-m", "slow or not slow"], id="all", marks=pytest.mark.slow),
    ],
)
def test_every_example_passes_its_own_tests(examples, tmp_path, chosen):
    environment = examples | {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    said = pytest_of(
        environment, "-v", *chosen, "-c", EXAMPLES[0] / "pyproject.toml", *EXAMPLES, cwd=tmp_path
    )
    for module in ("test_ddpm", "test_csv_lesions", "test_sharpness"):
        assert re.search(rf"{module}.py::Test\w+::\w+ PASSED", said), said


@pytest.mark.slow
def test_the_examples_work_together_in_one_matrix(examples, in_process, tmp_path, write_matrix):
    matrix = write_matrix(
        dataset={"name": "csv-lesions", "root": str(clinic(tmp_path / "clinic")), "size": 8},
        strategies=[
            "real-only",
            {
                "name": "ddpm",
                "generator": {"name": "ddpm", "preset": "tiny", "steps": 1, "guidance": 0},
                "synthetic": {"per_class": 4},
            },
        ],
        seeds=[0],
        metrics=["sharpness_gap"],
    )
    ran = in_process("run", matrix, "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    rows = {row["strategy"]: row for row in read_csv(tmp_path / "out" / "results.csv")}
    assert {name: row["status"] for name, row in rows.items()} == {"real-only": "done", "ddpm": "done"}
    assert rows["ddpm"]["n_train_synthetic"] == "8"
    scored = [row for row in read_csv(tmp_path / "out" / "fidelity.csv") if row["metric"] == "sharpness_gap"]
    assert {row["strategy"] for row in scored} == {"ddpm", "control"}
    assert {row["extractor"] for row in scored} == {"laplacian-3"}
    assert all(float(row["value"]) >= 0 for row in scored)


@pytest.mark.parametrize("name", [path.name for path in EXAMPLES])
def test_the_matrices_that_examples_show_plan(examples, in_process, tmp_path, write_matrix, name):
    project = ROOT / "examples" / name
    shown = re.findall(r"```yaml\n(.*?)```", (project / "README.md").read_text(), flags=re.DOTALL)
    shown += [path.read_text() for path in project.glob("*.yaml")]
    assert len(shown) == 1
    matrix = yaml.safe_load(shown[0])
    for dataset in matrix.get("datasets", [matrix.get("dataset")]):
        if "root" in dataset:  # is not here: stands in for it
            dataset.pop("columns", None)
            dataset |= {"name": "csv-lesions", "root": str(clinic(tmp_path / "clinic"))}
    for extra in ([], ["--preset", "smoke"] if "presets" in matrix else []):
        ran = in_process("plan", write_matrix(yaml.safe_dump(matrix)), *extra)
        assert ran.code == 0, ran.err


def test_examples_are_found_with_what_they_are(examples, in_process):
    for name, kind in PLUGINS.items():
        shown = in_process("plugins", "show", name)
        assert shown.code == 0, shown.err
        assert f"({kind}, derm-bench-" in shown.out


def test_each_example_is_read_in_one_sitting():
    for project in EXAMPLES:
        sources = list((project / "src").glob("*/*.py"))
        lines = sum(len(path.read_text().splitlines()) for path in sources)
        assert sources and lines <= 400, f"{project.name}: {lines} lines"
