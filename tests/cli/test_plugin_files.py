"""`--plugin FILE`: a Python file as a plugin, without a package."""

import json
import os
import re
import sys

import pytest
from tests.conftest import read_csv

from derm_bench.plan.closure import forget_source
from derm_bench.plan.keys import forget_plugins
from derm_bench.plugins import Plugins, local_files

HEAD = """
from derm_bench.api import GeneratorOptions, GeneratorSpec, ModulePlugin, Samples, hookimpl

DERM_BENCH_API = 1


@hookimpl
def derm_bench_generators():
    return [GeneratorSpec(name="grey", summary="a level of grey", create="{module}:Grey", trains=False)]
"""
CLASS = """

class Grey:
    def __init__(self, options, task):
        self.size = task.size

    def fit(self, train, run):
        pass

    def sample(self, request, train=None):
        import torch
        from {module}_levels import LEVEL

        noise = torch.randint(0, 9, (request.n, 3, self.size, self.size), dtype=torch.uint8)
        return Samples(noise + LEVEL)

    def parts(self):
        return {{}}

    def state(self):
        return {{}}

    def load_state(self, state):
        pass
"""


@pytest.fixture
def grey(tmp_path, monkeypatch):
    """Writes a plugin of one file, with a module beside it; returns the file. Python forgets both afterwards."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = {*sys.modules}

    def write(module: str, text: str = HEAD + CLASS, level: int = 100, place: str = "code"):
        folder = tmp_path / place
        folder.mkdir(exist_ok=True)
        file = folder / f"{module}.py"
        file.write_text(text.format(module=module))
        (folder / f"{module}_levels.py").write_text(f"LEVEL = {level}\n")
        return file

    yield write
    for name in {*sys.modules} - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    local_files._files.clear()
    forget_source()


@pytest.fixture
def matrix(write_matrix):
    strategies = ["real-only", {"name": "g", "generator": "grey", "synthetic": {"per_class": 4}}]
    return write_matrix(strategies=strategies, seeds=[0])


@pytest.mark.parametrize("inline", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_a_run_uses_a_plugin_that_is_a_file(in_process, grey, matrix, tmp_path, inline):
    file = grey(f"grey_run_{inline}".lower())
    ran = in_process("run", matrix, "--plugin", file, "--out", tmp_path / "out", inline=inline)
    assert ran.code == 0, ran.err
    rows = {row["strategy"]: row for row in read_csv(tmp_path / "out/results.csv")}
    assert rows["g"]["status"] == "done" and rows["g"]["n_train_synthetic"] == "12"
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["distributions"][file.name] == "local"
    assert str(tmp_path) not in " ".join(manifest["command"])


def test_every_command_that_reads_plugins_takes_the_file(in_process, grey, matrix):
    file = grey("grey_all")
    planned = in_process("plan", matrix, "--plugin", file, "--json")
    assert planned.code == 0 and json.loads(planned.out)["to_run"]["fit"] >= 1, planned.err
    explained = in_process("explain", matrix, "*/g/*", "--plugin", file)
    assert explained.code == 0 and "fit grey" in explained.out, explained.err
    assert "(grey_all.py local)" in in_process("plugins", "list", "generator", "--plugin", file).out
    assert (
        "grey (generator, grey_all.py local)" in in_process("plugins", "show", "grey", "--plugin", file).out
    )


def test_the_kit_tests_a_plugin_of_a_file(in_process, grey):
    file = grey("grey_kit")
    tested = in_process("plugins", "test", "grey", "--plugin", file, "--quick")
    assert "generator grey" in tested.out and "samples have the right shape" in tested.out, tested.err
    assert "a plugin of one file may import torch" in tested.out


NEEDY = """
from derm_bench.api import GeneratorSpec, Ref, hookimpl

DERM_BENCH_API = 1


def needs(options):
    return {{"base": Ref("generator", "grey"), "pictures": Ref("samples", "grey", n=4)}}


@hookimpl
def derm_bench_generators():
    create = "{module}_model:Grey"
    return [GeneratorSpec(name="needy", summary="wants grey", create=create, requires=needs, trains=False)]
