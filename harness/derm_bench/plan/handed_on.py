"""What a module hands on from other modules without using it: imports on demand, and `derm_bench.api` as a module."""

from __future__ import annotations

import ast

API = "derm_bench.api"


def imported_on_demand(tree: ast.Module) -> list[ast.ImportFrom]:
    """The imports under `if TYPE_CHECKING:` of a module that has `__getattr__` (PEP 562): by convention, these are the
    names that it imports when they are asked for. Reads the tree before it is normalised."""
    blocks = [node for node in tree.body if isinstance(node, ast.If)]
    statements = [*tree.body, *(inner for block in blocks for inner in block.body)]
    if not any(isinstance(node, ast.FunctionDef) and node.name == "__getattr__" for node in statements):
        return []
    return [
        inner
        for block in blocks
        if ast.unparse(block.test).rpartition(".")[2] == "TYPE_CHECKING"
        for inner in block.body
        if isinstance(inner, ast.ImportFrom)
    ]


def imports_api(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> bool:
    """Whether an import is one of `derm_bench.api` as a module, and not of names in it."""
    if isinstance(node, ast.Import):
        return alias.name == API
    return not node.level and f"{node.module}.{alias.name}" == API


def uses_of_api(node: ast.Import | ast.ImportFrom, alias: ast.alias, users: ast.AST) -> list[list[str]]:
    """The names that the code `users` takes from `derm_bench.api`, imported as a module (`api.Engine`): one list of
    names; no list if it uses none; an empty list, which means all of the module, if it cannot be told."""
    bound = alias.asname or (API if isinstance(node, ast.Import) else alias.name)
    found = [each for each in ast.walk(users) if isinstance(each, ast.expr) and _dotted(each) == bound]
    taken = [
        each for each in ast.walk(users) if isinstance(each, ast.Attribute) and _dotted(each.value) == bound
    ]
    if len(taken) < len(found):
        return [[]]
    return [sorted({each.attr for each in taken})] if taken else []


def _dotted(node: ast.expr) -> str:
    """The text of a name or of attributes of a name; empty for any other expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (value := _dotted(node.value)):
        return f"{value}.{node.attr}"
    return ""
