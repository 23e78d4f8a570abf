"""Finds plugins. A broken plugin is listed and is an error only for a run that needs it.

Every entry point is imported and registered, and its specs are checked; if a step fails, it is unregistered and listed.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pluggy

from derm_bench import hookspecs
from derm_bench.errors import UserError, did_you_mean
from derm_bench.interrupts import held_back
from derm_bench.markers import PROJECT
from derm_bench.plugins.checks import check_module, specs_of, trackers_of
from derm_bench.plugins.culprit import line_in, place_of
from derm_bench.plugins.local_files import LOCAL, distinct, make_importable, refuse_hidden
from derm_bench.specs import KINDS, PluginSpec, load_object

GROUP = "derm_bench"
OWN_DISTRIBUTION = "derm-bench"
ALLOW = "DERM_BENCH_PLUGINS"
"""Environment variable with the comma-separated distributions whose plugins may be loaded; unset, all may."""
SLOW = 1.0
"""Seconds of import above which `plugins list` shows a note, since every command waits for the import."""


@dataclass(frozen=True)
class Installed:
    """A usable plugin and the distribution that provides it."""

    kind: str
    spec: PluginSpec
    distribution: str
    version: str


@dataclass(frozen=True)
class Broken:
    """An entry point that failed: the stage at which it did, and the error."""

    name: str
    distribution: str
    version: str
    stage: Literal["import", "register", "specs"]
    error: str
    traceback: str
    cause: BaseException | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Blocked:
    """An entry point that was not imported, and the reason."""

    name: str
    distribution: str
    version: str
    reason: str


@dataclass(frozen=True)
class SlowImport:
    """An entry module that took more than `SLOW` seconds to import; `torch` is true if it imports torch."""

    distribution: str
    seconds: float
    torch: bool


class Plugins:
    """All installed plugins by kind and name. `broken` lists those that could not be loaded.

    `files` are Python files that are loaded as plugins too, each as a distribution of the file's name. Raises UserError
    for a file that cannot be loaded, since somebody has asked for it.
    """

    def __init__(self, *, builtins_only: bool = False, files: Sequence[Path] = ()) -> None:
        self.files = tuple(distinct(files))
        self.broken: list[Broken] = []
        self.blocked: list[Blocked] = []
        self.slow: list[SlowImport] = []
        self._installed: dict[tuple[str, str], list[Installed]] = {}
        self._trackers: dict[str, str] = {}
        self._manager = pluggy.PluginManager(PROJECT)
        self._manager.add_hookspecs(hookspecs)
        points = sorted(importlib.metadata.entry_points(group=GROUP), key=_order)
        allowed = None if builtins_only else _allow_list(points)
        for point in points:
            distribution, version = _distribution(point)
            own = canonical(distribution) == OWN_DISTRIBUTION
            if own or (not builtins_only and (allowed is None or canonical(distribution) in allowed)):
                self._load(point, distribution, version)
            else:
                reason = "--no-plugins" if builtins_only else f"not in {ALLOW}"
                self.blocked.append(Blocked(point.name, distribution, version, reason))
        for file in self.files:
            self._load_file(file)

    @property
    def hook(self) -> Any:
        """The hook caller of pluggy, for the lifecycle hooks."""
        return self._manager.hook

    def get(self, kind: str, name: str) -> Any:
        """The spec of the plugin `name` (or `distribution:name`). Raises UserError with the nearest name if there is
        none."""
        return self.installed(kind, name).spec

    def installed(self, kind: str, name: str) -> Installed:
        """Like `get`, but with the distribution that provides the plugin. A bare name is that of the built-in plugin if
        there is one."""
        distribution, _, bare = name.rpartition(":")
        provided = self._installed.get((kind, bare), [])
        own = [plugin for plugin in provided if canonical(plugin.distribution) == OWN_DISTRIBUTION]
        found = own if own and not distribution else provided
        if distribution:
            found = [one for one in provided if canonical(one.distribution) == canonical(distribution)]
        if len(found) == 1:
            return found[0]
        if not found:
            raise self._absent(kind, name)
        choices = " or ".join(f"'{plugin.distribution}:{bare}'" for plugin in found)
        providers = " and ".join(plugin.distribution for plugin in found)
        raise UserError(f"{kind} '{bare}' is provided by {providers}", hint=f"write {choices}")

    def unusable(self, name: str) -> Broken | Blocked | None:
        """The broken or blocked entry point that provides the plugin `name` (or `distribution:name`); None without
        one."""
        distribution, _, bare = name.rpartition(":")
        entries: list[Broken | Blocked] = [*self.broken, *self.blocked]
        for entry in entries:
            owner = canonical(entry.distribution)
            if distribution and owner != canonical(distribution):
                continue
            if distribution or bare == entry.name or owner in (bare, f"{OWN_DISTRIBUTION}-{bare}"):
                return entry
        return None

    def _absent(self, kind: str, name: str) -> UserError:
        """The error for a name without a usable plugin."""
        entry = self.unusable(name)
        if isinstance(entry, Broken):
            return UserError(
                f"{kind} '{name}': {entry.distribution} {entry.version} is broken: {entry.stage}: {entry.error}",
                hint=f"`derm-bench plugins show {name}` prints its traceback",
            )
        if entry is not None:
            return UserError(
                f"{kind} '{name}': {entry.distribution} {entry.version} is blocked: {entry.reason}"
            )
        hint = did_you_mean(name, self.names(kind))
        if self.broken:
            hint += "; broken plugins: " + ", ".join(f"{b.distribution} ({b.error})" for b in self.broken)
        if self.blocked:
            hint += "; blocked plugins: " + ", ".join(f"{b.distribution} ({b.reason})" for b in self.blocked)
        return UserError(f"no {kind} is named '{name}'", hint=hint)

    def names(self, kind: str) -> list[str]:
        """The names of all plugins of `kind`, sorted; `distribution:name` where several have that name and it is not
        the built-in one."""
        return sorted(
            name
            if len(plugins) == 1 or canonical(plugin.distribution) == OWN_DISTRIBUTION
            else f"{plugin.distribution}:{name}"
            for (installed_kind, name), plugins in self._installed.items()
            if installed_kind == kind
            for plugin in plugins
        )

    def written(self, plugin: Installed) -> str:
        """How a plugin is written in a matrix: its name, or `distribution:name` if the name is that of another one."""
        qualified = f"{plugin.distribution}:{plugin.spec.name}"
        return qualified if qualified in self.names(plugin.kind) else plugin.spec.name

    def named(self, name: str) -> list[Installed]:
        """The usable plugins of any kind that have the name `name` (or `distribution:name`)."""
        distribution, _, bare = name.rpartition(":")
        return [
            plugin
            for plugin in self.all()
            if plugin.spec.name == bare
            and (not distribution or canonical(plugin.distribution) == canonical(distribution))
        ]

    def specs(self, kind: str) -> list[Any]:
        """The specs of all plugins of `kind`, sorted by name."""
        return [plugin.spec for plugin in self.all() if plugin.kind == kind]

    def all(self) -> list[Installed]:
        """Every usable plugin, sorted by kind, name, distribution."""
        everything = [plugin for plugins in self._installed.values() for plugin in plugins]
        return sorted(everything, key=lambda p: (KINDS.index(p.kind), p.spec.name, p.distribution))

    def listing(self) -> list[dict[str, str]]:
        """The rows of `plugins list --json`: `{name, kind, distribution, version, status, error}`."""
        rows = [
            _row(plugin.spec.name, plugin.kind, plugin.distribution, plugin.version, "ok")
            for plugin in self.all()
        ]
        rows += [
            _row(entry.name, "", entry.distribution, entry.version, "broken", f"{entry.stage}: {entry.error}")
            for entry in self.broken
        ]
        rows += [
            _row(entry.name, "", entry.distribution, entry.version, "blocked", entry.reason)
            for entry in self.blocked
        ]
        return rows

    def trackers(self) -> list[str]:
        """The names that `--tracker` takes; `distribution:name` for a name that another distribution has too."""
        return sorted(self._trackers)

    @contextlib.contextmanager
    def tracking(self, trackers: Iterable[str]) -> Iterator[None]:
        """Context manager that creates and registers trackers, each given as `NAME` or `NAME=PLACE`."""
        made: dict[str, object] = {}
        for word in trackers:
            name, _, place = word.partition("=")
            if name in made:
                raise UserError(f"the tracker '{name}' is given twice")
            made[name] = self._tracker(name, place or None)
        for name, tracker in made.items():
            self._manager.register(tracker, name=f"tracker {name}")
        try:
            yield
        finally:
            for name in made:
                self._manager.unregister(name=f"tracker {name}")

    def _tracker(self, name: str, place: str | None) -> object:
        if name not in self._trackers:
            raise UserError(f"no tracker is named '{name}'", hint=did_you_mean(name, self._trackers))
        try:
            return load_object(self._trackers[name])(place)
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"the tracker '{name}' cannot start: {type(error).__name__}: {error}") from error

    def listeners(self, hooks: Iterable[str]) -> Iterator[tuple[str, Mapping[str, Callable[..., Any]]]]:
        """Yields the name of every registered plugin that implements one of `hooks`, with one caller per hook."""
        registered = self._manager.list_name_plugin()
        for name, plugin in registered:
            others = [other for _, other in registered if other is not plugin and other is not None]
            mine = {
                hook: self._manager.subset_hook_caller(hook, others)
                for hook in hooks
                if any(found.plugin is plugin for found in getattr(self.hook, hook).get_hookimpls())
            }
            if mine:
                yield name, mine

    def _load_file(self, file: Path) -> None:
        """Loads a Python file as a plugin. Raises UserError, with the line, if that fails."""
        module = make_importable(file)
        refuse_hidden(module)
        self._load(importlib.metadata.EntryPoint(module, module, GROUP), file.name, LOCAL)
        if self.broken and self.broken[-1].distribution == file.name:
            broken = self.broken.pop()
            raise UserError(
                f"cannot be loaded as a plugin: {broken.stage}: {broken.error}",
                file=file,
                line=line_in(broken.cause, file),
            ) from broken.cause
        if not self._manager.get_hookcallers(sys.modules[module]):
            raise UserError(
                "has no hook, so that it provides nothing",
                file=file,
                hint="write, for example, a function derm_bench_generators with @hookimpl above it",
            )

    def _load(self, point: importlib.metadata.EntryPoint, distribution: str, version: str) -> None:
        """Imports and registers an entry point and checks its specs. A failure is undone and listed in `broken`.

        A signal that ends the command waits until this is done: pydantic turns the exception of one that comes while it
        builds options into an error of its own, with which the plugin would be broken.
        """
        with held_back():
            self._load_whole(point, distribution, version)

    def _load_whole(self, point: importlib.metadata.EntryPoint, distribution: str, version: str) -> None:
        name = f"{distribution}:{point.name}"
        stage: Literal["import", "register", "specs"] = "import"
        try:
            with contextlib.redirect_stdout(sys.stderr):  # `--json` stays JSON, whatever a plugin prints
                module = self._import(point, distribution)
                stage = "register"
                check_module(module)
                self._manager.register(module, name=name)
                stage = "specs"
                found = [
                    Installed(kind, s, distribution, version) for kind, s in specs_of(self._manager, module)
                ]
                self._check_new(found)
        except (Exception, SystemExit) as error:  # a plugin may raise anything
            if self._manager.has_plugin(name):
                self._manager.unregister(name=name)
            message = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            place = place_of(error, point.module.partition(".")[0])
            if place and version != LOCAL and not isinstance(error, UserError | SyntaxError):
                message += f" ({place})"
            trace = traceback.format_exc()
            self.broken.append(Broken(point.name, distribution, version, stage, message, trace, error))
            return
        for plugin in found:
            self._installed.setdefault((plugin.kind, plugin.spec.name), []).append(plugin)
        for tracker, path in trackers_of(module).items():
            bare = f"{distribution}:{tracker}" if tracker in self._trackers else tracker
            self._trackers[bare] = path

    def _import(self, point: importlib.metadata.EntryPoint, distribution: str) -> Any:
        began, had_torch = time.perf_counter(), "torch" in sys.modules
        module = point.load()
        seconds = time.perf_counter() - began
        if seconds > SLOW:
            self.slow.append(SlowImport(distribution, seconds, not had_torch and "torch" in sys.modules))
        return module

    def _check_new(self, found: list[Installed]) -> None:
        """Refuses a distribution that provides a name twice, since `distribution:name` must be unique."""
        for plugin in found:
            for other in self._installed.get((plugin.kind, plugin.spec.name), []):
                if canonical(other.distribution) == canonical(plugin.distribution):
                    raise UserError(
                        f"{plugin.kind} '{plugin.spec.name}' is provided by two entry points of this distribution"
                    )


def canonical(distribution: str) -> str:
    """The normalised name of a distribution (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _order(point: importlib.metadata.EntryPoint) -> tuple[bool, tuple[str, str], str]:
    """Sort key: built-ins first, then by distribution and name."""
    distribution = _distribution(point)
    return canonical(distribution[0]) != OWN_DISTRIBUTION, distribution, point.name


def _distribution(point: importlib.metadata.EntryPoint) -> tuple[str, str]:
    dist = point.dist
    return ((dist.name or "unknown"), (dist.version or "0")) if dist else ("unknown", "0")


def _allow_list(points: list[importlib.metadata.EntryPoint]) -> set[str] | None:
    """The distributions that `DERM_BENCH_PLUGINS` allows; None if it is unset, which allows all."""
    text = os.environ.get(ALLOW)
    if text is None:
        return None
    allowed = {canonical(word.strip()) for word in text.split(",") if word.strip()}
    installed = {canonical(_distribution(point)[0]) for point in points}
    for name in sorted(allowed - installed):
        raise UserError(
            f"{ALLOW} allows '{name}', which has no derm-bench plugin here",
            hint=did_you_mean(name, installed),
        )
    return allowed


def _row(
    name: str, kind: str, distribution: str, version: str, status: str, error: str = ""
) -> dict[str, str]:
    return {
        "name": name,
        "kind": kind,
        "distribution": distribution,
        "version": version,
        "status": status,
        "error": error,
    }
