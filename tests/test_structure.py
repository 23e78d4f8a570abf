"""The house rules that a script can check: sizes of files, functions and constructors, and no circle of imports."""

import ast
import itertools
import re
from functools import cache
from pathlib import Path

import pytest

from derm_bench.plan.kinds import KINDS

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "derm_bench": ROOT / "harness" / "derm_bench",
    "derm_bench_plugins": ROOT / "plugins" / "derm_bench_plugins",
}
LINES_OF_FILE, LINES_OF_FUNCTION, ARGUMENTS = 400, 60, 12
REASON = "This file is long because"
FILES = sorted(path for root in PACKAGES.values() for path in root.rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_files_are_short_or_say_why_not():
    long = [path for path in FILES if len(path.read_text().splitlines()) > LINES_OF_FILE]
    assert [named(path) for path in long if REASON not in "\n".join(path.read_text().splitlines()[:12])] == []


def test_functions_are_short_enough_to_see_whole():
    long = [
        f"{named(path)}:{node.name} has {node.end_lineno - node.lineno + 1} lines"
        for path in FILES
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > LINES_OF_FUNCTION
    ]
    assert long == []


def constructors(tree: ast.Module):
    """(class, number of arguments of its constructor) of classes with `__init__`, and of dataclasses."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        if any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
            fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
            public = [f for f in fields if "ClassVar" not in ast.unparse(f.annotation) and not _internal(f)]
            yield node.name, len(public)
        for item in node.body:
            if isinstance(item, ast.FunctionDef) and item.name == "__init__":
                yield node.name, len(item.args.args) + len(item.args.kwonlyargs) - 1


def _internal(field: ast.AnnAssign) -> bool:
    """State of a record that nobody gives: `_memo`, or a field with `init=False`."""
    return field.target.id.startswith("_") or (
        field.value is not None and "init=False" in ast.unparse(field.value)
    )


# Records without a constructor of their own, whose fields are written by name: the parameters of a training stage, what
# a plugin declares of a generator, a row of summary.csv as answers show it, and the stages that a run directory shows.
RECORDS = {"Train", "GeneratorSpec", "Comparison", "RunStages"}


def test_constructors_take_few_arguments():
    many = [
        f"{named(path)}:{name} takes {count}"
        for path in FILES
        for name, count in constructors(tree_of(path))
        if count > ARGUMENTS and name not in RECORDS
    ]
    assert many == []


def imports_of(path: Path, module: str, modules: set[str]):
    """The modules of ours that a file imports, for annotations too."""
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in modules)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield from [inner] if inner in modules else [base] if base in modules else []


def graph() -> dict[str, set[str]]:
    paths = {}
    for package, root in PACKAGES.items():
        for path in root.rglob("*.py"):
            parts = path.relative_to(root).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            paths[".".join((package, *parts))] = path
    found = {module: set(imports_of(path, module, set(paths))) - {module} for module, path in paths.items()}
    return found


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that import one another, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in edges[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = [stack.pop()]
            while group[-1] != node:
                group.append(stack.pop())
            if len(group) > 1:
                found.append(sorted(group))

    for node in edges:
        if node not in index:
            visit(node)
    return found


def test_no_files_import_one_another():
    assert circles(graph()) == []


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_every_file_says_what_it_is_in_its_first_line(package):
    silent = [
        named(path)
        for path in PACKAGES[package].rglob("*.py")
        if path.read_text().strip() and not path.read_text().startswith(('"""', "#!"))
    ]
    assert silent == []


def _rows(heading):
    """The cells of the first table below a heading of CONTRIBUTING.md."""
    text = (ROOT / "CONTRIBUTING.md").read_text().split(f"\n## {heading}\n")[1]
    lines = itertools.dropwhile(lambda line: not line.startswith("| "), text.split("\n"))
    table = itertools.takewhile(lambda line: line.startswith("|"), lines)
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in list(table)[2:]]


def test_contributing_names_every_kind_of_stage_by_its_word():
    told = {kind: row[1] for row in _rows("Stages") for kind in re.findall(r"`([a-z-]+)`", row[0])}
    assert told == {kind.name: kind.word for kind in KINDS.values()}


def test_contributing_says_what_every_package_and_module_is():
    told = {
        name for row in _rows("Where things are") for name in re.findall(r"`([a-z_]+)(?:/|\.py)`", row[0])
    }
    there = {path.stem for path in (ROOT / "harness" / "derm_bench").iterdir() if path.suffix in ("", ".py")}
    assert told == there - {"__init__", "_version", "__pycache__"}
