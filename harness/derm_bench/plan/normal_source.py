"""Normalises source code for digests: removes from its syntax tree everything that cannot change a result."""

from __future__ import annotations

import ast
import re

# Arguments of calls that only describe something in words.
_WORDS = {"Field": {"description", "title", "examples"}}
_WORD = re.compile(r"[^\W\d]\w*")
# Specs, which only the parent process reads.
_SPECS = {
    f"{kind}Spec"
    for kind in ("Plugin", "Dataset", "Generator", "Classifier", "Metric", "Transform", "Executor")
}


_Imports = ast.Import | ast.ImportFrom


def normalised(tree: ast.Module) -> tuple[ast.Module, list[ast.stmt]]:
    """Removes from the tree, in place: docstrings, annotations outside of classes (in classes pydantic and dataclasses
    read them), arguments of raised exceptions, messages of assertions, descriptions of options, arguments of specs,
    `__all__`, and the code under `if TYPE_CHECKING:`. Returns the tree and the imports at the top of the module that
    only annotations need, which are removed too."""
    exported = {text for node in tree.body if _is_all(node) for text in _texts(node)}
    normaliser = _Normaliser()
    normaliser.visit(tree)
    needless = normaliser.annotated - exported - _used(tree)
    annotating: list[ast.stmt] = []
    kept: list[ast.stmt] = []
    for node in tree.body:
        if not isinstance(node, _Imports):
            kept.append(node)
            continue
        apart = [alias for alias in node.names if _bound(alias) in needless]
        if apart and not _is_future(node):
            annotating.append(_with_names(node, apart))
        rest = [] if _is_future(node) else [alias for alias in node.names if alias not in apart]
        if rest:
            kept.append(_with_names(node, rest))
    tree.body = kept or [ast.Pass()]
    return tree, annotating


def _is_future(node: ast.stmt) -> bool:
    """Whether a statement is `from __future__ import annotations`, which changes nothing but annotations."""
    return isinstance(node, ast.ImportFrom) and node.module == "__future__" and not node.level


def _bound(alias: ast.alias) -> str:
    return alias.asname or alias.name.partition(".")[0]


def _with_names(node: ast.Import | ast.ImportFrom, names: list[ast.alias]) -> ast.stmt:
    if isinstance(node, ast.Import):
        return ast.Import(names)
    return ast.ImportFrom(node.module, names, node.level)


def _used(tree: ast.Module) -> set[str]:
    """The names that a normalised tree uses, also in quoted annotations of classes."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.AnnAssign):
            names |= {word for text in _texts(node.annotation) for word in _WORD.findall(text)}
    return names


def _texts(node: ast.AST) -> list[str]:
    return [
        inner.value
        for inner in ast.walk(node)
        if isinstance(inner, ast.Constant) and isinstance(inner.value, str)
    ]


class _Normaliser(ast.NodeTransformer):
    """Removes what `normalised` names. `annotated` are the names in the annotations and conditions that it removed."""

    def __init__(self) -> None:
        self.annotated: set[str] = set()

    def _drop(self, node: ast.expr | None) -> None:
        for inner in ast.walk(node) if node is not None else ():
            if isinstance(inner, ast.Name):
                self.annotated.add(inner.id)
            elif isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                self.annotated |= set(_WORD.findall(inner.value))

    def visit_Module(self, node: ast.Module) -> ast.AST:
        node.body = self._block(node.body, in_class=False) or [ast.Pass()]
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self._visit_all(node.bases, node.keywords, node.decorator_list)
        node.body = self._block(node.body, in_class=True) or [ast.Pass()]
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._function(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._function(node)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        self._drop(node.returns)
        node.returns = None
        arguments = node.args
        every = [
            *arguments.posonlyargs,
            *arguments.args,
            *arguments.kwonlyargs,
            arguments.vararg,
            arguments.kwarg,
        ]
        for argument in every:
            if argument is not None:
                self._drop(argument.annotation)
                argument.annotation = None
        self._visit_all(arguments.defaults, arguments.kw_defaults, node.decorator_list)
        node.body = self._block(node.body, in_class=False) or [ast.Pass()]
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        node.cause = None
        if isinstance(node.exc, ast.Call):
            node.exc = node.exc.func
        return node

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        node.msg = None
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in _SPECS:
            node.args, node.keywords = [], []
        elif name in _WORDS:
            node.keywords = [keyword for keyword in node.keywords if keyword.arg not in _WORDS[name]]
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST | None:
        """Replaces an annotated assignment of a function or module by a plain one."""
        self._drop(node.annotation)
        if node.value is None:
            return None
        return self.generic_visit(ast.Assign([node.target], node.value, lineno=node.lineno, col_offset=0))

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        if ast.unparse(node.test).endswith("TYPE_CHECKING"):
            self._drop(node.test)
            negated = isinstance(node.test, ast.UnaryOp) and isinstance(node.test.op, ast.Not)
            runs = node.body if negated else node.orelse
            return [kept for statement in runs for kept in self._one(statement)]
        return self.generic_visit(node)

    def _block(self, body: list[ast.stmt], *, in_class: bool) -> list[ast.stmt]:
        found: list[ast.stmt] = []
        for statement in body:
            if _is_text(statement) or _is_all(statement):
                continue
            if in_class and isinstance(statement, ast.AnnAssign):
                self.generic_visit(statement)
                found.append(statement)
            else:
                found += self._one(statement)
        return found

    def _one(self, statement: ast.stmt) -> list[ast.stmt]:
        made = self.visit(statement)
        return [] if made is None else made if isinstance(made, list) else [made]

    def _visit_all(self, *groups: list[ast.expr] | list[ast.expr | None] | list[ast.keyword]) -> None:
        for group in groups:
            group[:] = [None if node is None else self.visit(node) for node in group]  # type: ignore[misc]


def _is_text(statement: ast.stmt) -> bool:
    """Whether a statement is a docstring, or a string that documents the constant above it."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _is_all(statement: ast.stmt) -> bool:
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)
