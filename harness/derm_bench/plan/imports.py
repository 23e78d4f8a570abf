"""Finds the imports of a module in its syntax tree, and those that cannot be found there."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from derm_bench.plan.handed_on import API, imports_api, uses_of_api


class Import(NamedTuple):
    """An imported module and the names that are imported from it. `only_annotates` is true if annotations alone use
    them."""

    module: str
    names: list[str]
    only_annotates: bool = False


class Unseen(NamedTuple):
    """A call that imports or runs code whose name is computed: its line and its source."""

    line: int
    text: str


# Functions that import or run the code that their first argument names.
_IMPORTING = frozenset({"import_module", "__import__"})
_RUNNING = frozenset({"spec_from_file_location", "run_path", "run_module", "walk_packages", "iter_modules"})
_BUILTINS = frozenset({"exec", "eval"})


def imports_of(tree: ast.AST, package: str, users: ast.AST | None = None) -> Iterator[Import]:
    """Every import that may run, with relative names made absolute: statements, `import_module` with a constant name,
    and lazy import paths. `package` is the package of the module; `users` is the code that uses what is imported, by
    default the tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                if imports_api(node, alias):
                    yield from (Import(API, names) for names in uses_of_api(node, alias, users or tree))
                elif isinstance(node, ast.Import):
                    yield Import(alias.name, [])
                else:
                    yield Import(base_of(node, package), [alias.name])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_import_path(node.value):
            yield Import(node.value.partition(":")[0], [])
        elif isinstance(node, ast.Call) and _called(node) in _IMPORTING and (name := _constant(node)):
            parent = ast.ImportFrom(name.lstrip(".") or None, [], len(name) - len(name.lstrip(".")))
            yield Import(base_of(parent, package), [])


def unseen_in(tree: ast.AST) -> Iterator[Unseen]:
    """The calls that import or run code which `imports_of` cannot find."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = _called(node)
        computed = name in _IMPORTING and not _constant(node)
        if computed or name in _RUNNING or (name in _BUILTINS and isinstance(node.func, ast.Name)):
            yield Unseen(node.lineno, ast.unparse(node))


def base_of(node: ast.ImportFrom, package: str) -> str:
    """The absolute name of the module that a `from` import reads."""
    if not node.level:
        return node.module or ""
    parent = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*parent, node.module] if node.module else parent)


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _constant(node: ast.Call) -> str:
    """The constant text that is the first argument of a call; empty without one."""
    first = node.args[0] if node.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def _is_import_path(text: str) -> bool:
    """Whether a string is a lazy import path `package.module:attribute`, which counts as an import."""
    module, colon, attribute = text.partition(":")
    return bool(colon) and attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))
