"""Computes the key of each stage and enters the stage into the plan, unless an equal one is already in it."""

from __future__ import annotations

import functools
import itertools
import string
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel

from derm_bench.lazy import load_object
from derm_bench.options.uses import TransformUse
from derm_bench.plan.closure import source_closure
from derm_bench.plan.declared import functions_of
from derm_bench.plan.keys import (
    PROTOCOL_VERSION,
    CanonicalTexts,
    canonical,
    canonical_names,
    imported_versions,
    key_of_text,
    plugin_code,
    plugin_identity,
    plugin_listings,
)
from derm_bench.plan.kinds import StageKind, kind_of
from derm_bench.plan.model import Plan, Stage
from derm_bench.plan.option_paths import SplitOptions, split_paths
from derm_bench.plugins import Plugins
from derm_bench.plugins.culprit import blaming

# The modules behind every stage function: they provide its options and plugins, and configure torch.
BENEATH = ("derm_bench.stages.context", "derm_bench.stages.runtime")

# The plugins that a stage runs, as (kind, name).
Used = Sequence[tuple[str, str]]


@functools.cache
def _named(title: str) -> tuple[str, ...]:
    """The names in a format string."""
    return tuple(name for _, name, _, _ in string.Formatter().parse(title) if name)


class Shared(NamedTuple):
    """The part of an identity that many stages share, and its canonical text before, between and after the parts that
    differ."""

    value: dict[str, Any]
    before: str
    between: str
    after: str


class Entry(NamedTuple):
    """The relations and names of a stage, as a planner passes them besides the kind and the parameters.

    `plugins` are the plugins that the stage runs, `code` the import paths of further functions that it calls; `words`
    fill the title of the kind; `local` (paths) is not part of the key. `inputs`, `after` and `optional` are described
    in `derm_bench.plan.model.Stage`.
    """

    inputs: Mapping[str, str] = {}
    plugins: Used = ()
    words: Mapping[str, Any] = {}
    local: Mapping[str, Any] = {}
    code: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    optional: Mapping[str, str] = {}


NOTHING = Entry()