"""


def test_the_kit_fits_what_a_plugin_of_a_file_requires_of_the_same_and_of_other_files(in_process, grey):
    def verdict(*target):
        tested = in_process("plugins", "test", *target, "--plugin", file, "--quick")
        return (
            re.search("generator needy.*samples have the right shape$", tested.out, re.M | re.S) is not None
        )

    both = HEAD.replace("return [", 'return [GeneratorSpec(name="needy", summary="wants grey", create="{module}:Grey", '
                        'requires=needs, trains=False), ')  # fmt: skip
    needs = NEEDY.split("@hookimpl")[0].split("= 1")[1]
    file = grey("grey_both", both.replace("Generator", "Ref, Generator", 1) + needs + CLASS)
    assert verdict("needy")
    file = grey("grey_base")
    (file.parent / "grey_needy_model.py").write_text("from grey_base import Grey\n")
    assert verdict(grey("grey_needy", NEEDY))


def test_the_kit_has_the_same_rules_for_a_file_by_its_path_and_by_its_plugin(in_process, grey):
    file = grey("grey_path", f"import torch\n{HEAD}{CLASS}")
    one = in_process("plugins", "test", file, "--quick")
    other = in_process("plugins", "test", "grey", "--plugin", file, "--quick")
    assert one.out == other.out and one.code == other.code and "entry module imports no torch" in one.out


def test_a_matrix_cannot_name_code(in_process, grey, write_matrix):
    file = grey("grey_matrix")
    ran = in_process("plan", write_matrix(plugins=[str(file)]))
    assert ran.code == 2 and "plugins" in ran.err
    named = [{"name": "g", "generator": str(file), "synthetic": {"per_class": 4}}]
    assert in_process("plan", write_matrix(strategies=named)).code == 2
    assert "grey_matrix" not in sys.modules


def test_the_key_covers_the_file_and_what_it_imports_from_its_folder(grey, matrix, in_process):
    def fits() -> set[str]:
        forget_source()
        planned = in_process("explain", matrix, "*/g/*", "--plugin", file, "--json")
        assert planned.code == 0, planned.err
        return {
            row["key"] for row in json.loads(planned.out)["stages"] if row["title"].startswith("fit grey")
        }

    file = grey("grey_key")
    first = fits()
    grey("grey_key", f"# A note.\n{HEAD}{CLASS}")
    (file.parent / "unrelated.py").write_text("LEVEL = 3\n")
    assert fits() == first
    grey("grey_key", level=101)
    beside = fits()
    grey("grey_key", f"{HEAD}{CLASS}".replace("0, 9", "0, 8"), level=101)
    assert not first & beside and not (first | beside) & fits()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("grey_silent", HEAD.replace("DERM_BENCH_API = 1", ""), "write DERM_BENCH_API = 1 in it"),
        ("grey_newer", HEAD.replace("DERM_BENCH_API = 1", "DERM_BENCH_API = 2"), "upgrade derm-bench"),
        ("grey_wrong", f"{HEAD}\n1 / 0\n", "grey_wrong.py:11: cannot be loaded as a plugin: import: ZeroDivisionError"),
        ("grey_typing", f"{HEAD}\nfor\n", "grey_typing.py:11: cannot be loaded as a plugin: import: SyntaxError"),
        ("grey_spec", HEAD.replace("summary", "sumary"), "grey_spec.py:9: cannot be loaded as a plugin: specs: Type"),
        ("grey_unmarked", HEAD.replace("@hookimpl", ""), "put @hookimpl above it"),
        ("grey_nothing", "DERM_BENCH_API = 1\n", "has no hook"),
        ("grey-gan", HEAD, "is not the name of a Python module"),
        ("json", HEAD, "the module 'json' is another one"),
        ("numpy", HEAD, "rename numpy.py, for example to my_numpy.py"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_loaded_is_named_with_the_line(in_process, grey, matrix, name, text, said):
    ran = in_process("plan", matrix, "--plugin", grey(name, text))
    assert ran.code == 2 and said in ran.err, ran.err
    assert f"{name}.py" in ran.err and "Traceback" not in ran.err


def test_a_file_is_refused_where_it_is_not_one(in_process, matrix, tmp_path):
    for path in (tmp_path / "absent.py", tmp_path):
        ran = in_process("plan", matrix, "--plugin", path)
        assert ran.code == 2 and f"{path} is not a file" in ran.err


def test_a_module_beside_the_file_that_an_installed_one_hides_is_named(in_process, grey, matrix):
    file = grey("grey_hidden", f"import yaml\n{HEAD}")
    (file.parent / "yaml.py").write_text("")
    ran = in_process("plan", matrix, "--plugin", file)
    assert ran.code == 2 and "grey_hidden.py:1: it imports 'yaml'" in ran.err, ran.err


def test_two_files_of_one_name_are_refused_and_one_file_twice_is_one(grey):
    one, other = grey("grey_twice"), grey("grey_twice", place="other")
    with pytest.raises(local_files.UserError, match="have the same name"):
        Plugins(files=[one, other])
    assert Plugins(files=[one, one]).files == (one,)


def test_no_plugins_leaves_no_room_for_a_file(in_process, grey, matrix):
    ran = in_process("--no-plugins", "plan", matrix, "--plugin", grey("grey_none"))
    assert ran.code == 2 and "--no-plugins uses the built-in plugins only" in ran.err
    assert "grey_none" not in sys.modules


def test_a_file_that_is_loaded_from_another_folder_replaces_the_first(grey):
    assert Plugins(files=[grey("grey_moved")]).get("generator", "grey").summary == "a level of grey"
    moved = grey("grey_moved", HEAD.replace("a level", "a shade"), place="other")
    assert Plugins(files=[moved]).get("generator", "grey").summary == "a shade of grey"


@pytest.mark.parametrize(
    "content", ["x = " + "-" * 20_000 + "1", "x = " + "+".join("1" * 100_000), "(" * 1000, "x\0"]
)
def test_a_file_that_python_cannot_parse_is_refused_in_words(in_process, matrix, tmp_path, content):
    (tmp_path / "odd_file.py").write_text(content)
    ran = in_process("plan", matrix, "--plugin", tmp_path / "odd_file.py")
    assert ran.code == 2 and "cannot be loaded as a plugin" in ran.err and "Traceback" not in ran.err


def test_a_plugin_is_a_regular_file_of_bounded_size(in_process, matrix, tmp_path):
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "zero.py").symlink_to("/dev/zero")
    for name in ("pipe.py", "zero.py"):
        assert "is not a file" in in_process("plan", matrix, "--plugin", tmp_path / name).err
    with (tmp_path / "huge.py").open("wb") as file:
        file.truncate(2**40)
    ran = in_process("plan", matrix, "--plugin", tmp_path / "huge.py")
    assert ran.code == 2 and "no Python file" in ran.err


OPENS = """
import json
from pathlib import Path

