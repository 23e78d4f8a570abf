"""YAML from strangers: what it means, and what is refused with file and line."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from derm_bench.errors import UserError
from derm_bench.yamlio import load_yaml, parse_yaml


def refusal(text: str) -> UserError:
    with pytest.raises(UserError) as caught:
        parse_yaml(text, Path("m.yaml"))
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1.0e3", 1000.0),
        (".5", 0.5),
        ("0o17", 15),
        ("0x1F", 31),
        ("017", 17),
        ("on", "on"),
        ("yes", "yes"),
        ("NO", "NO"),
        ("true", True),
        ("~", None),
        ("", None),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("'1'", "1"),
        ("-.inf", -math.inf),
    ],
)
def test_scalars_are_yaml_1_2(text, value):
    data = parse_yaml(f"key: {text}").data["key"]
    assert data == value and type(data) is type(value)


def test_every_key_and_element_knows_its_line():
    document = parse_yaml("a: 1\nb:\n  - x\n  - {c: 2,\n     d: 3}\n")
    assert document.lines[("b", 1, "d")] == 5
    assert document.lines[("b", 0)] == 3
    assert document.line(("b", 1, "missing", "deeper")) == 4


def test_aliases_and_merge_keys_expand_to_independent_copies():
    data = parse_yaml("a: &a {x: 1, y: [2]}\nb: {<<: *a, x: 3}\nc: *a\n").data
    assert data["b"] == {"x": 3, "y": [2]}
    data["c"]["y"].append(9)
    assert data["a"]["y"] == [2]


def test_a_duplicate_key_is_refused_with_both_lines():
    error = refusal("a: 1\nb: 2\na: 3\n")
    assert error.line == 3 and "lines 1 and 3" in str(error)


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system [x]", "!secret 1", "!!str 1"])
def test_tags_are_refused(tag):
    error = refusal(f"a: 1\nb: {tag}\n")
    assert error.line == 2 and "tag" in str(error)


def test_an_alias_bomb_is_refused_before_it_expands():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    assert "aliases expand" in str(refusal("\n".join(lines)))


def test_a_merge_bomb_is_refused():
    keys = ", ".join(f"k{i}: 1" for i in range(1000))
    assert "more than" in str(refusal(f"a: &a {{{keys}}}\nb: {{<<: [{', '.join(['*a'] * 1000)}]}}\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [*a]", "inside its own anchor"),
        ("a: *nowhere", "no anchor"),
        ("[" * 5000, "nested deeper"),
        ("a: 1\n---\nb: 2", "second document"),
        ("? [1, 2]\n: 3", "must be a scalar"),
        ("a: [1,\nb: 2", "not valid YAML"),
        ("a: " + "9" * 5000, "too many digits"),
    ],
)
def test_what_is_not_plain_bounded_yaml_is_refused(text, message):
    assert message in str(refusal(text))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00", "NUL"),
        (b"name: caf\xe9\n", "UTF-8"),
        (b"a: " + b"x" * 1_000_001, "larger than"),
    ],
)
def test_files_that_are_no_text_are_refused_by_name(tmp_path, content, message):
    file = tmp_path / "m.yaml"
    file.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        load_yaml(file)
    assert caught.value.file == file


def test_a_missing_file_is_named_by_its_absolute_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        load_yaml(Path("nowhere.yaml"))
    assert str(tmp_path / "nowhere.yaml") in str(caught.value)
    with pytest.raises(UserError, match="not a file"):
        load_yaml(tmp_path)
