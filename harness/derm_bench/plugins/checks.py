"""Checks an entry module: its hook API, its hooks, and the specs that they return."""

from __future__ import annotations

import functools
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
from derm_bench.specs import SPEC_TYPES, GeneratorSpec, PluginSpec

NAME = re.compile(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*")
_IMPORT_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
_DEPENDENCY = re.compile(r"[A-Za-z0-9_][\w.-]*(?:/[^/\0]+)*/?")
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith(f"{PROJECT}_"))


def check_module(module: object) -> None:
    """Raises UserError for an object that is not a module, another hook API, an unknown hook, or a hook without
    marker."""
    if not isinstance(module, ModuleType):
        raise UserError(
            f"the entry point names {module!r}, which is not a module", hint='write it as my-gan = "my_gan"'
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
            raise UserError(f"{name} would never be called: it is not marked", hint="put @hookimpl above it")


def check_api(declared: object) -> None:
    """Raises UserError unless the module declares the hook API of this version of derm-bench."""
    if declared == API_VERSION:
        return
    if declared is None:
        raise UserError("the module declares no hook API", hint=f"write DERM_BENCH_API = {API_VERSION} in it")
    newer = isinstance(declared, int) and declared > API_VERSION
    raise UserError(
        f"the module has DERM_BENCH_API = {declared!r}, this version of derm-bench has {API_VERSION}",
        hint="upgrade derm-bench"
        if newer
        else f"port it to hook API {API_VERSION}, which CONTRIBUTING.md describes",
    )


def trackers_of(module: ModuleType) -> dict[str, str]:
    """The import path of each tracker in `DERM_BENCH_TRACKERS` of an entry module, by name. Raises UserError if
    invalid."""
    trackers = getattr(module, "DERM_BENCH_TRACKERS", {})
    if not isinstance(trackers, Mapping):
        raise UserError(
            f"DERM_BENCH_TRACKERS is {type(trackers).__name__}", hint='write {"name": "package.module:Class"}'
        )
    for name, path in trackers.items():
        if not (isinstance(name, str) and NAME.fullmatch(name)):
            raise UserError(
                f"{name!r} is not a valid name of a tracker", hint="lower-case words joined by '-'"
            )
        if not (isinstance(path, str) and _IMPORT_PATH.fullmatch(path)):
            raise UserError(f"tracker {name}: {path!r}", hint="expected 'package.module:Class'")
    return dict(trackers)


def specs_of(manager: pluggy.PluginManager, module: ModuleType) -> Iterator[tuple[str, PluginSpec]]:
    """Yields (kind, spec) of every spec that the module's hooks return. Raises UserError for the first invalid one."""
    seen = set()
    for kind, spec_type in SPEC_TYPES.items():
        hook = f"derm_bench_{kind}s"
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            if implementation.plugin is not module:
                continue
            for spec in _returned(hook, implementation.function()):
                checked = _checked(spec, kind, spec_type)
                if (kind, checked.name) in seen:
                    raise UserError(f"{hook} returned two specs named '{checked.name}'")
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
        raise UserError(
            f"'{spec.name}' is not a valid name of a plugin", hint="lower-case words joined by '-'"
        )
    for field in ("create", "preflight", "cost", "provenance", "finite", "commands", "recognise"):
        path = getattr(spec, field, None)
        if path is None and field != "create":
            continue
        if not (isinstance(path, str) and _IMPORT_PATH.fullmatch(path)):
            raise UserError(f"{spec.name}: {field} is {path!r}", hint="expected 'package.module:attribute'")
    if not (isinstance(spec.options, type) and issubclass(spec.options, BaseModel)):
        raise UserError(f"{spec.name}: options must be a pydantic model class")
    if spec.requires is not None and not callable(spec.requires):
        raise UserError(f"{spec.name}: requires must be a function of the options")
    _check_depends_on(spec)
    _check_presets(spec)
    _check_choices(spec)
    if isinstance(spec, GeneratorSpec):
        _check_names_of_training(spec)
    return spec


def _check_depends_on(spec: PluginSpec) -> None:
    stated: object = spec.depends_on
    words = [stated] if isinstance(stated, str) else [] if stated is None else stated
    if not isinstance(words, list | tuple):
        raise UserError(f"{spec.name}: depends_on is {stated!r}", hint="expected a name or a tuple of names")
    for word in words:
        known = isinstance(word, str) and (_IMPORT_PATH if ":" in word else _DEPENDENCY).fullmatch(word)
        if not known or ".." in str(word).split("/"):
            raise UserError(
                f"{spec.name}: depends_on names {word!r}",
                hint="expected 'package.module:function', 'package.module', 'distribution' or 'package/file'",
            )


def _check_names_of_training(spec: GeneratorSpec) -> None:
    option, outputs = spec.batch_option, spec.discriminator_outputs
    if option != "batch_size" and option not in spec.options.model_fields:
        raise UserError(
            f"{spec.name}: batch_option names '{option}', which is no option",
            hint=did_you_mean(str(option), spec.options.model_fields),
        )
    good = isinstance(outputs, tuple) and len(outputs) == 2 and all(isinstance(name, str) for name in outputs)
    if outputs is not None and not (good and outputs[0] != outputs[1]):
        raise UserError(
            f"{spec.name}: discriminator_outputs is {outputs!r}",
            hint='expected two names that fit() logs, of real and of generated images: ("d_real", "d_fake")',
        )


def _check_presets(spec: PluginSpec) -> None:
    presets: object = spec.presets
    if not isinstance(presets, Mapping) or not all(
        isinstance(preset, Mapping) for preset in presets.values()
    ):
        raise UserError(
            f"{spec.name}: presets must be named sets of options", hint='as in {"tiny": {"base": 8}}'
        )


def _check_choices(spec: PluginSpec) -> None:
    """Checks fields that have a fixed set of values (`phase`, `level`, ...)."""
    for field, words in _choices(type(spec)).items():  # type: ignore[arg-type]  # a class can be hashed
        value = getattr(spec, field)
        if value not in words:
            raise UserError(f"{spec.name}: {field} is {value!r}", hint=did_you_mean(str(value), words))


@functools.cache
def _choices(spec_type: type[PluginSpec]) -> Mapping[str, tuple[str, ...]]:
    """The words of each such field. Reading annotations takes a millisecond, and there are a hundred specs."""
    hints = get_type_hints(spec_type)
    return {field: get_args(hint) for field, hint in hints.items() if get_origin(hint) is Literal}
