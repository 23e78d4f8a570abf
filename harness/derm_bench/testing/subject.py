"""The plugin under test, found by name or by the path of a package that is not installed."""

from __future__ import annotations

import importlib.metadata
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from derm_bench.errors import UserError, did_you_mean
from derm_bench.matrix.options import compose_options, validated_parts
from derm_bench.options.paths import paths_in
from derm_bench.plan.declared import names_of, places_of
from derm_bench.plugins import Plugins
from derm_bench.specs import PluginSpec
from derm_bench.testing.rules import ConformanceError

KINDS = ("dataset", "generator", "classifier", "metric", "transform")
GROUP = "derm_bench"


@dataclass(frozen=True)
class Subject:
    """One plugin: its spec, the entry modules of its distribution, options that override a preset, stand-ins for its
    requirements, by name, and the plugins among which the others are found (default: those installed)."""

    kind: str
    spec: PluginSpec
    entry_modules: tuple[str, ...]
    given: Mapping[str, Any]
    inputs: Mapping[str, Any] = field(default_factory=dict)
    plugins: Plugins | None = None

    @property
    def package(self) -> str:
        """The top-level package of the plugin."""
        return self.spec.create.partition(":")[0].partition(".")[0]

    @property
    def model(self) -> type[BaseModel]:
        return compose_options(self.spec)

    def options(self, preset: str = "tiny") -> Any:
        """Return the options of the preset (the defaults if there is none), overridden by the given ones."""
        values = {**self.spec.presets.get(preset, {}), **self.given}
        try:
            options = self.model.model_validate(values)
            return validated_parts(options, self._part) if self.kind == "dataset" else options
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            source = f"preset '{preset}'" if preset in self.spec.presets else "the defaults"
            raise ConformanceError(
                f"{self.spec.name}: {source} with {dict(self.given)} is not valid at '{where}': {first['msg']}; "
                "set options without a default in the preset, or pass them as `options` (on the command line: --set)",
                f"{self.spec.name}: {source} is not valid",
            ) from error

    def _part(self, name: str, values: Mapping[str, Any]) -> Any:
        """The options of a data set that this one is made of."""
        return compose_options((self.plugins or Plugins()).get("dataset", name)).model_validate(values)

    def paths(self, preset: str = "tiny") -> list[Path]:
        """Return the files and folders that the options name, at any depth, and that `depends_on` names."""
        named = [found.path for found in paths_in(self.options(preset))]
        return [*named, *places_of(names_of(self.spec))]


def installed(
    kind: str,
    plugin: str,
    given: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Any] | None = None,
    plugins: Plugins | None = None,
) -> Subject:
    """Return the plugin of that kind and name (or `distribution:name`), of `plugins` or of those installed."""
    found = (plugins or Plugins()).installed(kind, plugin)
    return Subject(kind, found.spec, _entry_modules(found.distribution), given or {}, inputs or {}, plugins)


def by_name(plugin: str, given: Mapping[str, Any], plugins: Plugins | None = None) -> list[Subject]:
    """Return all plugins of that name, of any kind, of `plugins` or of those installed."""
    plugins = plugins or Plugins()
    kinds = [found.kind for found in plugins.named(plugin) if found.kind in KINDS]
    if not kinds:
        known = [known for kind in KINDS for known in plugins.names(kind)]
        raise UserError(
            f"there is no plugin named '{plugin}' and no file or folder {Path(plugin).absolute()}",
            hint=did_you_mean(plugin, known),
        )
    return [installed(kind, plugin, given, plugins=plugins) for kind in dict.fromkeys(kinds)]


@contextmanager
def at_path(path: Path, given: Mapping[str, Any], files: Sequence[Path] = ()) -> Iterator[list[Subject]]:
    """Yield all plugins of a module, a package folder, or a project folder whose pyproject.toml has entry points. They
    are loaded as if the project were installed, beside the plugins of `files`, which they may require. Raises UserError
    if they cannot be loaded."""
    name, points, roots = _project(path.absolute())
    before = list(sys.path)
    with tempfile.TemporaryDirectory() as made:
        sys.path[:0] = [made, *map(str, roots)]
        name = _installed_as(points) or name
        info = Path(made) / f"{name.replace('-', '_')}-0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0\n")
        lines = "\n".join(f"{point} = {module}" for point, module in points.items())
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{lines}\n")
        try:
            plugins = Plugins(files=[file for file in files if file.resolve() != path.resolve()])
            _refuse_broken(plugins, name, path)
            found = [p for p in plugins.all() if p.distribution == name and p.kind in KINDS]
            if not found:
                raise UserError(f"{path} provides no plugin", hint="return a list of specs from a hook")
            # A plugin of one file, as `--plugin` takes it, may import anything.
            modules = () if path.suffix == ".py" else tuple(points.values())
            yield [Subject(p.kind, p.spec, modules, given, plugins=plugins) for p in found]
        finally:
            sys.path[:] = before


def _project(path: Path) -> tuple[str, dict[str, str], list[Path]]:
    """Return the distribution name, the entry points, and the folders to import from."""
    pyproject = path / "pyproject.toml"
    if pyproject.is_file():
        try:
            project = tomllib.loads(pyproject.read_text(encoding="utf-8")).get("project", {})
        except tomllib.TOMLDecodeError as error:
            raise UserError(f"not valid TOML: {error}", file=pyproject) from error
        points = project.get("entry-points", {}).get(GROUP, {})
        if not points:
            raise UserError(
                "there is no entry point",
                file=pyproject,
                hint='write [project.entry-points.derm_bench] and below it: my-gan = "my_gan"',
            )
        return project.get("name", path.name), dict(points), [path, path / "src"]
    if (path / "__init__.py").is_file() or path.suffix == ".py":
        return f"{path.stem.replace('_', '-')}-under-test", {path.stem: path.stem}, [path.parent]
    raise UserError(
        f"{path} contains no plugin",
        hint="expected a folder with pyproject.toml or __init__.py, or a .py file",
    )


def _installed_as(points: Mapping[str, str]) -> str | None:
    """Return the installed distribution that has these entry points, if any, as a module is loaded only once."""
    known = importlib.metadata.entry_points(group=GROUP)
    return next((p.dist.name for p in known if p.dist and p.module in points.values()), None)


def _refuse_broken(plugins: Plugins, distribution: str, path: Path) -> None:
    for broken in plugins.broken:
        if broken.distribution == distribution:
            raise UserError(f"{path} cannot be loaded: {broken.stage} failed: {broken.error}")


def _entry_modules(distribution: str) -> tuple[str, ...]:
    """The entry modules of a distribution; none for a plugin that is a file, which may import anything."""
    if distribution.endswith(".py"):
        return ()
    points = importlib.metadata.distribution(distribution).entry_points
    return tuple(point.module for point in points if point.group == GROUP)
