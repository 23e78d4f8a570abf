"""`plugins list` and `plugins show`: narrow tables, types in words, and how a plugin is written in a matrix."""

import json
import re

import pytest
import yaml
from rich.cells import cell_len

from derm_bench.matrix.options import compose_options
from derm_bench.matrix.type_words import in_words
from derm_bench.plugins import Plugins
from derm_bench.specs import KINDS


@pytest.fixture(autouse=True)
def eighty_columns(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def table_of(printed: str) -> list[str]:
    """The column names of the first table."""
    lines = printed.splitlines()
    return lines[next(n for n, line in enumerate(lines) if "──" in line) - 1].split()


def test_the_list_fits_eighty_columns_and_has_no_column_that_says_the_same_in_every_row(in_process):
    whole = in_process("--no-plugins", "plugins", "list").out
    assert table_of(whole) == ["kind", "name", "summary"]
    of_a_kind = in_process("--no-plugins", "plugins", "list", "transform").out
    assert table_of(of_a_kind) == ["name", "summary"]
    assert "hflip" in of_a_kind and "dcgan" not in of_a_kind
    assert max(map(cell_len, [*whole.splitlines(), *of_a_kind.splitlines()])) <= 80


def test_a_plugin_that_is_not_built_in_says_where_it_comes_from(in_process):
    shown = " ".join(in_process("plugins", "list", "generator").out.split())
    assert re.search(r"toy-mean .*?\(toy-plugins [\d.]+\)", shown)
    assert "(derm-bench " not in shown


def test_an_unknown_kind_is_refused_with_the_kinds(in_process):
    ran = in_process("plugins", "list", "gan")
    assert ran.code == 2 and all(kind in ran.err for kind in KINDS)


def test_the_json_list_takes_a_kind_too(in_process):
    rows = json.loads(in_process("plugins", "list", "metric", "--json").out)
    assert {row["kind"] for row in rows} == {"metric"}


@pytest.mark.parametrize(
    "schema, words",
    [
        ({"type": "number", "exclusiveMinimum": 0}, "a number above 0"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 10}, "a number above 0, up to 10"),
        ({"type": "number", "minimum": 0, "exclusiveMaximum": 1}, "a number from 0, below 1"),
        ({"type": "integer", "minimum": 8, "maximum": 1024}, "a whole number from 8 to 1,024"),
        ({"type": "integer", "minimum": 1}, "a whole number of at least 1"),
        ({"enum": ["bce", "hinge"]}, "one of bce, hinge"),
        ({"const": False}, "false"),
        ({"anyOf": [{"type": "string", "format": "path"}, {"type": "null"}]}, "a file or folder"),
        ({"anyOf": [{"type": "string", "format": "file-path"}, {"type": "null"}]}, "a file"),
        ({"type": "array", "items": {"$ref": "#/$defs/TransformUse"}}, "a list of transforms"),
        ({"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}]}, "a list of 2 numbers"),
        ({"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
         "a map with whole numbers of at least 0"),
        ({"anyOf": [{"type": "boolean"}, {"type": "integer"}]}, "true or false, or a whole number"),
        ({}, "anything"),
    ],
)  # fmt: skip
def test_a_type_is_said_in_words(schema, words):
    assert in_words(schema) == words


def test_no_option_of_a_built_in_shows_the_notation_of_python_or_json():
    for plugin in Plugins(builtins_only=True).all():
        for name, entry in compose_options(plugin.spec).model_json_schema().get("properties", {}).items():
            assert not re.search(r"Union|Literal|Optional|\[|\||integer|boolean|string", in_words(entry)), (
                name
            )


def test_options_are_shown_with_types_in_words_within_eighty_columns(in_process):
    shown = in_process("plugins", "show", "cgan").out
    options = shown[shown.index("──") :]
    assert "one of bce, hinge" in options and "a number above 0" in options
    assert max(map(cell_len, options.splitlines())) <= 80


def written(shown: str) -> dict:
    """The first matrix lines in what `plugins show` prints."""
    lines = shown.lower().split("in a matrix:\n", 1)[1].splitlines()
    end = next((n for n, line in enumerate(lines) if line[:2] != "  "), len(lines))
    return yaml.safe_load("\n".join(lines[:end]))


def test_a_network_is_shown_as_it_is_written_in_a_matrix(in_process):
    ran = in_process("plugins", "show", "resnet50")
    assert ran.code == 0, ran.err
    assert written(ran.out) == {"classifiers": [{"name": "timm", "model": "resnet50"}]}
    assert "{name: timm, preset: resnet50}" in ran.out
    assert "{name: torchvision, model: resnet50}" in ran.out


@pytest.mark.parametrize(
    "name, lines",
    [
        ("mirza", {"strategies": [{"name": "my-strategy", "generator": {"name": "cgan", "preset": "mirza"},
                                   "synthetic": {"balance": True}}]}),
        ("rotate", {"strategies": [{"name": "my-strategy", "augment": [{"rotate": 30}]}]}),
        ("hflip", {"strategies": [{"name": "my-strategy", "augment": [{"hflip": 0.5}]}]}),
        ("bilateral", {"datasets": [{"name": "...", "preprocess": ["bilateral"]}]}),
        ("ham10000", {"datasets": [{"name": "ham10000", "root": "..."}]}),
        ("fid", {"metrics": ["fid"]}),
        ("inline", {"executor": {"name": "inline"}}),
        ("timm", {"classifiers": [{"name": "timm", "model": "..."}]}),
    ],
)  # fmt: skip
def test_presets_and_plugins_of_every_kind_are_shown_as_they_are_written(name, lines, in_process):
    assert written(in_process("plugins", "show", name).out) == lines


def test_a_misspelled_network_is_no_network_of_a_plugin_that_accepts_any_text(in_process):
    ran = in_process("plugins", "show", "resnet-50")
    assert ran.code == 2 and "did you mean 'resnet50'" in ran.err
