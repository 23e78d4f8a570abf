"""Source digests: the code that a stage runs, as the static import closure of the modules in which it starts.

Only edits that can change a result change a digest. Left out are docstrings, comments, annotations of functions, the
messages of exceptions and assertions, descriptions of options, and the arguments of specs (the identity contains the
spec fields that a worker uses separately). Imports under `if TYPE_CHECKING:` are not followed, nor are the `__init__`
files of packages on the import path (otherwise registering one plugin would change every key). A name that a module of
derm_bench only re-exports, or that comes from a module with nothing but imports, is followed to its definition.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from derm_bench.fingerprint import recall, remember
from derm_bench.plan.distributions import distribution_of, packages_of
from derm_bench.plan.handed_on import API, imported_on_demand, names_of_api
from derm_bench.plan.normal_source import normalised
from derm_bench.plugins.local_files import modules_beside, root_beside

OWN_PACKAGES = ("derm_bench",)
# Modules that are part of no key. Exceptions end a stage without a result; specs, hooks and markers are read by the
# parent process, and the spec fields that a worker uses are part of the identity.
UNKEYED = ("derm_bench.errors", "derm_bench.hookspecs", "derm_bench.markers", "derm_bench.specs")
# The version of the source reader: `ast.dump` differs between versions of Python, and the number is raised when this
# code changes.
_READER = f"3/{sys.version_info[:2]}"
# An imported module, and the names that are imported from it.
_Statement = tuple[str, list[str]]
_Read = tuple[str, list[_Statement], dict[str, tuple[str, str]], bool]


@dataclass(frozen=True)
class Closure:
    """The modules that an import closure reaches.

    digest: the digest of their source; modules: their names, sorted; imports: the top-level packages of other
    distributions that they import, sorted.
    """

    digest: str
    modules: tuple[str, ...]
    imports: tuple[str, ...]


@dataclass(frozen=True)
class _Module:
    """A source file: its digest and import statements. `handed_on` maps each name that it imports by
    `from ... import` to (module, name in that module). `only_imports`: the file contains only imports."""

    digest: str
    statements: tuple[_Statement, ...]
    handed_on: dict[str, tuple[str, str]]
    only_imports: bool


@functools.cache
def source_closure(*targets: str) -> Closure:
    """The closure of `package.module[:attribute]` targets within their own distributions and derm_bench."""
    modules = [target.partition(":")[0] for target in targets]
    return _reached(modules, _inside(modules))


def _inside(modules: Iterable[str]) -> set[str]:
    """The top-level packages whose source is followed for code that starts in these modules."""
    return set(OWN_PACKAGES).union(*(_siblings(module.partition(".")[0]) for module in modules))


def _reached(modules: Iterable[str], inside: set[str]) -> Closure:
    """The closure of all modules of the packages `inside` that are reached from `modules`."""
    seen: dict[str, str] = {}
    outside: set[str] = set()
    queue = list(modules)
    while queue:
        name = queue.pop()
        top = name.partition(".")[0]
        if top not in inside:
            outside |= {top} - sys.stdlib_module_names
            continue
        path = None if name in seen or name in UNKEYED else file_of(name)
        if path is not None:
            parsed = _parsed(path, name)
            seen[name] = parsed.digest
            queue += set(_resolved(parsed.statements))
    text = "\n".join(f"{name} {digest}" for name, digest in sorted(seen.items()))
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Closure(digest, tuple(sorted(seen)), tuple(sorted(outside)))


@functools.cache
def definition_closure(module: str, name: str) -> Closure:
    """The closure of a single definition of a module: the definition, the other definitions of the module that it uses,
    and the modules that they import from. The definitions appear in `modules` as `module:name`. If the module has no
    such definition at its top level, the closure of the module is returned."""
    path = file_of(module)
    tree = normalised(ast.parse(path.read_bytes(), str(path))) if path is not None else ast.Module([], [])
    package = module if path is not None and path.name == "__init__.py" else module.rpartition(".")[0]
    nodes = {bound: node for node in tree.body for bound in _bound(node)}
    if name not in nodes:
        return source_closure(module)
    used: dict[str, ast.stmt] = {}
    queue = [name]
    while queue:
        wanted = queue.pop()
        if wanted in nodes and wanted not in used:
            used[wanted] = nodes[wanted]
            queue += [node.id for node in ast.walk(nodes[wanted]) if isinstance(node, ast.Name)]
    imports = [node for node in used.values() if isinstance(node, ast.Import | ast.ImportFrom)]
    statements = list(_imports(ast.Module(list(imports), []), package, tree))
    reached = _reached(_resolved(statements), _inside([module]))
    own = {f"{module}:{bound}": ast.dump(node, annotate_fields=False) for bound, node in used.items()}
    digest = hashlib.sha256(json.dumps([sorted(own.items()), reached.digest]).encode()).hexdigest()
    defined = [f"{module}:{bound}" for bound, node in used.items() if node not in imports]
    return Closure(digest, tuple(sorted([*defined, *reached.modules])), reached.imports)


def forget_source() -> None:
    """Forgets what was read, so that the next closure is that of the files as they are then."""
    for known in (source_closure, definition_closure, _parsed):
        known.cache_clear()


def _bound(node: ast.stmt) -> list[str]:
    """The names that a top-level statement of a module binds."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [alias.asname or alias.name.partition(".")[0] for alias in node.names]
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]


