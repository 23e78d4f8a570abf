"""Checks that the source which a worker runs is that of the key under which the result is stored.

The plan computes keys from the source on disk. A worker imports that source later, and it may have been edited
meanwhile: the result of the new code would then be stored under the key of the old code.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from derm_bench.errors import UserError
from derm_bench.plan.book import BENEATH
from derm_bench.plan.closure import file_of, forget_source, source_closure
from derm_bench.plan.keys import canonical, forget_plugins, plugin_closures, plugin_identity
from derm_bench.plugins import Plugins

Stamp = tuple[int, int, int]


class SourceChanged(UserError):
    """The source of a stage has changed since the run was planned. The stage is tried again by the next run."""

    def __init__(self, names: Iterable[str]) -> None:
        super().__init__(
            f"the source of {', '.join(names)} changed while the run was going on", hint="start it again"
        )


class SourceCheck:
    """Compares the source of stages with their keys. A closure of modules is read once, and again only if a file of it
    has changed.

    since: when this process started, in seconds since the epoch, or 0. A module that was imported and whose file
    changed later may differ from the file, so that the worker must be replaced (`is_stale`).
    """

    def __init__(self, since: float = 0.0) -> None:
        self.since = since
        self._stamps: dict[str, Stamp] = {}
        self._passed: dict[str, tuple[str, ...]] = {}

    def check(self, job: Mapping[str, Any], plugins: Plugins) -> None:
        """Raises SourceChanged if the source on disk is not that of the job's key. Returns at once for a stage of the
        same code as an earlier one, if no file has changed."""
        code = job.get("identity", {}).get("code")
        if code is None:
            return
        memo = canonical([job["function"], code])
        began = time.time_ns()
        if not self._stamps or self._edited(self._stamps):
            self._forget()
        if memo in self._passed:
            return
        changed = _changed(job["function"], code, plugins)
        if changed:
            self._forget()
            raise SourceChanged(changed)
        modules = _modules(job["function"], code, plugins)
        stamps = {name: _stamp(name) for name in modules}
        # A file that was edited while it was read is read again for the next stage.
        if all(stamp[2] < began for stamp in stamps.values()):
            self._passed[memo] = modules
            self._stamps |= stamps

    def is_stale(self, job: Mapping[str, Any]) -> bool:
        """Whether a module of a checked job was imported by this process and has been edited since it started. Its file
        is that of the key now, but what was imported may be another version."""
        now = (
            time.time_ns()
        )  # a file system whose clock is ahead of this one must not replace workers for ever
        return self.since > 0 and any(
            self.since * 1e9 <= self._stamps[name][2] <= now
            for name in self._modules_of(job)
            if name in sys.modules
        )

    @contextlib.contextmanager
    def watching(self, job: Mapping[str, Any]) -> Iterator[None]:
        """Context manager that raises SourceChanged if a module was edited before the stage inside imported it."""
        before = set(sys.modules)
        yield
        late = [name for name in self._modules_of(job) if name in sys.modules and name not in before]
        edited = self._edited(late)
        if edited:
            raise SourceChanged(edited)

    def _modules_of(self, job: Mapping[str, Any]) -> tuple[str, ...]:
        code = job.get("identity", {}).get("code")
        return self._passed.get(canonical([job["function"], code]), ()) if code is not None else ()

    def _edited(self, modules: Iterable[str]) -> list[str]:
        return [name for name in modules if _stamp(name) != self._stamps[name]]

    def _forget(self) -> None:
        """Forgets all closures: this process may have computed them when it planned, before the edit."""
        self._stamps.clear()
        self._passed.clear()
        forget_source()
        forget_plugins()


def _changed(function: str, code: Mapping[str, Any], plugins: Plugins) -> list[str]:
    """The names of the stage function, plugins and further functions whose source differs from the key."""
    found = []
    if source_closure(function, *BENEATH).digest != code["stage"]:
        found.append(function.partition(":")[0])
    found += [f"'{used['name']}'" for used in code["plugins"] if _kind_of(used, plugins) is None]
    called = code.get("called", {}).items()
    return [*found, *(path for path, digest in called if source_closure(path).digest != digest)]


def _kind_of(used: Mapping[str, Any], plugins: Plugins) -> str | None:
    """The kind of the plugin that a key names, if its source, options and spec are those of the key."""
    name = f"{used['distribution']}:{used['name']}"
    for plugin in plugins.named(name):
        now = plugin_identity(plugins, plugin.kind, name)
        if canonical(now) == canonical(used):
            return plugin.kind
    return None


def _modules(function: str, code: Mapping[str, Any], plugins: Plugins) -> tuple[str, ...]:
    """The modules that a stage runs, of the stage function, the plugins and further functions, and the paths of the
    files beside their source."""
    found = [source_closure(function, *BENEATH)]
    found += [source_closure(path) for path in code.get("called", {})]
    for used in code["plugins"]:
        kind, name = _kind_of(used, plugins), f"{used['distribution']}:{used['name']}"
        if kind is not None:
            found += plugin_closures(plugins, kind, name)
    modules = {module.partition(":")[0] for one in found for module in one.modules}
    return (*modules, *{file for one in found for file in one.files})


def _stamp(module: str) -> Stamp:
    """Size, inode and change time (ns) of the file of a module, or of a file by its path. A program cannot set the
    change time back."""
    path = module if os.sep in module else file_of(module)
    try:
        status = os.stat(path) if path is not None else None  # noqa: PTH116  (for every stage)
    except OSError:
        status = None
    return (status.st_size, status.st_ino, status.st_ctime_ns) if status is not None else (0, 0, 0)
