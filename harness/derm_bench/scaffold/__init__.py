"""Writes a new plugin package for `derm-bench plugins new KIND NAME` from `templates/`, which has one folder per kind
and one for all kinds."""

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
    "generator": ("model", "the two networks, their fit and their samples"),
    "classifier": ("model", "the network"),
    "dataset": ("reader", "reads labels, lesions and images"),
    "metric": ("score", "computes the score"),
    "transform": ("transform", "changes images"),
}
"""For each kind, the module that `create` names and its description in the README."""
_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_LONGEST = 50


def write_package(kind: str, name: str, plugins: Plugins, parent: Path) -> list[Path]:
    """Writes the package into parent/NAME and returns its files. Raises UserError, and writes nothing, if the name is
    invalid or taken or if parent/NAME exists."""
    _check_name(name)
    place = parent / name
    if place.exists() or place.is_symlink():
        raise UserError(f"{place} exists", hint="choose another name, or run the command in another folder")
    _check_free(name, plugins)
    texts = render(kind, name)
    for file, text in texts.items():
        path = place / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return [place / file for file in texts]


def render(kind: str, name: str) -> dict[str, str]:
    """The text of each file of the package, by its path in the package's folder."""
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
    # Placeholders are written with brackets, because Python, YAML and GitHub's ${{ }} use braces.
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
    """The import package of the plugin `name`. The prefix avoids clashes with other packages."""
    return f"derm_bench_{name.replace('-', '_')}"


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) and len(name) <= _LONGEST:
        return
    words = re.sub(r"[^a-z0-9]+", "-", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower())
    better = re.sub(r"^[-0-9]+|-+$", "", words)[:_LONGEST].rstrip("-")
    raise UserError(
        f"'{name}' is not a valid name of a plugin: lower-case words joined by '-', at most {_LONGEST} characters",
        hint=f"for example '{better}'" if _NAME.fullmatch(better) else "for example 'my-gan'",
    )


def _check_free(name: str, plugins: Plugins) -> None:
    """Refuses a taken name, because a second plugin of that name could only be used as `distribution:name`."""
    for plugin in plugins.named(name):
        raise UserError(
            f"'{name}' is taken by a {plugin.kind} of {plugin.distribution} {plugin.version}",
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
            f"'{name}' needs the package {package_name(name)}, which is installed already",
            hint="choose another name",
        )
