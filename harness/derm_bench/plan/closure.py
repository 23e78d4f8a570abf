"""Source digests: what code a stage runs, by the static import closure of the module it starts in.

Docstrings and comments do not count; any other edit does. Imports under `if TYPE_CHECKING:` are not followed, nor
are the `__init__` files of packages passed on the way (else registering one plugin would change every key).
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from derm_bench.fingerprint import recall, remember

OWN_PACKAGES = ("derm_bench",)
# What reads a source text: `ast.dump` differs between versions of Python, and the number is raised with this code.
_READER = f"1/{sys.version_info[:2]}"
# A module that is imported, and the names that are taken from it.
_Statement = tuple[str, list[str]]


@dataclass(frozen=True)
class Closure:
    """`digest` of all source reached; `imports`: top-level packages of others that it imports, sorted."""

    digest: str
    imports: tuple[str, ...]


@dataclass(frozen=True)
class _Module:
    digest: str
    imports: tuple[str, ...]


@functools.cache
def source_closure(target: str) -> Closure:
    """The closure of `package.module[:attribute]` within its own distribution and derm_bench."""
    module = target.partition(":")[0]
    inside = _siblings(module.partition(".")[0]) | set(OWN_PACKAGES)
    seen: dict[str, str] = {}
    outside: set[str] = set()
    queue = [module]
    while queue:
        name = queue.pop()
        if name in seen:
            continue
        path = _file_of(name)
        if path is None:
            continue
        parsed = _parsed(path, name)
        seen[name] = parsed.digest
        for imported in parsed.imports:
            top = imported.partition(".")[0]
            if top in inside:
                queue.append(imported)
            elif top not in sys.stdlib_module_names:
                outside.add(top)
    text = "\n".join(f"{name} {digest}" for name, digest in sorted(seen.items()))
    return Closure(hashlib.sha256(text.encode()).hexdigest(), tuple(sorted(outside)))


@functools.cache
def distribution_of(package: str) -> str | None:
    """The distribution that installed a top-level package; None where nobody says."""
    return next(iter(_packages().get(package, ())), None)


@functools.cache
def versions_of(packages: tuple[str, ...]) -> dict[str, str]:
    """`{distribution: version}` of the distributions that provide `packages`."""
    names = {name for package in packages if (name := distribution_of(package))}
    return {name: importlib.metadata.version(name) for name in sorted(names)}


@functools.cache
def _packages() -> dict[str, list[str]]:
    return dict(importlib.metadata.packages_distributions())


def _siblings(package: str) -> set[str]:
    """The top-level packages of the distribution that `package` belongs to, itself included."""
    distribution = distribution_of(package)
    found = (
        {name for name, owners in _packages().items() if distribution in owners} if distribution else set()
    )
    return found | {package}


@functools.cache
def _root_of(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    origin = Path(spec.origin)
    return origin.parent if spec.submodule_search_locations else origin


def _file_of(module: str) -> Path | None:
    """The source file of a module, found without importing any of its parents."""
    top, *rest = module.split(".")
    root = _root_of(top)
    if root is None:
        return None
    if root.is_file():
        return root if not rest else None
    base = root.joinpath(*rest)
    for candidate in (base.with_suffix(".py") if rest else None, base / "__init__.py"):
        if candidate is not None and candidate.is_file():
            return candidate
    return None


@functools.cache
def _parsed(path: Path, module: str) -> _Module:
    """A module's digest and what it imports. Parsing takes most of the time of a small plan: what a source text
    comes to is kept by the text's own digest, so it is never out of date; which files are there is asked anew."""
    content = path.read_bytes()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    name = hashlib.sha256(f"{_READER}\0{package}\0".encode() + content).hexdigest()
    kept = recall(name)
    digest, statements = json.loads(kept) if kept else _read_source(content, str(path), package)
    if not kept:
        remember(name, json.dumps((digest, statements)))
    return _Module(digest, tuple(sorted(set(_resolved(statements)))))


def _read_source(content: bytes, file: str, package: str) -> tuple[str, list[_Statement]]:
    tree = ast.parse(content, file)
    statements = list(_imports(tree, package))
    _strip_docstrings(tree)
    return hashlib.sha256(ast.dump(tree, annotate_fields=False).encode()).hexdigest(), statements


def _resolved(statements: Sequence[_Statement]) -> Iterator[str]:
    """Absolute names of the modules that import statements may reach: a name may be a submodule, or lie in its base."""
    for base, names in statements:
        found = [f"{base}.{name}" for name in names if _file_of(f"{base}.{name}")]
        yield from found
        if not names or len(found) < len(names):
            yield base


def _imports(tree: ast.Module, package: str) -> Iterator[_Statement]:
    """(module, names taken from it) of every import that may run; relative ones made absolute."""
    for node in _runtime_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, base] if base else parent)
            yield base, [alias.name for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_import_path(node.value):
            yield node.value.partition(":")[0], []


def _is_import_path(text: str) -> bool:
    """A lazy import path `package.module:attribute` in a string is an import too."""
    module, colon, attribute = text.partition(":")
    return bool(colon) and attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))


def _runtime_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            for branch in child.orelse:
                yield branch
                yield from _runtime_nodes(branch)
            continue
        yield child
        yield from _runtime_nodes(child)


def _strip_docstrings(tree: ast.Module) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                node.body = node.body[1:] or [ast.Pass()]
