"""A bug of a plugin names the plugin, where it comes from and its line; `--debug` shows the traceback."""

import json
import sys

import pytest
from tests.conftest import toy_matrix

from derm_bench.errors import UserError
from derm_bench.plan.closure import forget_source
from derm_bench.plugins import local_files

PLUGIN = """
from pydantic import field_validator
from derm_bench import api

DERM_BENCH_API = 1


class Options(api.{base}Options):
    level: int = 1


@api.hookimpl
def derm_bench_{kind}s():
    return [api.{spec}(name="buggy", summary="", create="{module}:Buggy", options=Options, {more})]


def broken(*arguments):
    return {{}}["the missing key"]


class Buggy:
    def __init__(self, options, task):
        pass
"""
VALIDATOR = """
    @field_validator("level")
    def _check(cls, value):
        return len(value)
"""
DATA = """
    def describe(self, options):
        return {returned}

    def fingerprint(self, options):
        return broken()
"""
DESCRIPTION = 'api.DatasetDescription(ids=list("abcdef"), labels=["x", "y"] * 3, classes=["x", "y"])'
GENERATOR = {"base": "Generator", "kind": "generator", "spec": "GeneratorSpec", "more": ""}
DATASET = {"base": "", "kind": "dataset", "spec": "DatasetSpec", "more": ""}


@pytest.fixture
def buggy(tmp_path, monkeypatch):
    """Writes a plugin of one file, and returns it; Python forgets it afterwards."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    def write(module: str, text: str):
        file = tmp_path / f"{module}.py"
        file.write_text(text)
        return file

    yield write
    for name in [*local_files._files]:
        sys.modules.pop(name, None)
    local_files._files.clear()
    forget_source()


def line_of(file, text: str) -> str:
    lines = file.read_text().splitlines()
    return f"{file}:{next(number for number, line in enumerate(lines, 1) if text in line)}"


def plan_of(in_process, write_matrix, file, **changes):
    strategies = [{"name": "s", "generator": "buggy", "synthetic": {"per_class": 4}}]
    return in_process(
        "plan", write_matrix(**{"strategies": strategies, "seeds": [0]} | changes), "--plugin", file
    )


@pytest.mark.parametrize(
    ("field", "called"),
    [
        ("requires=broken", "requires(options)"),
        ("preflight='{module}:broken'", "preflight(options)"),
        ("depends_on='{module}:broken'", "depends_on(options)"),
        ("provenance='{module}:broken'", "provenance(options)"),
        ("finite='{module}:broken'", "finite(options)"),
        ("derives='{module}:broken'", "derives(options)"),
        ("commands='{module}:broken'", "commands(options, classes, size, seed)"),
    ],
)
def test_a_bug_in_a_function_of_a_spec_names_the_plugin_and_the_line(
    in_process, write_matrix, buggy, field, called
):
    module = f"buggy_{called.partition('(')[0]}"
    values = GENERATOR | {"module": module, "more": field.format(module=module)}
    file = buggy(module, PLUGIN.format(**values))
    ran = plan_of(in_process, write_matrix, file)
    assert ran.code == 2, ran.err
    assert f"generator 'buggy' of {file.name} local: {called} raised KeyError: 'the missing key'" in ran.err
    assert f"({line_of(file, 'the missing key')})" in ran.err and "Traceback" not in ran.err
    assert "--debug" in ran.err and len(ran.err.splitlines()) <= 3


def test_a_bug_in_the_validation_of_options_names_the_key_in_the_matrix_too(in_process, write_matrix, buggy):
    text = PLUGIN.format(**GENERATOR, module="buggy_options").replace(
        "    level: int = 1\n", f"    level: int = 1\n{VALIDATOR}"
    )
    file = buggy("buggy_options", text)
    ran = plan_of(in_process, write_matrix, file)
    assert ran.code == 2 and "matrix.yaml:" in ran.err, ran.err
    assert (
        "strategies.0.generator: generator 'buggy' of buggy_options.py local: validation of its options"
        in ran.err
    )
    assert f"raised TypeError: object of type 'int' has no len() ({line_of(file, 'len(value)')})" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("broken()", "describe(options) raised KeyError: 'the missing key'"),
        ("None", "describe() returned NoneType, expected a DatasetDescription"),
        (DESCRIPTION.replace("* 3", "* 2"), "6 ids and 4 labels"),
        (DESCRIPTION, "fingerprint(options) raised KeyError"),
    ],
)  # fmt: skip
def test_a_bug_in_a_data_set_names_it(in_process, write_matrix, buggy, returned, said):
    module = f"buggy_data_{abs(hash(said))}"
    file = buggy(module, PLUGIN.format(**DATASET, module=module) + DATA.format(returned=returned))
    ran = plan_of(
        in_process, write_matrix, file, dataset={"name": "buggy", "size": 8}, strategies=["real-only"]
    )
    assert ran.code == 2 and said in ran.err and "'buggy'" in ran.err, ran.err
    assert "Traceback" not in ran.err and "datasets.0" in ran.err


def test_debug_shows_the_traceback_of_a_bug(in_process, write_matrix, buggy):
    values = GENERATOR | {"module": "buggy_debug", "more": "requires=broken"}
    file = buggy("buggy_debug", PLUGIN.format(**values))
    strategies = [{"name": "s", "generator": "buggy", "synthetic": {"per_class": 4}}]
    with pytest.raises(UserError) as shown:
        in_process("--debug", "plan", write_matrix(strategies=strategies), "--plugin", file)
    assert isinstance(shown.value.__cause__, KeyError)


def test_explain_and_debug_show_the_traceback_of_a_failed_stage(in_process, write_matrix, tmp_path):
    matrix = toy_matrix(seeds=[0])
    matrix["strategies"][2]["generator"]["trouble"] = "raise"
    place = write_matrix(matrix)
    ran = in_process("run", place, "--out", "out")
    assert ran.code == 1 and "Traceback" not in ran.out + ran.err
    (named,) = {word for word in (ran.out + ran.err).split() if word.endswith(".jsonl")}
    explained = in_process("explain", place, "*/mean-balance/*")
    assert "Traceback (most recent call last):" in explained.out and "nets.py" in explained.out, explained.out
    assert f"more in {named}" in explained.out
    assert explained.out.count("Traceback") == 1 and "the same traceback as 'fit toy-mean" in explained.out
    rows = json.loads(in_process("explain", place, "*/mean-balance/*", "--json").out)["stages"]
    failed = [row for row in rows if row["traceback"]]
    assert named in {row["record"] for row in failed}
    assert all(not row["record"] for row in rows if row not in failed)


def test_debug_prints_the_traceback_when_a_stage_fails(in_process, write_matrix):
    matrix = toy_matrix(seeds=[0])
    matrix["strategies"][2]["generator"]["trouble"] = "raise"
    ran = in_process("--debug", "run", write_matrix(matrix), "--out", "out", "--executor", "inline")
    assert ran.code == 1 and "Traceback (most recent call last):" in ran.out + ran.err
