"""Third-party distributions as they lie on disk, good and broken, and what commands make of them."""

import json
import os
from pathlib import Path

import pytest
import yaml
from tests.conftest import toy_matrix

DISTRIBUTIONS = Path(__file__).parent.parent / "data/distributions"
BROKEN = {
    "import-error": ("1.1", "import: ", "No module named 'a_module_that_is_not_installed'"),
    "unknown-hook": ("1.2", "register: ", "did you mean 'derm_bench_generators'?"),
    "wrong-spec": ("1.3", "specs: ", "returned ClassifierSpec, expected GeneratorSpec"),
    "too-new": ("1.4", "register: ", "upgrade derm-bench"),
}


@pytest.fixture
def zoo(in_process, monkeypatch):
    """The command line where all fixture distributions are installed beside the toys."""
    monkeypatch.syspath_prepend(str(DISTRIBUTIONS))
    monkeypatch.setenv("COLUMNS", "250")

    def call(*arguments, **env):
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        return in_process(*arguments)

    return call


def with_generator(name: str) -> str:
    strategies = toy_matrix()["strategies"]
    strategies[2]["generator"]["name"] = name
    return yaml.safe_dump(toy_matrix(strategies=strategies), sort_keys=False)


def test_each_is_listed_with_its_state(zoo):
    ran = zoo("plugins", "list", "--json")
    rows = {(row["distribution"], row["name"]): row for row in json.loads(ran.out)}
    for name, (version, stage, reason) in BROKEN.items():
        row = rows[f"derm-bench-{name}", name]
        assert (row["status"], row["version"]) == ("broken", version)
        assert row["error"].startswith(stage) and reason in row["error"]
    for key in [
        ("derm-bench-good", "good-gan"),
        ("derm-bench-duplicate", "good-gan"),
        ("derm-bench-slow", "slow-gan"),
    ]:
        assert (rows[key]["status"], rows[key]["kind"]) == ("ok", "generator")


def test_the_table_tells_what_is_slow_and_what_is_there_twice(derm_bench):
    path = os.pathsep.join([str(DISTRIBUTIONS), os.environ["PYTHONPATH"]])
    shown = derm_bench("plugins", "list", env={"PYTHONPATH": path, "COLUMNS": "250"}).out
    assert "derm-bench-slow took" in shown
    assert "write 'derm-bench-duplicate:good-gan' or 'derm-bench-good:good-gan'" in shown
    assert "derm-bench-import-error" in shown and "broken" in shown
    assert "reading a large table" not in shown  # what a plugin prints while it is imported goes to stderr


def test_the_schema_is_made_in_spite_of_broken_and_doubled_plugins(zoo):
    schema = json.loads(zoo("schema").out)
    assert "derm-bench-good:good-gan" in json.dumps(schema)


def test_a_matrix_that_needs_no_broken_plugin_runs(zoo, write_matrix, tmp_path):
    matrix = write_matrix(with_generator("derm-bench-good:good-gan"))
    ran = zoo("run", matrix, "--only", "strategy=mean-balance,seed=0", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["distributions"]["derm-bench-good"] == "1.0"


@pytest.mark.parametrize("name", BROKEN)
def test_a_matrix_that_needs_a_broken_plugin_is_refused_with_the_reason(zoo, write_matrix, name):
    ran = zoo("plan", write_matrix(with_generator(name)))
    assert ran.code == 2
    assert "strategies.2.generator.name" in ran.err
    assert f"derm-bench-{name} {BROKEN[name][0]} is broken" in ran.err
    assert BROKEN[name][2] in ran.err
    assert "Traceback" not in ran.err


def test_a_name_of_two_distributions_is_refused_with_both(zoo, write_matrix):
    ran = zoo("plan", write_matrix(with_generator("good-gan")))
    assert ran.code == 2
    assert "provided by derm-bench-duplicate and derm-bench-good" in ran.err
    assert "'derm-bench-good:good-gan'" in ran.err


def test_strict_plugins_refuses_to_go_on(zoo, write_matrix):
    ran = zoo("--strict-plugins", "plan", write_matrix())
    assert ran.code == 2
    assert all(f"derm-bench-{name} " in ran.err for name in BROKEN)


def test_what_is_not_allowed_is_blocked_and_not_imported(zoo, write_matrix):
    allow = {"DERM_BENCH_PLUGINS": "toy-plugins, Derm_Bench.Good"}
    rows = json.loads(zoo("plugins", "list", "--json", **allow).out)
    blocked = {row["distribution"] for row in rows if row["status"] == "blocked"}
    assert blocked == {"derm-bench-duplicate", "derm-bench-slow"} | {f"derm-bench-{name}" for name in BROKEN}
    assert not [row for row in rows if row["status"] == "broken"]
    ran = zoo("--strict-plugins", "plan", write_matrix(with_generator("good-gan")), **allow)
    assert ran.code == 0, ran.err
    refused = zoo("plan", write_matrix(with_generator("too-new")), **allow)
    assert refused.code == 2 and "is blocked: not in DERM_BENCH_PLUGINS" in refused.err


def test_an_allow_list_that_names_nothing_installed_is_refused(zoo):
    ran = zoo("plugins", "list", DERM_BENCH_PLUGINS="derm-bench-god")
    assert ran.code == 2 and "did you mean 'derm-bench-good'" in ran.err


def test_no_plugins_blocks_all_third_parties(zoo, write_matrix):
    rows = json.loads(zoo("--no-plugins", "plugins", "list", "--json").out)
    third = [row for row in rows if row["distribution"] != "derm-bench"]
    assert len(third) == 8 and {row["status"] for row in third} == {"blocked"}
    refused = zoo("--no-plugins", "plan", write_matrix())
    assert refused.code == 2 and "--no-plugins" in refused.err


def test_a_broken_plugin_is_shown_with_its_traceback(zoo):
    ran = zoo("plugins", "show", "import-error")
    assert ran.code == 2
    assert "import_error.py" in ran.err and "is broken: import: " in ran.err
