"""`derm-bench plugins test` and the test classes, as a plugin's author meets them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

TOYS = Path(__file__).parent.parent / "toys"
MODULE = """
from derm_bench import hookimpl
from derm_bench.specs import TransformSpec
DERM_BENCH_API = 1
@hookimpl
def derm_bench_transforms():
    return [
        TransformSpec(name=name, summary="x", create=f"{module}.work:{name.title()}", phase="image")
        for name in {names}
    ]
"""
WORK = """
class Same:
    def __init__(self, options, task): pass
    def __call__(self, images, generator): return images.clone()
class Bright(Same):
    def __call__(self, images, generator): return images + 1
"""


@pytest.fixture
def package(tmp_path):
    """Writes a package of transforms, installed nowhere; returns its folder."""

    def write(module, names=("same",), below=""):
        folder = tmp_path / below / module
        folder.mkdir(parents=True)
        text = MODULE.replace("{names}", repr(names)).replace("{module}", module)
        (folder / "__init__.py").write_text(text)
        (folder / "work.py").write_text(WORK)
        return folder

    return write


def test_a_line_a_rule_with_what_to_change_and_exit_code_1(in_process, package):
    ran = in_process("plugins", "test", package("lights", ("same", "bright")))
    assert ran.code == 1, ran.err
    right, wrong = ran.out.split("transform bright")
    assert "failed" not in right
    assert "failed  output fits its phase: bright: output images range from 1" in wrong
    assert "keep them in [0,1] (clamp(0, 1))" in wrong
    assert "1 failed" in wrong.splitlines()[-1]


def test_a_project_folder_is_tested_without_being_installed(in_process, package, tmp_path):
    package("lamps", below="project/src")
    (tmp_path / "project" / "pyproject.toml").write_text(
        '[project]\nname = "my-lamps"\n[project.entry-points.derm_bench]\nlamps = "lamps"\n'
    )
    before = list(sys.path)
    ran = in_process("plugins", "test", tmp_path / "project")
    assert (ran.code, "transform same" in ran.out) == (0, True), ran.out + ran.err
    assert sys.path == before


def test_options_are_set_on_the_command_line(in_process, tmp_path):
    for name in ("mole", "wart"):
        folder = tmp_path / "images" / name
        folder.mkdir(parents=True)
        Image.new("RGB", (9, 9)).save(folder / "a.png")
    assert in_process("plugins", "test", "image-folder", "--set", "root=images").code == 0
    unset = in_process("plugins", "test", "image-folder")
    assert unset.code == 1
    assert "'root': Field required" in unset.out and "--set" in unset.out


@pytest.mark.parametrize("plugin", ["toy-graded", "toy-built", "toy-pupil", "toy-committee"])
def test_what_a_plugin_requires_is_fitted_without_being_asked_for(in_process, plugin):
    """The toys check what they are given. They have no presets, and options without descriptions."""
    budget = ["--set", "budget={updates: 4}"] if plugin == "toy-graded" else []
    ran = in_process("plugins", "test", plugin, "--size", "8", "--quick", *budget)
    failed = [line.split(":")[0].split(maxsplit=1)[1] for line in ran.out.splitlines() if "  failed" in line]
    assert set(failed) <= {"options are documented", "presets are valid", "evaluates after every update"}, (
        ran.out
    )
    assert "stand-in" not in ran.out and "not run" not in ran.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dcgna"], "did you mean 'dcgan'"),
        (["empty"], "expected a folder with pyproject.toml"),
        (["raises.py"], "import failed: RuntimeError: no mood"),
        (["project"], "my-gan = "),
        (["hflip", "--set", "p"], "OPTION=VALUE"),
    ],
)
def test_what_cannot_be_tested_exits_2_and_says_why(in_process, tmp_path, arguments, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "raises.py").write_text("raise RuntimeError('no mood')\n")
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    ran = in_process("plugins", "test", *arguments)
    assert ran.code == 2
    assert said in ran.err


AUTHORS_TESTS = """
from derm_bench.testing import GeneratorConformance, TransformConformance

class TestFlip(TransformConformance):
    plugin = "hflip"
    options = {"p": 0.3}

class TestMean(GeneratorConformance):
    plugin = "toy-mean"
    options = {"budget": {"updates": 2}}

class TestTypo(TransformConformance):
    plugin = "hflop"
"""


def test_an_author_subclasses_a_class_and_reads_advice_without_a_traceback(tmp_path):
    """`slow` is known to --strict-markers, by the pytest plugin."""
    (tmp_path / "test_mine.py").write_text(AUTHORS_TESTS)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rfs",
        "--strict-markers",
        "-p",
        "no:cacheprovider",
        "test_mine.py",
    ]
    environment = os.environ | {"PYTHONPATH": str(TOYS), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=200)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "no preset tiny and smoke" in done.stdout
    assert "did you mean 'hflip'?" in done.stdout
    assert done.stdout.count("no preset tiny and smoke") <= 2, "in the report, and in its last lines"
    assert "Traceback" not in done.stdout and "raise " not in done.stdout
    failed = {line.split("::", 1)[1] for line in done.stdout.splitlines() if line.startswith("FAILED")}
    of_mean = {name.partition(" ")[0] for name in failed if name.startswith("TestMean")}
    assert of_mean == {"TestMean::test_options_are_documented", "TestMean::test_presets_are_valid"}
    assert not any(name.startswith("TestFlip") for name in failed)
    assert sum(name.startswith("TestTypo") for name in failed) == 1
    assert "not run, because of what another rule has said: no transform is named" in done.stdout


def test_what_every_pytest_of_the_environment_loads_imports_no_torch():
    program = "import sys, derm_bench.testing.pytest_plugin; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=100).returncode == 0
