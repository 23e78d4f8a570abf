"""Writes a new plugin package: `derm-bench plugins new KIND NAME`. What it writes lies in `templates/`, a folder a
kind and one for all."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import jinja2

from derm_bench._version import __version__
from derm_bench.errors import UserError
from derm_bench.plugins import Plugins

KINDS = ("generator", "classifier", "dataset", "metric", "transform")
MODULES = {
    "generator": ("model", "the two networks, and how they are fitted and sampled"),
    "classifier": ("model", "the network"),
    "dataset": ("reader", "reads labels, lesions and images"),
    "metric": ("score", "computes the score"),
    "transform": ("transform", "changes images"),
}
"""Of each kind: the module that `create` names, and what its README says of it."""
_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_LONGEST = 50


def write_package(kind: str, name: str, plugins: Plugins, parent: Path) -> list[Path]:
    """Writes parent/NAME and returns its files. UserError, and nothing written: a name that is invalid or taken, or
    something already there."""
    _check_name(name)
    place = parent / name
    if place.exists() or place.is_symlink():
        raise UserError(f"{place} exists", hint="choose another name, or another folder to work in")
    _check_free(name, plugins)
    texts = render(kind, name)
    for file, text in texts.items():
        path = place / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return [place / file for file in texts]


def render(kind: str, name: str) -> dict[str, str]:
    """The package's files, by path below its folder."""
    module, what = MODULES[kind]
    package = package_name(name)
    values = {
        "kind": kind,
        "name": name,
        "distribution": f"derm-bench-{name}",
        "package": package,
        "cls": "".join(word.capitalize() for word in name.split("-")),
        "module": module,
        "what": what,
        "version": __version__,
    }
    # Python, YAML and GitHub's ${{ }} are full of braces, so placeholders have brackets.
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("derm_bench.scaffold"),
        variable_start_string="[[ ",
        variable_end_string=" ]]",
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )

    def text(template: str, **more: str) -> str:
        return environment.get_template(f"{template}.j2").render(values | more)

    return {
        "pyproject.toml": text("common/pyproject.toml"),
        "README.md": text("common/README.md", matrix=text(f"{kind}/matrix.yaml").rstrip()),
        ".gitignore": text("common/gitignore"),
        ".github/workflows/tests.yml": text("common/ci.yml"),
        f"{package}/__init__.py": text(f"{kind}/init.py"),
        f"{package}/{module}.py": text(f"{kind}/{module}.py"),
        f"tests/test_{package}.py": text(f"{kind}/test.py"),
    }


def package_name(name: str) -> str:
    """The import package of the plugin `name`; the prefix keeps it apart from everybody else's modules."""
    return f"derm_bench_{name.replace('-', '_')}"


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) and len(name) <= _LONGEST:
        return
    words = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower())
    better = re.sub(r"^[-0-9]+|-+$", "", words)[:_LONGEST].rstrip("-")
    raise UserError(
        f"'{name}' is no plugin name: lower-case words joined by '-', {_LONGEST} characters at most",
        hint=f"for example '{better}'" if _NAME.fullmatch(better) else "for example 'my-gan'",
    )


def _check_free(name: str, plugins: Plugins) -> None:
    """A second plugin of that name could only be used as `distribution:name`."""
    for plugin in plugins.named(name):
        raise UserError(
            f"'{name}' is taken: a {plugin.kind} of {plugin.distribution} {plugin.version}",
            hint="choose another name",
        )
    entry = plugins.unusable(name)
    if entry is not None:
        raise UserError(
            f"'{name}' is taken by the installed distribution {entry.distribution} {entry.version}",
            hint="choose another name, or uninstall it",
        )
    if importlib.util.find_spec(package_name(name)) is not None:
        raise UserError(
            f"'{name}' would be the package {package_name(name)}, which is installed already",
            hint="choose another name",
        )
