"""Reads untrusted YAML into plain data, with the line of every key. Scalars follow the YAML 1.2 core schema.

It uses PyYAML's event stream, which neither resolves scalars (PyYAML resolves by YAML 1.1) nor creates objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from derm_bench.errors import UserError

MAX_BYTES = 1_000_000
MAX_NODES = 100_000
MAX_DEPTH = 64
MAX_DIGITS = 300  # more fit into no number that a computer multiplies; int() takes minutes for millions

KeyPath = tuple[str | int, ...]

_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {
    word: value
    for value, words in ((True, "true True TRUE"), (False, "false False FALSE"))
    for word in words.split()
}
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL = re.compile(r"0o[0-7]+")
_HEX = re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


@dataclass(frozen=True)
class Document:
    """Plain `data` (dict, list, str, int, float, bool, None) and `lines`, the line of each key path, counted from 1.

    Aliases are expanded to copies, so that one place of `data` can be changed without another.
    """

    file: Path | None
    data: Any
    lines: Mapping[KeyPath, int]

    def line(self, path: KeyPath) -> int | None:
        """The line of `path`, or of its nearest parent that is in the file."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return None


def load_yaml(file: Path) -> Document:
    """Reads a YAML file. Raises UserError if it is missing, over 1 MB, not UTF-8 text, or refused by `parse_yaml`."""
    return parse_yaml(_read_text(file), file)