from derm_bench.api import GeneratorOptions, GeneratorSpec, hookimpl
from {module}_model import Grey

DERM_BENCH_API = 1
HERE = Path(__file__).parent


class Options(GeneratorOptions):
    level: Path | None = None


class Opens(Grey):
    def fit(self, train, run):
        json.loads((HERE / "{module}.json").read_text())

    def __init__(self, options, task):
        super().__init__(options, task)
        self.level = int(options.level.read_text()) if options.level else 0


@hookimpl
def derm_bench_generators():
    create, stated = "{module}:Opens", ("{module}/{module}.json",)
    return [GeneratorSpec(name="grey", summary="s", create=create, options=Options, trains=False, depends_on=stated)]
"""


def test_what_failed_is_tried_again_once_data_weights_or_code_have_changed(
    in_process, grey, write_matrix, tmp_path
):
    """Without --retry-failed; the data lie beside the file, named by `depends_on`, and the weights are an option."""
    file = grey("grey_mended", OPENS)
    data, weights, helper = (
        file.with_suffix(".json"),
        tmp_path / "level.txt",
        file.with_name("grey_mended_levels.py"),
    )
    (file.with_name("grey_mended_model.py")).write_text(
        f"from derm_bench.api import Samples\n{CLASS.format(module='grey_mended')}"
    )
    data.write_text("no JSON")
    weights.write_text("many")
    helper.write_text("LEVEL = 1 / 0\n")
    strategy = {
        "name": "g",
        "generator": {"name": "grey", "level": "level.txt"},
        "synthetic": {"per_class": 4},
    }
    matrix = write_matrix(strategies=[strategy], seeds=[0])

    def run(said):
        forget_source()
        forget_plugins()
        sys.modules.pop("grey_mended_levels", None)
        ran = in_process("run", matrix, "--plugin", file)
        assert said in ran.err + ran.out, ran.err
        return ran.code

    assert run("ValueError") == 1
    assert run("will not be tried again") == 1
    weights.write_text("7")
    assert run("JSONDecodeError") == 1
    data.write_text("{}")
    assert run("ZeroDivisionError") == 1
    helper.write_text("LEVEL = 100\n")
    assert run("1 done") == 0


def test_an_error_in_depends_on_names_the_plugin(in_process, grey, matrix):
    ran = in_process(
        "plan", matrix, "--plugin", grey("grey_absent", HEAD.replace("trains", 'depends_on="x.json", trains'))
    )
    assert ran.code == 2 and "grey: `depends_on` names 'x.json'" in ran.err
    assert "files beside a plugin of one file, are written module/file" in ran.err
