"""Source digests: the code that a stage runs, as the static import closure of the modules in which it starts.

Followed are the modules of derm_bench, of the distribution of a plugin, and of packages in development (editable
installs, and packages on the path that no distribution installed); of the latter two, files that are not source count
too. Other packages are known by their version.

Only edits that can change a result change a digest. Left out are docstrings, comments, annotations of functions and the
imports that only they need, the messages of exceptions and assertions, descriptions of options, and the arguments of
specs (the identity contains the spec fields that a worker uses separately). Imports under `if TYPE_CHECKING:` are not
followed, nor are the `__init__` files of packages on the import path (otherwise registering one plugin would change
every key). A name that a module of derm_bench only re-exports, or that comes from a module with nothing but imports, is
followed to its definition.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.machinery
import importlib.metadata
import importlib.util
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from derm_bench.fingerprint import file_digests, recall, remember
from derm_bench.plan.distributions import distribution_of, in_development, packages_of
from derm_bench.plan.handed_on import imported_on_demand
from derm_bench.plan.imports import Import, Unseen, base_of, imports_of, unseen_in
from derm_bench.plan.listing import Listing, digests_in
from derm_bench.plan.normal_source import normalised
from derm_bench.plan.package_files import data_files

OWN_PACKAGES = ("derm_bench", "derm_bench_plugins")
# Packages of ours whose re-exported names are followed to their definition.
HANDING_ON = ("derm_bench",)
# Libraries that are known by their version even if they are installed from a checkout: reading them would take minutes.
LIBRARIES = frozenset(
    {"torch", "torchvision", "timm", "numpy", "scipy", "sklearn", "pandas", "PIL", "cv2", "pydantic"}
)
# Top-level packages that distributions bring by accident, and that no plugin reads.
_BESIDE = frozenset({"tests", "test", "docs", "examples", "benchmarks"})
# Modules that are part of no key. Exceptions end a stage without a result; specs, hooks and markers are read by the
# parent process, and the spec fields that a worker uses are part of the identity.
UNKEYED = ("derm_bench.errors", "derm_bench.hookspecs", "derm_bench.markers", "derm_bench.specs")
# The version of the source reader: `ast.dump` differs between versions of Python, and the number is raised when this
# code changes.
_READER = f"4/{sys.version_info[:2]}"
_Read = tuple[str, list[tuple[str, list[str], bool]], dict[str, tuple[str, str]], bool, list[tuple[int, str]]]


@dataclass(frozen=True)
class Closure:
    """What an import closure reaches.

    digest: the digest of its source and data; modules: the names of its modules, sorted; imports: the top-level
    packages of other distributions that they import, sorted; content: the digests of modules and data files by name
    (`derm_bench.plan.listing`), of which `digest` is the digest; files: the places of the data files.
    """

    digest: str
    modules: tuple[str, ...]
    imports: tuple[str, ...]
    content: bytes = b""
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Module:
    """A source file: its digest and imports. `handed_on` maps each name that it imports by `from ... import` to
    (module, name in that module). `only_imports`: the file contains only imports. `unseen`: calls that import what
    cannot be seen."""

    digest: str
    imports: tuple[Import, ...]
    handed_on: dict[str, tuple[str, str]]
    only_imports: bool
    unseen: tuple[Unseen, ...]


@functools.cache
def source_closure(*targets: str) -> Closure:
    """The closure of `package.module[:attribute]` targets within their own distributions and derm_bench."""
    modules = [target.partition(":")[0] for target in targets]
    return _reached(modules, _inside(modules))


def _inside(modules: Iterable[str]) -> set[str]:
    """The top-level packages whose source is followed for code that starts in these modules."""
    return set(OWN_PACKAGES).union(*(_siblings(module.partition(".")[0]) for module in modules))


def _reached(modules: Iterable[str], inside: set[str], *, data: bool = True) -> Closure:
    """The closure of all modules of the packages `inside`, and of packages in development, that are reached from
    `modules`."""
    followed = set(inside)
    seen: dict[str, str] = {}
    outside: set[str] = set()
    queue = [(module, False) for module in modules]
    while queue:
        name, only_annotates = queue.pop()
        top = name.partition(".")[0]
        if top not in followed and not only_annotates and _is_followed(top):
            followed.add(top)
        if top not in followed:
            outside |= set() if only_annotates else {top} - sys.stdlib_module_names
            continue
        path = None if name in seen or name in UNKEYED else file_of(name)
        if path is not None:
            parsed = _parsed(path, name)
            seen[name] = parsed.digest
            queue += set(_resolved(parsed.imports))
    files = _data_of(followed) if data else {}
    listing = Listing.of(seen | file_digests(files))
    places = tuple(str(path) for path in files.values())
    return Closure(listing.digest, tuple(sorted(seen)), tuple(sorted(outside)), listing.content, places)


def _data_of(packages: Iterable[str]) -> dict[str, Path]:
    """The files beside the source of packages that are not ours."""
    found: dict[str, Path] = {}
    for package in sorted(set(packages) - _own_packages() - _BESIDE):
        root = root_of(package)
        if root is not None:
            found |= data_files(package, root)
    return found


@functools.cache
def _own_packages() -> frozenset[str]:
    own = distribution_of("derm_bench")
    return frozenset(OWN_PACKAGES) | (packages_of(own) if own else set())


@functools.cache
def _is_followed(package: str) -> bool:
    """Whether a package is in development: an editable install, or a package on the path that was not installed."""
    if package in sys.stdlib_module_names or package in LIBRARIES or _is_namespace(package):
        return False
    distribution, root = distribution_of(package), root_of(package)
    if root is None:
        return False
    if distribution is not None:
        return in_development(distribution)
    return not {"site-packages", "dist-packages"} & set(root.parts)


def unseen_imports(*targets: str) -> list[tuple[str, Unseen]]:
    """(module, call) of each call in the closure of `targets`, derm_bench apart, that imports or runs code under a
    computed name, so that the closure may lack it."""
    found = []
    for module in source_closure(*targets).modules:
        path = file_of(module)
        if path is not None and module.partition(".")[0] not in OWN_PACKAGES:
            found += [(module, call) for call in _parsed(path, module).unseen]
    return found


@functools.cache
def definition_closure(module: str, name: str) -> Closure:
    """The closure of a single definition of a module: the definition, the other definitions of the module that it uses,
    and the modules that they import from. The definitions appear in `modules` as `module:name`. If the module has no
    such definition at its top level, the closure of the module is returned."""
    path = file_of(module)
    tree = normalised(ast.parse(path.read_bytes(), str(path)))[0] if path is not None else ast.Module([], [])
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
    statements = list(imports_of(ast.Module(list(imports), []), package, tree))
    starts = [name for name, _ in _resolved(statements)]
    reached = _reached(starts, _inside([module]), data=False)
    own = {f"{module}:{bound}": _digest_of(node) for bound, node in used.items()}
    listing = Listing.of(digests_in(reached.content) | own)
    defined = [f"{module}:{bound}" for bound, node in used.items() if node not in imports]
    modules = tuple(sorted([*defined, *reached.modules]))
    return Closure(listing.digest, modules, reached.imports, listing.content)


def _digest_of(node: ast.AST) -> str:
    return hashlib.sha256(ast.dump(node, annotate_fields=False).encode()).hexdigest()


def forget_source() -> None:
    """Forgets what was read, so that the next closure is that of the files as they are then."""
    for known in (source_closure, definition_closure, _parsed, data_files, _is_ours, _is_followed):
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
    """The top-level packages of the distribution that `package` belongs to, itself included."""
    distribution = distribution_of(package)
    return (packages_of(distribution) if distribution else set()) | {package}


@functools.cache
def root_of(package: str) -> Path | None:
    """The folder of a top-level package or the file of a top-level module; None if there is none. Of a package without
    `__init__`, which may lie in several folders, the first. Workers are started in the current folder and can import
    from there, even if this process cannot."""
    try:
        spec = importlib.util.find_spec(package)
        spec = spec or importlib.machinery.PathFinder.find_spec(package, [str(Path.cwd())])
    except (ImportError, ValueError):  # `__main__` has no spec
        return None
    if spec is None or spec.origin in ("built-in", "frozen"):
        return None
    folders = list(spec.submodule_search_locations or ())
    if spec.origin is None:
        return Path(folders[0]) if folders else None
    return Path(spec.origin).parent if folders else Path(spec.origin)


def _is_namespace(package: str) -> bool:
    root = root_of(package)
    return root is not None and root.is_dir() and not (root / "__init__.py").is_file()


def file_of(module: str) -> Path | None:
    """The source file of a module, found without importing any of its parents."""
    top, *rest = module.split(".")
    root = root_of(top)
    if root is None:
        return None
    if root.is_file():
        return root if not rest else None
    base = os.path.join(root, *rest)  # noqa: PTH118  (asked for tens of thousands of names, most of them no modules)
    for candidate in (f"{base}.py" if rest else "", os.path.join(base, "__init__.py")):  # noqa: PTH118
        if candidate and os.path.isfile(candidate):  # noqa: PTH113
            return Path(candidate)
    return None


@functools.cache
def _parsed(path: Path, module: str) -> _Module:
    """The digest of a module and its imports. Parsing takes most of the time of a small plan, so the result is cached
    under the digest of the source text and is never out of date. Which files exist is not cached."""
    content = path.read_bytes()
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    name = hashlib.sha256(f"{_READER}\0{package}\0".encode() + content).hexdigest()
    kept = recall(name)
    read = _recalled(kept) if kept else None
    if read is None:
        read = _read_source(content, str(path), package)
        remember(name, json.dumps(read))
    digest, imports, handed_on, only_imports, unseen = read
    return _Module(
        digest,
        tuple(Import(base, list(names), only_annotates) for base, names, only_annotates in imports),
        {name: (origin, original) for name, (origin, original) in handed_on.items()},
        only_imports,
        tuple(Unseen(line, text) for line, text in unseen),
    )


def _recalled(text: str) -> _Read | None:
    """What `_parsed` cached; None if a checkout with another reader of the same number has written it."""
    read = json.loads(text)
    return read if isinstance(read, list) and len(read) == len(get_args(_Read)) else None  # type: ignore[return-value]


def _read_source(content: bytes, file: str, package: str) -> _Read:
    whole = ast.parse(content, file)
    unseen = [(call.line, call.text) for call in unseen_in(whole)]
    on_demand = imported_on_demand(whole)
    tree, annotating = normalised(whole)
    handed_on = {
        alias.asname or alias.name: (base_of(node, package), alias.name)
        for node in [*tree.body, *annotating, *on_demand]
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    only_imports = all(isinstance(node, ast.Import | ast.ImportFrom) for node in tree.body)
    later = ast.Module([*on_demand], [])
    found = [*imports_of(tree, package), *imports_of(later, package)]
    imports = [(each.module, each.names, False) for each in found]
    beside = ast.Module([*annotating], [])
    imports += [(each.module, each.names, True) for each in imports_of(beside, package)]
    return _digest_of(tree), imports, handed_on, only_imports, unseen


def _resolved(imports: Sequence[Import]) -> Iterator[tuple[str, bool]]:
    """(absolute name, whether annotations alone need it) of the modules that imports may reach: an imported name may
    be a submodule of its base, be defined in the base, or be re-exported there."""
    for base, names, only_annotates in imports:
        if not names:
            yield base, only_annotates
        for name in names:
            yield _home(base, name), only_annotates


def _home(base: str, name: str, steps: int = 16) -> str:
    """The module that defines the name which `from base import name` imports."""
    if file_of(f"{base}.{name}"):
        return f"{base}.{name}"
    path = file_of(base) if base.partition(".")[0] not in sys.stdlib_module_names else None
    if path is not None and steps and _is_ours(base):
        module = _parsed(path, base)
        if name in module.handed_on and (module.only_imports or base.partition(".")[0] in HANDING_ON):
            origin, original = module.handed_on[name]
            return _home(origin, original, steps - 1)
    return base


@functools.cache
def _is_ours(module: str) -> bool:
    """Whether the source of a module may be read: True for derm_bench, for distributions that provide plugins, and for
    packages in development. Other distributions may be of any size and are identified by their versions."""
    top = module.partition(".")[0]
    return top in OWN_PACKAGES or distribution_of(top) in _plugin_distributions() or _is_followed(top)


@functools.cache
def _plugin_distributions() -> frozenset[str]:
    points = importlib.metadata.entry_points(group="derm_bench")
    return frozenset(point.dist.name for point in points if point.dist is not None)