def parse_yaml(text: str, file: Path | None = None) -> Document:
    """Parses one YAML document.

    Raises UserError with file and line for invalid syntax, a tag, a duplicate key (with both lines), a key that is not
    a scalar, a second document, more than 100,000 nodes with aliases expanded, nesting deeper than 64 levels, and an
    alias inside its own anchor.
    """
    try:
        root = _Composer(file).document(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else None
        if "nesting depth" in str(error):  # the parser has a bound of its own, since PyYAML 6.0.4
            raise UserError(f"nested deeper than {MAX_DEPTH} levels", file=file, line=line) from None
        raise UserError(f"not valid YAML: {error.problem or error.context}", file=file, line=line) from None
    except yaml.YAMLError as error:
        if "nesting depth" in str(error):
            raise UserError(f"nested deeper than {MAX_DEPTH} levels", file=file) from None
        raise UserError(f"not valid YAML: {' '.join(str(error).split())}", file=file) from None
    except UnicodeEncodeError:  # bytes of a command line that are not UTF-8 arrive as lone surrogates
        raise UserError("not UTF-8 text", file=file) from None
    lines: dict[KeyPath, int] = {}
    return Document(file, _plain(root, (), lines), lines)


def _read_text(file: Path) -> str:
    place = Path(file).absolute()
    if not place.exists():
        raise UserError(f"no such file: {place}", file=file)
    if not place.is_file():
        raise UserError(f"not a file: {place}", file=file)
    try:
        with place.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UserError(f"cannot read {place}: {error.strerror}", file=file) from None
    if len(content) > MAX_BYTES:
        raise UserError(f"larger than {MAX_BYTES // 1000} kB, the limit for a matrix or label map", file=file)
    if b"\0" in content:
        raise UserError("not a text file: it contains NUL bytes", file=file)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError("not UTF-8 text", file=file, line=line, hint="save the file as UTF-8") from None


@dataclass
class _Node:
    """A parsed node. `nodes` and `depth` count expanded aliases."""

    value: Any
    line: int
    nodes: int = 1
    depth: int = 1


class _Composer:
    """Composes nodes from events. It counts while composing, so that too large a document is refused before
    expansion."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.anchors: dict[str, _Node | None] = {}
        self.seen = 0

    def fail(self, message: str, line: int, hint: str = "") -> UserError:
        return UserError(message, file=self.file, line=line, hint=hint)

    def document(self, text: str) -> _Node:
        events = yaml.parse(text, Loader=_PARSER)
        root: _Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise self.fail("a second document starts here; a file may have one", _line(event))
                root = self.node(next(events), events, 1)
        return root or _Node(None, 1)

    def node(self, event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> _Node:
        line = _line(event)
        self.count(1, line)
        if depth > MAX_DEPTH:
            raise self.fail(f"nested deeper than {MAX_DEPTH} levels", line)
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, line, depth)
        tag, anchor = getattr(event, "tag", None), getattr(event, "anchor", None)
        if tag is not None:
            raise self.fail(f"YAML tag '{tag}' is not allowed", line, "write the plain value")
        if anchor is not None:
            self.anchors[anchor] = None  # not complete yet: an alias to it from inside would not end
        node = self.content(event, events, line, depth)
        if node.nodes > MAX_NODES:
            raise self.fail(f"aliases expand to more than {MAX_NODES} values", line)
        if anchor is not None:
            self.anchors[anchor] = node
        return node

    def count(self, nodes: int, line: int) -> None:
        self.seen += nodes
        if self.seen > MAX_NODES:
            raise self.fail(f"more than {MAX_NODES} values", line)

    def alias(self, event: yaml.AliasEvent, line: int, depth: int) -> _Node:
        if event.anchor not in self.anchors:
            raise self.fail(f"alias '*{event.anchor}' has no anchor before it", line)
        node = self.anchors[event.anchor]
        if node is None:
            raise self.fail(f"alias '*{event.anchor}' is inside its own anchor", line)
        if depth + node.depth - 1 > MAX_DEPTH:
            raise self.fail(f"nested deeper than {MAX_DEPTH} levels", line)
        return _Node(node.value, line, node.nodes, node.depth)

    def content(self, event: yaml.Event, events: Iterator[yaml.Event], line: int, depth: int) -> _Node:
        if isinstance(event, yaml.ScalarEvent):
            return _Node(self.scalar(event, line), line)
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[_Node] = []
            while not isinstance(child := next(events), yaml.SequenceEndEvent):
                items.append(self.node(child, events, depth + 1))
            return _sized(_Node(items, line), items)
        return self.mapping(events, line, depth)

    def mapping(self, events: Iterator[yaml.Event], line: int, depth: int) -> _Node:
        entries: dict[Any, tuple[int, _Node]] = {}
        merged: list[_Node] = []
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key_line = _line(event)
            is_merge = isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]
            node = self.node(event, events, depth + 1)
            value = self.node(next(events), events, depth + 1)
            if isinstance(node.value, list | dict):
                raise self.fail("a key must be a scalar, not a list or a map", key_line)
            key = node.value
            if is_merge:
                merged += self.merge_sources(value, key_line)
            elif key in entries:
                first = entries[key][0]
                raise self.fail(f"key '{key}' is given twice: lines {first} and {key_line}", key_line)
            else:
                entries[key] = (key_line, value)
        for source in merged:
            self.count(len(source.value), line)
            for name, entry in source.value.items():
                entries.setdefault(name, entry)
        return _sized(_Node(entries, line), [node for _, node in entries.values()])

    def merge_sources(self, node: _Node, line: int) -> list[_Node]:
        sources = node.value if isinstance(node.value, list) else [node]
        if not all(isinstance(source.value, dict) for source in sources):
            raise self.fail("'<<' takes a map, or a list of maps", line)
        return sources

    def scalar(self, event: yaml.ScalarEvent, line: int) -> Any:
        text = event.value
        if not event.implicit[0]:
            return text
        try:
            return resolve_scalar(text)
        except ValueError:
            raise self.fail(
                f"a number with too many digits: over {MAX_DIGITS}", line, "write text in quotes"
            ) from None


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark is not None else 1


def _sized(node: _Node, children: list[_Node]) -> _Node:
    node.nodes = 1 + sum(child.nodes for child in children)
    node.depth = 1 + max((child.depth for child in children), default=0)
    return node


def resolve_scalar(text: str) -> Any:
    """Resolves a plain (unquoted) scalar by the YAML 1.2 core schema: `1e-3` is a number, `on` a string.

    Raises ValueError for a number of more than 300 characters.
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    for pattern, base in ((_INT, 10), (_OCTAL, 8), (_HEX, 16)):
        if pattern.fullmatch(text):
            return int(_bounded(text) if base == 10 else _bounded(text)[2:], base)
    if _FLOAT.fullmatch(text):
        return float(_bounded(text))
    if _SPECIAL.fullmatch(text):
        return float(text.replace(".", "", 1))
    return text


def _bounded(text: str) -> str:
    """The text of a number, unless it is too long to be one."""
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number of more than {MAX_DIGITS} digits")
    return text


def _plain(node: _Node, path: KeyPath, lines: dict[KeyPath, int]) -> Any:
    lines.setdefault(path, node.line)
    if isinstance(node.value, list):
        return [_plain(child, (*path, index), lines) for index, child in enumerate(node.value)]
    if isinstance(node.value, dict):
        data = {}
        for key, (line, child) in node.value.items():
            lines[(*path, key)] = line
            data[key] = _plain(child, (*path, key), lines)
        return data
    return node.value


__all__ = ["Document", "KeyPath", "load_yaml", "parse_yaml", "resolve_scalar"]
