"""The JSON Schema in an editor: it accepts what `run` accepts, names what is wrong, and describes every key."""

from __future__ import annotations

import copy
import importlib
import json
import re
from typing import Any

import jsonschema
import pytest
import yaml
from tests.conftest import ROOT

from derm_bench.errors import UserError
from derm_bench.matrix.load import load_matrix
from derm_bench.matrix.schema import json_schema
from derm_bench.matrix.schema_key import key_schema
from derm_bench.plugins import Plugins
from derm_bench.yamlio import load_yaml

BUILT_INS = Plugins(builtins_only=True)
SCHEMA = json_schema(BUILT_INS)
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
SHIPPED = [
    path for path in sorted((ROOT / "benchmarks").rglob("*.yaml")) if "strategies:" in path.read_text()
]


def errors(matrix: Any) -> list[tuple[str, str]]:
    """(key path, message) of each error."""
    return [(".".join(map(str, e.absolute_path)), e.message) for e in VALIDATOR.iter_errors(matrix)]


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_every_shipped_matrix_is_valid(file):
    assert errors(load_yaml(file).data) == []


def test_every_matrix_of_the_pages_is_valid(tmp_path):
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
            if "strategies:" in block:
                (tmp_path / "matrix.yaml").write_text(block)
                assert errors(load_yaml(tmp_path / "matrix.yaml").data) == [], page.name


def test_the_matrix_of_an_example_is_valid_with_its_plugin(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "examples/ddpm/src")
    (package,) = [
        path.name for path in (ROOT / "examples/ddpm/src").iterdir() if (path / "__init__.py").exists()
    ]
    (spec,) = importlib.import_module(package).derm_bench_generators()

    class WithExample:
        def get(self, kind: str, name: str) -> Any:
            return spec if (kind, name) == ("generator", spec.name) else BUILT_INS.get(kind, name)

        def names(self, kind: str) -> list[str]:
            return [*BUILT_INS.names(kind), *([spec.name] if kind == "generator" else [])]

    jsonschema.validate(load_yaml(ROOT / "examples/ddpm/matrix.yaml").data, json_schema(WithExample()))


EXAMPLE = yaml.safe_load("""
datasets: [{name: phantom-dermoscopy, images: 100, size: 16}]
budget: {updates: 5}
strategies:
  - {name: real-only}
  - {name: gan, generator: {name: dcgan, base: 8, budget: {updates: 3}}, synthetic: {balance: true}}
classifiers: [{name: dermagan-cnn}]
""")


def changed(path: str, value: Any) -> Any:
    matrix = copy.deepcopy(EXAMPLE)
    *parents, last = [int(word) if word.isdigit() else word for word in path.split(".")]
    place = matrix
    for word in parents:
        place = place[word]
    place[last] = value
    return matrix


SHORT_FORMS = {
    "datasets.0": ["phantom-dermoscopy", "derm-bench:phantom-dermoscopy"],
    "datasets.0.limit": [24, {"per_class": 24}, {"per_class": {"mel": 24}}],
    "datasets.0.train_fraction": [0.5, [0.1, 1.0]],
    "datasets.0.classes": [["mel", "nv"], {"mel": "mel", "rest": ["nv", "bkl"]}, None],
    "datasets.0.preprocess": [["bilateral"], [{"bilateral": {"d": 5}}, {"gamma": 1.5}], [{"name": "gamma"}]],
    "datasets.0.split": [{"val": "test", "group": "none"}, {"test": {"per_class": 5}}, {"group": "group"}],
    "protocol": ["paper", "fair", {"name": "paper", "allow": ["ungrouped_split"]}],
    "seeds": [[0, 1], {"generator": [0, 1], "classifier": [0]}],
    "test_sets": [["test"], [{"name": "test"}]],
    "metrics": [["fd_domain"], [{"name": "kid_domain"}]],
    "executor": ["inline", {"name": "local"}],
    "strategies.0": ["real-only", {"name": "real-only", "balance": "oversample", "generator": None}],
    "strategies.0.augment": [["hflip"], [{"rotate": 30}, {"rotate": None}], [{"name": "rotate", "degrees": 30}]],
    "strategies.1.generator": ["dcgan", "derm-bench:dcgan", {"name": "dcgan", "preset": "tiny"}],
    "strategies.1.generator.scope": ["per_class", None],
    "strategies.1.synthetic": [{"balance": 40}, {"per_class": {"mel": 3}}, {"total": 9, "snapshot": "last"}],
    "strategies.1.sweep": [{"generator.base": [8, 16]}, [{"generator.base": 8, "label": "small"}]],
    "classifiers.0": ["dermagan-cnn", {"name": "timm", "preset": "tiny"},
                      {"name": "timm", "sweep": {"model": ["resnet18"]}}, {"sweep": {"name": ["dermagan-cnn"]}}],
    "classifiers": [[], [{"name": "ensemble", "members": ["dermagan-cnn", {"name": "timm", "model": "resnet18"}]}]],
    "presets": [{"smoke": {"budget.updates": 1}}],
}  # fmt: skip


