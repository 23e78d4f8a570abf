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


def names_of_api(node: ast.Import | ast.ImportFrom, alias: ast.alias, tree: ast.AST) -> list[str] | None:
    """The names that code uses of `derm_bench.api` if it imports it as a module (`api.Engine`). Empty if it cannot be
    told, so that all of them count; None if the import is one of something else."""
    if isinstance(node, ast.Import):
        if alias.name != API:
            return None
        bound = alias.asname or API
    else:
        if node.level or f"{node.module}.{alias.name}" != API:
            return None
        bound = alias.asname or alias.name
    uses = [each for each in ast.walk(tree) if isinstance(each, ast.expr) and _dotted(each) == bound]
    attributes = [
        each for each in ast.walk(tree) if isinstance(each, ast.Attribute) and _dotted(each.value) == bound
    ]
    return sorted({each.attr for each in attributes}) if len(attributes) == len(uses) else []


def _dotted(node: ast.expr) -> str:
    """The text of a name or of attributes of a name; empty for any other expression."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (value := _dotted(node.value)):
        return f"{value}.{node.attr}"
    return ""
