"""Normalises source code for digests: removes from its syntax tree everything that cannot change a result."""

from __future__ import annotations

import ast

# Arguments of calls that only describe something in words.
_WORDS = {"Field": {"description", "title", "examples"}}
# Specs, which only the parent process reads.
_SPECS = {
    f"{kind}Spec"
    for kind in ("Plugin", "Dataset", "Generator", "Classifier", "Metric", "Transform", "Executor")
}


def normalised(tree: ast.Module) -> ast.Module:
    """Removes from the tree, in place: docstrings, annotations outside of classes (in classes pydantic and dataclasses
    read them), arguments of raised exceptions, messages of assertions, descriptions of options, arguments of specs,
    `__all__`, and the code under `if TYPE_CHECKING:`."""
    _Normaliser().visit(tree)
    return tree


class _Normaliser(ast.NodeTransformer):
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
        if node.value is None:
            return None
        return self.generic_visit(ast.Assign([node.target], node.value, lineno=node.lineno, col_offset=0))

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        test = node.test
        runs = isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not)  # `if not TYPE_CHECKING:`
        if ast.unparse(test).endswith("TYPE_CHECKING"):
            kept_branch = node.body if runs else node.orelse
            return [kept for statement in kept_branch for kept in self._one(statement)]
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