@pytest.mark.parametrize(
    "path, value", [(path, value) for path, values in SHORT_FORMS.items() for value in values]
)
def test_what_run_accepts_is_valid(path, value, tmp_path):
    matrix = changed(path, value)
    (tmp_path / "matrix.yaml").write_text(yaml.safe_dump(matrix))
    try:
        load_matrix(tmp_path / "matrix.yaml", BUILT_INS)
    except UserError as error:  # rules across entries, which a schema does not have
        assert not re.search("unknown key|must be|expected|is named", str(error)), error
    assert errors(matrix) == []


def test_one_data_set_may_be_written_as_dataset():
    matrix = {**EXAMPLE, "dataset": EXAMPLE["datasets"][0]}
    assert errors(matrix) != []
    del matrix["datasets"]
    assert errors(matrix) == []


@pytest.mark.parametrize(
    "path, value, where, message",
    [
        ("strategies.1.generator.bse", 3, "strategies.1.generator", "'bse' was unexpected"),
        ("strategies.1.generator.base", "wide", "strategies.1.generator.base", "'wide' is not of type 'integer'"),
        ("strategies.1.generator.name", "dcgna", "strategies.1.generator.name", "'dcgna' is not one of"),
        ("strategies.1.generator", "dcgna", "strategies.1.generator", "'dcgna' is not one of"),
        ("strategies.1.synthetic.balnce", 3, "strategies.1.synthetic", "'balnce' was unexpected"),
        ("strategies.0.augment", [{"rotate": "far"}], "strategies.0.augment.0.rotate", "is not of type 'number'"),
        ("strategies.0.augment", [{"rotaet": 3}], "strategies.0.augment.0", "'rotaet'"),
        ("datasets.0.siz", 3, "datasets.0", "'siz' was unexpected"),
        ("datasets.0.limit", {"per_clas": 3}, "datasets.0.limit", "'per_clas' was unexpected"),
        ("datasets.0.split", {"val": {"per_clas": 3}}, "datasets.0.split.val", "'per_clas' was unexpected"),
        ("classifiers.0.init", {"dataset": {"name": "ham1000"}}, "classifiers.0.init.dataset.name",
         "'ham1000' is not one of"),
        ("classifiers.0.from", {"generator": {"nmae": "dcgan"}, "part": "x"}, "classifiers.0.from.generator",
         "'name' is a required"),
        ("classifiers.0.lr", 0, "classifiers.0.lr", "the minimum of 0"),
        ("protocol", {"allows": []}, "protocol", "'allows' was unexpected"),
        ("seeds", {"genrator": [1]}, "seeds", "'genrator' was unexpected"),
        ("budgets", {}, "", "'budgets' was unexpected"),
    ],
)  # fmt: skip
def test_an_editor_names_the_wrong_option_and_where_it_stands(path, value, where, message):
    found = errors(changed(path, value))
    assert any(at == where and message in said for at, said in found), found
    assert not any("valid under" in said for _, said in found)
    assert len(found) == 1, "one mistake, one error"


def properties(schema: Any, path: tuple[str, ...] = ()):
    """(path, schema) of each property that describes a value; those of conditions do not."""
    if isinstance(schema, list):
        for place, item in enumerate(schema):
            yield from properties(item, (*path, str(place)))
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key == "properties":
                yield from (((*path, name), inner) for name, inner in value.items() if inner is not False)
            if key != "if":
                yield from properties(value, (*path, key))


def test_every_key_has_a_description():
    found = list(properties(SCHEMA))
    assert len(found) > 500
    assert [path for path, inner in found if not inner.get("description")] == []
    assert [name for name, inner in SCHEMA["$defs"].items() if not inner.get("description")] == []


@pytest.mark.parametrize(
    "key, contains",
    [
        ("datasets", '"center-crop"'),
        ("analysis.primary", '"balanced_accuracy"'),
        ("strategies.generator.d_base", '"description"'),
        ("strategies.1.synthetic.balance", '"description"'),
        ("generator.dcgan", '"z_dim"'),
        ("dataset", '"center-crop"'),
    ],
)
def test_one_key_has_a_schema_of_its_own(key, contains):
    part = key_schema(SCHEMA, key)
    jsonschema.Draft202012Validator.check_schema(part)
    text = json.dumps(part)
    assert contains in text and '"analysis"' not in text
    assert set(re.findall(r"#/\$defs/([^\"]+)", text)) <= set(part.get("$defs", {}))


def test_the_schema_of_a_key_accepts_its_values():
    validator = jsonschema.Draft202012Validator(key_schema(SCHEMA, "datasets"))
    assert validator.is_valid(EXAMPLE["datasets"])
    assert not validator.is_valid([{"name": "ham10000", "rot": "x"}])


@pytest.mark.parametrize(
    "key, near",
    [("dataets", "datasets"), ("generator.dcgann", "generator.dcgan"), ("analysis.primry", "primary")],
)
def test_a_key_that_does_not_exist_is_refused_with_the_nearest(key, near):
    with pytest.raises(UserError) as refused:
        key_schema(SCHEMA, key)
    assert f"'{near}'" in refused.value.hint


def test_the_command_prints_the_schema_of_one_key(in_process):
    ran = in_process("--no-plugins", "schema", "--key", "budget")
    assert ran.code == 0, ran.err
    assert "updates" in json.loads(ran.out)["properties"]
    assert in_process("--no-plugins", "schema", "--key", "bugdet").code == 2


def test_the_readme_tells_an_editor_where_the_schema_is():
    assert "# yaml-language-server: $schema=" in (ROOT / "README.md").read_text()