def _siblings(package: str) -> set[str]:
    """The top-level packages of the distribution that `package` belongs to, itself included; for a plugin that is a
    file, the modules beside it."""
    beside = modules_beside(package)
    if beside:
        return beside
    distribution = distribution_of(package)
    return (packages_of(distribution) if distribution else set()) | {package}


@functools.cache
def _root_of(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    origin = Path(spec.origin)
    return origin.parent if spec.submodule_search_locations else origin


def file_of(module: str) -> Path | None:
    """The source file of a module, found without importing any of its parents."""
    top, *rest = module.split(".")
    root = root_beside(top) or _root_of(top)
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
    """The digest of a module and its imports. Parsing takes most of the time of a small plan, so the result is cached
    under the digest of the source text and is never out of date. Which files exist is not cached."""
    content = path.read_bytes()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    name = hashlib.sha256(f"{_READER}\0{package}\0".encode() + content).hexdigest()
    kept = recall(name)
    read = json.loads(kept) if kept else _read_source(content, str(path), package)
    if not kept:
        remember(name, json.dumps(read))
    digest, statements, handed_on, only_imports = read
    return _Module(
        digest,
        tuple((base, list(names)) for base, names in statements),
        {name: (origin, original) for name, (origin, original) in handed_on.items()},
        only_imports,
    )


def _read_source(
    content: bytes, file: str, package: str
) -> tuple[str, list[_Statement], dict[str, tuple[str, str]], bool]:
    parsed = ast.parse(content, file)
    on_demand = imported_on_demand(parsed)
    tree = normalised(parsed)
    digest = hashlib.sha256(ast.dump(tree, annotate_fields=False).encode()).hexdigest()
    handed_on = {
        alias.asname or alias.name: (_base(node, package), alias.name)
        for node in [*tree.body, *on_demand]
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    only_imports = all(isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body)
    later = _imports(ast.Module(list(on_demand), []), package)
    return digest, [*_imports(tree, package), *later], handed_on, only_imports


def _resolved(statements: Sequence[_Statement]) -> Iterator[str]:
    """The absolute names of the modules that import statements may reach: an imported name may be a submodule of its
    base, be defined in the base, or be re-exported there."""
    for base, names in statements:
        if not names:
            yield base
        for name in names:
            yield _home(base, name)


def _home(base: str, name: str, steps: int = 16) -> str:
    """The module that defines the name which `from base import name` imports."""
    if file_of(f"{base}.{name}"):
        return f"{base}.{name}"
    path = file_of(base) if base.partition(".")[0] not in sys.stdlib_module_names else None
    if path is not None and steps and _is_ours(base):
        module = _parsed(path, base)
        if name in module.handed_on and (module.only_imports or base.partition(".")[0] in OWN_PACKAGES):
            origin, original = module.handed_on[name]
            return _home(origin, original, steps - 1)
    return base


@functools.cache
def _is_ours(module: str) -> bool:
    """Whether the source of a module may be read: True for derm_bench, for distributions that provide plugins, and for
    plugins that are files. Other distributions may be of any size and are identified by their versions."""
    top = module.partition(".")[0]
    return (
        top in OWN_PACKAGES or root_beside(top) is not None or distribution_of(top) in _plugin_distributions()
    )


@functools.cache
def _plugin_distributions() -> frozenset[str]:
    points = importlib.metadata.entry_points(group="derm_bench")
    return frozenset(point.dist.name for point in points if point.dist is not None)


def _imports(tree: ast.Module, package: str, users: ast.Module | None = None) -> Iterator[_Statement]:
    """(module, names imported from it) of every import that may run, with relative names made absolute. users: the code
    that uses them, by default the tree."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                names = names_of_api(node, alias, users or tree)
                if names is not None:
                    yield API, names
                elif isinstance(node, ast.Import):
                    yield alias.name, []
                else:
                    yield _base(node, package), [alias.name]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_import_path(node.value):
            yield node.value.partition(":")[0], []


def _base(node: ast.ImportFrom, package: str) -> str:
    """The absolute name of the module that a `from` import reads."""
    if not node.level:
        return node.module or ""
    parent = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*parent, node.module] if node.module else parent)


def _is_import_path(text: str) -> bool:
    """Whether a string is a lazy import path `package.module:attribute`, which counts as an import."""
    module, colon, attribute = text.partition(":")
    return bool(colon) and attribute.isidentifier() and all(part.isidentifier() for part in module.split("."))
