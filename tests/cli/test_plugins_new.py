"""`derm-bench plugins new`: packages that work as they are written."""

import csv
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from tests.conftest import ROOT
from tests.packages import installed, pytest_of

from derm_bench.scaffold import KINDS, render


def made(in_process, kind: str, name: str, tmp_path: Path) -> Path:
    ran = in_process("plugins", "new", kind, name)
    assert ran.code == 0, ran.err
    assert f"pip install -e {name}" in ran.out
    return tmp_path / name


@pytest.mark.slow
def test_new_packages_of_all_kinds_pass_their_own_tests(in_process, tmp_path, monkeypatch):
    projects = [made(in_process, kind, f"own-{kind}", tmp_path) for kind in KINDS]
    for project in projects:
        env = installed(project, monkeypatch)
    # One process for all five, with the settings that each of them has: torch is imported once.
    said = pytest_of(env, "-v", "-c", projects[0] / "pyproject.toml", *projects, cwd=tmp_path)
    for kind in KINDS:
        assert len(re.findall(rf"test_derm_bench_own_{kind}.py::TestOwn\w+::\w+ PASSED", said)) > 2, said
        shown = in_process("plugins", "show", f"own-{kind}")
        assert f"({kind}, derm-bench-own-{kind} 0.1.0)" in shown.out


def test_a_matrix_that_names_a_new_generator_runs(in_process, tmp_path, monkeypatch, write_matrix):
    installed(made(in_process, "generator", "own-gan", tmp_path), monkeypatch)
    strategies = [
        "real-only",
        {
            "name": "own",
            "generator": {"name": "own-gan", "preset": "tiny"},
            "synthetic": {"balance": True},
        },
    ]
    ran = in_process("run", write_matrix(strategies=strategies, seeds=[0]), "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    with (tmp_path / "out/results.csv").open(newline="") as handle:
        rows = {row["strategy"]: row for row in csv.DictReader(handle)}
    assert rows["own"]["status"] == "done" and int(rows["own"]["n_train_synthetic"]) > 0


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "dataset"])
def test_the_matrix_in_the_readme_plans(in_process, tmp_path, monkeypatch, write_matrix, kind):
    project = made(in_process, kind, f"read-{kind}", tmp_path)
    installed(project, monkeypatch)
    (matrix,) = re.findall(r"```yaml\n(.*?)```", (project / "README.md").read_text(), flags=re.DOTALL)
    ran = in_process("plan", write_matrix(matrix))
    assert ran.code == 0, ran.err


def test_a_generator_to_start_from_is_short():
    files = render("generator", "my-gan")
    lines = [line for line in files["derm_bench_my_gan/model.py"].splitlines() if line.strip()]
    assert len(lines) <= 60


@pytest.mark.parametrize("kind", KINDS)
def test_project_and_ci_files_say_what_tools_expect(kind):
    files = render(kind, "my-thing")
    project = tomllib.loads(files["pyproject.toml"])["project"]
    assert project["name"] == "derm-bench-my-thing"
    assert project["entry-points"]["derm_bench"] == {"my-thing": "derm_bench_my_thing"}
    steps = yaml.safe_load(files[".github/workflows/tests.yml"])["jobs"]["conformance"]["steps"]
    assert {"run": "pytest"} in steps
    assert not [name for name, text in files.items() if "[[ " in text or " ]]" in text]


@pytest.mark.parametrize("kind", KINDS)
def test_new_packages_use_the_public_interface_alone(kind):
    for name, text in render(kind, "my-thing").items():
        if name.endswith(".py"):
            used = set(re.findall(r"^\s*(?:from|import) (derm_bench[.\w]*)", text, flags=re.MULTILINE))
            own = {module for module in used if module.split(".")[0] == "derm_bench_my_thing"}
            assert used - own <= {"derm_bench.api"}, name


@pytest.mark.slow
def test_type_checkers_see_the_types_of_the_interface(in_process, tmp_path):
    pytest.importorskip("mypy", reason="checks types")
    project = made(in_process, "generator", "typed", tmp_path)
    wrong = project / "derm_bench_typed/wrong.py"
    wrong.write_text("from derm_bench.api import Engine, Engin\nEngine(1, 2)\n")
    environment = os.environ | {
        "MYPYPATH": os.pathsep.join(str(ROOT / name) for name in ("harness", "plugins"))
    }
    command = [sys.executable, "-m", "mypy", "--config-file", os.devnull, "derm_bench_typed"]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    found = [line for line in done.stdout.splitlines() if ": error:" in line]
    assert len(found) >= 2 and all(line.startswith("derm_bench_typed/wrong.py:") for line in found), found
    assert 'has no attribute "Engin"; maybe "Engine"?' in done.stdout


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("My_Gan", "for example 'my-gan'"),
        ("MyGan", "for example 'my-gan'"),
        ("../gan", "for example 'gan'"),
        ("3d-gan", "for example 'd-gan'"),
        ("gan\n", "for example 'gan'"),
        ("", "for example 'my-gan'"),
        ("a" * 51, "at most 50 characters"),
        ("dcgan", "a generator of derm-bench "),
        ("toy-centroid", "a classifier of toy-plugins 1.0"),
    ],
)
def test_a_name_that_is_invalid_or_taken_is_refused(in_process, tmp_path, name, said):
    ran = in_process("plugins", "new", "generator", name)
    assert ran.code == 2 and said in ran.err, ran.err
    assert "Traceback" not in ran.err
    assert not list(tmp_path.glob("**/pyproject.toml"))


def test_a_name_taken_by_a_broken_distribution_is_refused(in_process, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "data/distributions"))
    ran = in_process("plugins", "new", "metric", "import-error")
    assert ran.code == 2 and "derm-bench-import-error 1.1" in ran.err


def test_what_is_there_already_is_left_alone(in_process, tmp_path):
    (tmp_path / "my-gan").mkdir()
    ran = in_process("plugins", "new", "generator", "my-gan")
    assert ran.code == 2 and f"{tmp_path / 'my-gan'} exists" in ran.err
    assert not list((tmp_path / "my-gan").iterdir())


def test_an_unknown_kind_is_refused_with_the_kinds(in_process):
    ran = in_process("plugins", "new", "generatr", "my-gan")
    assert ran.code == 2 and "'generator'" in ran.err


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_new_package_installs_with_pip_and_passes_all_its_tests(in_process, tmp_path, kind):
    pytest.importorskip(
        "setuptools", minversion="77", reason="builds offline, with the setuptools that is here"
    )
    project = made(in_process, kind, f"pip-{kind}", tmp_path)
    target = tmp_path / "site"
    offline = ["--no-build-isolation", "--no-deps", "--no-index", "-q", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *offline, str(project)], check=True, timeout=200)
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(target), os.environ["PYTHONPATH"]])}
    pytest_of(env, project.name, "-m", "slow or not slow", cwd=tmp_path)
