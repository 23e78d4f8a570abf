"""The JSON Schema of a matrix: whole, closed, and right about an example."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from derm_bench.matrix.options import compose_options
from derm_bench.matrix.schema import json_schema
from derm_bench.yamlio import load_yaml


def references(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for value in schema.values():
            yield from references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from references(value)


def test_every_reference_leads_somewhere_and_the_schema_is_json(plugins):
    schema = json.loads(json.dumps(json_schema(plugins)))
    names = {reference.removeprefix("#/$defs/") for reference in references(schema)}
    assert names <= set(schema["$defs"])
    assert {"dataset", "generator.dcgan", "strategy", "transform.rotate"} <= names


def test_a_plugin_branch_is_closed_and_holds_own_common_and_entry_keys(plugins):
    definitions = json_schema(plugins)["$defs"]
    dcgan = definitions["generator.dcgan"]
    assert dcgan["additionalProperties"] is False
    assert {"base", "budget", "scope", "name", "preset"} <= set(dcgan["properties"])
    assert dcgan["properties"]["base"]["default"] == 128
    assert {"model", "lr", "label", "from", "sweep"} <= set(definitions["classifier.timm"]["properties"])
    assert "options" not in definitions["classifier.timm"]["properties"]


def test_what_the_loader_fills_is_no_key_of_the_file(plugins):
    properties = json_schema(plugins)["properties"]
    assert "file" not in properties and "together" not in json.dumps(properties["seeds"])
    assert {"dataset", "datasets", "presets"} <= set(properties)


def test_composed_options_refuse_unknown_keys_and_keep_the_plugins_defaults(plugins):
    model = compose_options(plugins.get("classifier", "timm"))
    assert model(model="resnet18").lr == 0.01
    with pytest.raises(ValueError, match="Extra inputs"):
        model(model="resnet18", nonsense=1)
    assert compose_options(plugins.get("classifier", "timm")) is model


def test_the_schema_accepts_the_example_and_refuses_a_broken_one(plugins):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json_schema(plugins)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    example = load_yaml(Path(__file__).with_name("whole.yaml")).data
    example["classifiers"][1]["init"] = {"dataset": "a label", "budget": {"updates": 3}}
    assert [error.message for error in validator.iter_errors(example)] == []
    for path, value in {
        ("strategies", 3, "generator", "bse"): 3,
        ("strategies", 3, "generator", "name"): "nogan",
        ("strategies", 3, "generator", "base"): "wide",
        ("datasets", 0, "siz"): 3,
        ("budget", "updates"): "many",
        ("nonsense",): 1,
        ("classifiers", 2, "from", "generator", "nmae"): "dcgan",
        ("classifiers", 2, "from", "prat"): "discriminator",
        ("classifiers", 0, "init"): {"dataset": "ham10000", "bugdet": {"updates": 3}},
        ("classifiers", 1, "init", "dataset"): 3,
    }.items():
        broken = copy.deepcopy(example)
        place = broken
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        assert not validator.is_valid(broken), path