class StageBook:
    """Enters stages into a plan. Equal work gets an equal key and is entered once."""

    def __init__(self, plan: Plan, plugins: Plugins) -> None:
        self.plan = plan
        self.plugins = plugins
        # The plugins that each stage runs, by its key.
        self.used: dict[str, Used] = {}
        self._guards: dict[str, tuple[str, ...]] = {}
        self._split_guards: dict[str, tuple[str, ...]] = {}
        self._memo: dict[Any, Any] = {}
        self._texts = CanonicalTexts()

    def guard(self, key: str, by: str) -> None:
        """Makes every stage that is entered from now on and reads the output of `key` wait until the stage `by` is
        done."""
        known = self._guards.get(key, ())
        self._guards[key] = known if by in known else (*known, by)

    def guard_split(self, digest: str, by: str) -> None:
        """Makes every stage that is entered from now on and reads images under the split `digest` wait until the stage
        `by` is done."""
        known = self._split_guards.get(digest, ())
        self._split_guards[digest] = known if by in known else (*known, by)

    def enter(self, kind: str, params: Any, entry: Entry = NOTHING) -> str:
        """Returns the key of a stage, after entering the stage into the plan if it has no equal one."""
        known = kind_of(kind)
        shared = self._shared(known, entry.plugins, entry.code)
        optional = f'"optional":{self._texts.of_object(entry.optional)},' if entry.optional else ""
        own = f'{shared.between}{optional}"params":{self._texts.of(params)}'
        key = key_of_text(f"{shared.before}{canonical_names(entry.inputs)}{own}{shared.after}")
        if key not in self.plan.stages:
            words = entry.words
            named = {n: words[n] if n in words else getattr(params, n) for n in _named(known.title)}
            title = known.title.format_map(named)
            after = entry.after
            guards = [self._guards[other] for other in entry.inputs.values() if other in self._guards]
            guards += filter(None, [self._split_guards.get(getattr(params, "split", ""))])
            if guards:
                after = tuple(dict.fromkeys(itertools.chain(after, *guards)))
            self.plan.stages[key] = Stage(
                key, known.name, title, params, entry.inputs, shared.value, entry.local, after, entry.optional
            )
        self.used[key] = tuple(entry.plugins)
        return key

    def _shared(self, kind: StageKind, plugins: Used, code: tuple[str, ...]) -> Shared:
        """The part of an identity that is common to all stages of a kind that run the same plugins."""
        memo = ("shared", kind.name, kind.function, tuple(plugins), code)
        if memo not in self._memo:
            block = {
                "protocol": PROTOCOL_VERSION,
                "kind": kind.name,
                "function": kind.function,
                "code": self._code(kind, plugins, code),
                "numerics": self._numerics(kind, plugins, code),
            }
            text = {name: f'"{name}":{canonical(value)},' for name, value in block.items()}
            before = "{" + text["code"] + text["function"] + '"inputs":'
            self._memo[memo] = Shared(
                block, before, "," + text["kind"] + text["numerics"], "," + text["protocol"][:-1] + "}"
            )
        return self._memo[memo]

    def hashed(self, options: BaseModel, *, folders: bool = True) -> SplitOptions:
        """The result of `split_paths` for the options of a matrix entry, computed once for all stages. The lists of
        files behind the digests of folders become data of the plan."""
        memo = ("options", id(options), folders)
        if memo not in self._memo:
            found = split_paths(options, folders=folders)
            self.plan.data |= found.listings
            self._memo[memo] = (found, options)  # a reference, so that the id is not reused
        return self._memo[memo][0]

    def settings(self, use: Any, without: tuple[str, ...]) -> dict[str, Any]:
        """The options of a plugin as stage parameters, but for those in `without`. Computed once for all stages."""
        memo = ("settings", id(use.options), without)
        if memo not in self._memo:
            hashed = self.hashed(use.options).values
            kept = {name: value for name, value in hashed.items() if name not in without}
            self._memo[memo] = (kept, use.options)  # as in `hashed`
        return self._memo[memo][0]

    def depends_on(self, kind: str, name: str, options: Any) -> dict[str, Any]:
        """What the functions in a plugin's `depends_on` return (what its results depend on besides options and code),
        computed once."""
        memo = ("depends_on", kind, name, id(options))
        if memo not in self._memo:
            spec = self.plugins.get(kind, name)
            with blaming(spec, self.plugins, "depends_on(options)"):
                values = [load_object(path)(options) for path in functions_of(spec)]
            found = {"depends_on": values[0] if len(values) == 1 else values} if values else {}
            self._memo[memo] = (found, options)  # as in `hashed`
        return self._memo[memo][0]

    def metric(self, name: str, options: Any) -> dict[str, Any]:
        """A metric as a stage parameter."""
        return {"name": name, "options": self.hashed(options).values} | self.depends_on(
            "metric", name, options
        )

    def transforms(self, uses: Sequence[TransformUse]) -> list[dict[str, Any]]:
        """Transforms as stage parameters, with files replaced by their digests. Computed once for all stages."""
        memo = ("transforms", id(uses))
        if memo not in self._memo:
            found = [
                {"name": use.name, "options": self.hashed(use.options).values}
                | self.depends_on("transform", use.name, use.options)
                for use in uses
            ]
            self._memo[memo] = (found, uses)  # as in `hashed`
        return self._memo[memo][0]

    def transform_paths(self, uses: Sequence[TransformUse]) -> list[dict[str, str]]:
        """The paths of the files of each transform, by option."""
        return [self.hashed(use.options).paths for use in uses]

    def _code(self, kind: StageKind, plugins: Used, code: tuple[str, ...]) -> dict[str, Any]:
        used = [plugin_identity(self.plugins, of, name) for of, name in dict.fromkeys(plugins)]
        stage = source_closure(kind.function, *BENEATH)
        block: dict[str, Any] = {"stage": stage.digest, "plugins": used}
        called = {path: source_closure(path) for path in code}
        if called:
            block["called"] = {path: closure.digest for path, closure in called.items()}
        # The lists behind the digests, for `explain`.
        self.plan.data |= {closure.digest: closure.content for closure in (stage, *called.values())}
        for of, name in plugins:
            self.plan.data |= {each.digest: each.content for each in plugin_listings(self.plugins, of, name)}
        return block

    def _numerics(self, kind: StageKind, plugins: Used, code: tuple[str, ...]) -> dict[str, Any]:
        paths = (path for of, plugin in plugins for path in plugin_code(self.plugins, of, plugin))
        block: dict[str, Any] = {"versions": imported_versions((kind.function, *paths, *code))}
        if kind.on_device:
            machine = self.plan.machine
            block |= {
                "device": machine.device,
                "precision": self._precision(plugins),
                "threads": machine.threads,
            }
        return block

    def _precision(self, plugins: Used) -> str:
        """The precision of a stage that runs these plugins."""
        machine = self.plan.machine
        if not machine.careful:
            return machine.precision
        generators = [self.plugins.get("generator", name) for of, name in plugins if of == "generator"]
        return machine.precision if all(spec.bf16 for spec in generators) else machine.careful
