"""Finds plugins and keeps the broken ones apart: one bad package never breaks a run that does not need it."""

from __future__ import annotations

import importlib.metadata
import re
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import pluggy
from pydantic import BaseModel

from derm_bench import hookspecs
from derm_bench.errors import UserError, did_you_mean
from derm_bench.markers import API_VERSION, PROJECT
from derm_bench.specs import KINDS, SPEC_TYPES, PluginSpec

GROUP = "derm_bench"
OWN_DISTRIBUTION = "derm-bench"
_NAME = re.compile(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*")
_CREATE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Installed:
    """A plugin that may be used, and where it comes from."""

    kind: str
    spec: PluginSpec
    distribution: str
    version: str


@dataclass(frozen=True)
class Broken:
    """An entry point that could not be used: at which step it failed (`import`, `register`, `specs`) and how."""

    name: str
    distribution: str
    version: str
    step: Literal["import", "register", "specs"]
    error: str
    trace: str


class Plugins:
    """All installed plugins, by kind and name. `broken` lists what could not be loaded, and why."""

    def __init__(self, *, builtins_only: bool = False) -> None:
        self.broken: list[Broken] = []
        self._installed: dict[tuple[str, str], list[Installed]] = {}
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        points = importlib.metadata.entry_points(group=GROUP)
        for point in sorted(
            points, key=lambda p: (_distribution(p)[0] != OWN_DISTRIBUTION, _distribution(p), p.name)
        ):
            if not builtins_only or _distribution(point)[0] == OWN_DISTRIBUTION:
                self._load(point)

    @property
    def hook(self) -> Any:
        """pluggy's caller, for the lifecycle hooks."""
        return self._manager.hook

    def get(self, kind: str, name: str) -> Any:
        """The spec of the plugin `name` (or `distribution:name`), or a UserError that names the nearest one."""
        return self.installed(kind, name).spec

    def installed(self, kind: str, name: str) -> Installed:
        """As `get`, with the distribution that it comes from."""
        distribution, _, bare = name.rpartition(":")
        found = [
            plugin
            for plugin in self._installed.get((kind, bare), [])
            if not distribution or plugin.distribution == distribution
        ]
        if len(found) == 1:
            return found[0]
        if found:
            choices = " or ".join(f"'{plugin.distribution}:{bare}'" for plugin in found)
            raise UserError(f"{kind} '{bare}' is provided by two distributions", hint=f"write {choices}")
        broken = [entry for entry in self.broken if entry.name == bare or bare in entry.error]
        hint = did_you_mean(bare, self.names(kind))
        if broken or self.broken:
            hint += "; broken plugins: " + ", ".join(
                f"{b.distribution} ({b.error})" for b in broken or self.broken
            )
        raise UserError(f"no {kind} is named '{name}'", hint=hint)

    def names(self, kind: str) -> list[str]:
        """The names of all plugins of `kind`, sorted."""
        return sorted({name for installed_kind, name in self._installed if installed_kind == kind})

    def specs(self, kind: str) -> list[Any]:
        """The specs of all plugins of `kind`, sorted by name."""
        return [plugin.spec for plugin in self.all() if plugin.kind == kind]

    def all(self) -> list[Installed]:
        """Every usable plugin, sorted by kind, name, distribution."""
        everything = [plugin for plugins in self._installed.values() for plugin in plugins]
        return sorted(everything, key=lambda p: (KINDS.index(p.kind), p.spec.name, p.distribution))

    def listing(self) -> list[dict[str, str]]:
        """What `plugins list --json` prints: `{name, kind, distribution, version, status, error}`."""
        rows = [
            {
                "name": plugin.spec.name,
                "kind": plugin.kind,
                "distribution": plugin.distribution,
                "version": plugin.version,
                "status": "ok",
                "error": "",
            }
            for plugin in self.all()
        ]
        rows += [
            {
                "name": entry.name,
                "kind": "",
                "distribution": entry.distribution,
                "version": entry.version,
                "status": "broken",
                "error": f"{entry.step}: {entry.error}",
            }
            for entry in self.broken
        ]
        return rows

    def _load(self, point: importlib.metadata.EntryPoint) -> None:
        """import -> register -> check specs; what fails is rolled back and remembered."""
        distribution, version = _distribution(point)
        name = f"{distribution}:{point.name}"
        step: Literal["import", "register", "specs"] = "import"
        try:
            module = point.load()
            step = "register"
            _check_module(module)
            self._manager.register(module, name=name)
            step = "specs"
            found = [Installed(kind, spec, distribution, version) for kind, spec in _specs(module)]
        except Exception as error:  # a plugin may raise anything at all
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            message = str(error) or type(error).__name__
            trace = traceback.format_exc()
            self.broken.append(Broken(point.name, distribution, version, step, message, trace))
            return
        for plugin in found:
            self._installed.setdefault((plugin.kind, plugin.spec.name), []).append(plugin)


def _distribution(point: importlib.metadata.EntryPoint) -> tuple[str, str]:
    dist = point.dist
    return (dist.name, dist.version) if dist else ("unknown", "0")


def _check_module(module: ModuleType) -> None:
    """Refuses a module of another hook API and hooks that nobody calls."""
    api = getattr(module, "DERM_BENCH_API", None)
    if api != API_VERSION:
        raise UserError(
            f"the module says DERM_BENCH_API = {api!r}, this derm-bench speaks {API_VERSION}",
            hint="upgrade derm-bench"
            if isinstance(api, int) and api > API_VERSION
            else "set DERM_BENCH_API = 1",
        )
    known = [name for name in vars(hookspecs) if name.startswith("derm_bench_")]
    for name, value in vars(module).items():
        if hasattr(value, f"{PROJECT}_impl") and name not in known:
            raise UserError(f"no hook is named '{name}'", hint=did_you_mean(name, known))


def _specs(module: ModuleType) -> Iterable[tuple[str, PluginSpec]]:
    """The specs that the module's own hooks return, checked."""
    for kind, spec_type in SPEC_TYPES.items():
        hook = getattr(module, f"derm_bench_{kind}s", None)
        for spec in hook() if hook else ():
            yield kind, _checked(spec, kind, spec_type)


def _checked(spec: object, kind: str, spec_type: type[PluginSpec]) -> PluginSpec:
    if not isinstance(spec, spec_type):
        raise UserError(f"derm_bench_{kind}s returned {type(spec).__name__}, expected {spec_type.__name__}")
    if not _NAME.fullmatch(spec.name):
        raise UserError(f"'{spec.name}' is no plugin name", hint="lower-case words joined by '-'")
    if not _CREATE.fullmatch(spec.create):
        raise UserError(f"{spec.name}: create is '{spec.create}'", hint="expected 'package.module:attribute'")
    if not (isinstance(spec.options, type) and issubclass(spec.options, BaseModel)):
        raise UserError(f"{spec.name}: options must be a pydantic model class")
    return spec
