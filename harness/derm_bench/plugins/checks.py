"""What a plugin must be to be used: a module of this hook API, with known hooks, that return valid specs."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pluggy
from pydantic import BaseModel

from derm_bench import hookspecs
from derm_bench.errors import UserError, did_you_mean
from derm_bench.markers import API_VERSION, PROJECT
from derm_bench.specs import SPEC_TYPES, PluginSpec

NAME = re.compile(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*")
_IMPORT_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith(f"{PROJECT}_"))


def check_module(module: object) -> None:
    """Refuses, as UserError: what is no module, another hook API, unknown hooks, hooks without their marker."""
    if not isinstance(module, ModuleType):
        raise UserError(
            f"the entry point names {module!r}, which is no module", hint='write it as my-gan = "my_gan"'
        )
    check_api(getattr(module, "DERM_BENCH_API", None))
    trackers_of(module)
    for name, value in vars(module).items():
        marked = getattr(value, f"{PROJECT}_impl", None)
        if isinstance(marked, dict):
            hook = marked.get("specname") or name
            if hook not in HOOKS:
                raise UserError(f"no hook is named '{hook}'", hint=did_you_mean(hook, HOOKS))
        elif name in HOOKS and inspect.isfunction(value):
            raise UserError(f"nobody would call {name}: it is not marked", hint="put @hookimpl above it")


def check_api(declared: object) -> None:
    """UserError unless the module declares the hook API that this derm-bench speaks."""
    if declared == API_VERSION:
        return
    if declared is None:
        raise UserError("the module declares no hook API", hint=f"write DERM_BENCH_API = {API_VERSION} in it")
    newer = isinstance(declared, int) and declared > API_VERSION
    raise UserError(
        f"the module says DERM_BENCH_API = {declared!r}, this derm-bench speaks {API_VERSION}",
        hint="upgrade derm-bench" if newer else f"port it to hook API {API_VERSION}: CONTRIBUTING.md has it",
    )


def trackers_of(module: ModuleType) -> dict[str, str]:
    """`DERM_BENCH_TRACKERS` of an entry module, checked: the import path of each tracker, by name."""
    trackers = getattr(module, "DERM_BENCH_TRACKERS", {})
    if not isinstance(trackers, Mapping):
        raise UserError(
            f"DERM_BENCH_TRACKERS is {type(trackers).__name__}", hint='write {"name": "package.module:Class"}'
        )
    for name, path in trackers.items():
        if not (isinstance(name, str) and NAME.fullmatch(name)):
            raise UserError(f"{name!r} is no tracker's name", hint="lower-case words joined by '-'")
        if not (isinstance(path, str) and _IMPORT_PATH.fullmatch(path)):
            raise UserError(f"tracker {name}: {path!r}", hint="expected 'package.module:Class'")
    return dict(trackers)


def specs_of(manager: pluggy.PluginManager, module: ModuleType) -> Iterator[tuple[str, PluginSpec]]:
    """(kind, spec) of all that the module's own hooks return, checked. UserError for the first that is wrong."""
    seen = set()
    for kind, spec_type in SPEC_TYPES.items():
        hook = f"derm_bench_{kind}s"
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            if implementation.plugin is not module:
                continue
            for spec in _returned(hook, implementation.function()):
                checked = _checked(spec, kind, spec_type)
                if (kind, checked.name) in seen:
                    raise UserError(f"{hook} returned two named '{checked.name}'")
                seen.add((kind, checked.name))
                yield kind, checked


def _returned(hook: str, value: Any) -> Iterable[Any]:
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        raise UserError(f"{hook} returned {type(value).__name__}, expected a list of specs")
    return value


def _checked(spec: object, kind: str, spec_type: type[PluginSpec]) -> PluginSpec:
    if not isinstance(spec, spec_type):
        raise UserError(f"derm_bench_{kind}s returned {type(spec).__name__}, expected {spec_type.__name__}")
    if not (isinstance(spec.name, str) and NAME.fullmatch(spec.name)):
        raise UserError(f"'{spec.name}' is no plugin name", hint="lower-case words joined by '-'")
    for field in ("create", "preflight", "depends_on", "provenance", "finite", "commands"):
        path = getattr(spec, field, None)
        if path is None and field != "create":
            continue
        if not (isinstance(path, str) and _IMPORT_PATH.fullmatch(path)):
            raise UserError(f"{spec.name}: {field} is {path!r}", hint="expected 'package.module:attribute'")
    if not (isinstance(spec.options, type) and issubclass(spec.options, BaseModel)):
        raise UserError(f"{spec.name}: options must be a pydantic model class")
    if spec.requires is not None and not callable(spec.requires):
        raise UserError(f"{spec.name}: requires must be a function of the options")
    _check_presets(spec)
    _check_choices(spec)
    return spec


def _check_presets(spec: PluginSpec) -> None:
    presets: object = spec.presets
    if not isinstance(presets, Mapping) or not all(
        isinstance(preset, Mapping) for preset in presets.values()
    ):
        raise UserError(f"{spec.name}: presets must be named option sets", hint='as in {"tiny": {"base": 8}}')


def _check_choices(spec: PluginSpec) -> None:
    """Fields of a fixed set of words (`phase`, `level`, ...) hold one of them."""
    for field, words in _choices(type(spec)).items():
        value = getattr(spec, field)
        if value not in words:
            raise UserError(f"{spec.name}: {field} is {value!r}", hint=did_you_mean(str(value), words))


def _choices(spec_type: type[PluginSpec]) -> dict[str, tuple[str, ...]]:
    hints = get_type_hints(spec_type)
    return {field: get_args(hint) for field, hint in hints.items() if get_origin(hint) is Literal}
