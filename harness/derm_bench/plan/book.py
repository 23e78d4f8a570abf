"""The book of a plan's stages: keys each stage and enters it, unless an equal one is there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel

from derm_bench.lazy import load_object
from derm_bench.options.uses import TransformUse
from derm_bench.plan.closure import source_closure
from derm_bench.plan.keys import (
    PROTOCOL_VERSION,
    CanonicalTexts,
    canonical,
    imported_versions,
    key_of_text,
    plugin_code,
    plugin_identity,
    split_paths,
)
from derm_bench.plan.kinds import StageKind, kind_of
from derm_bench.plan.model import Plan, Stage
from derm_bench.plan.params import as_dict
from derm_bench.plugins import Plugins

# What runs beneath every stage function: how it gets its options and plugins, and how torch is set up.
BENEATH = ("derm_bench.stages.context", "derm_bench.stages.runtime")

# The plugins a stage runs, as (kind, name).
Used = Sequence[tuple[str, str]]


class Shared(NamedTuple):
    """The part of an identity that many stages share, and its canonical text before, between and after their own."""

    value: dict[str, Any]
    before: str
    between: str
    after: str


class Entry(NamedTuple):
    """A stage as a planner asks for it, beside its kind and parameters.

    `plugins` are those that it runs, `code` import paths of further functions that it is told to call; `words` fill the
    kind's title; `local` (paths) is not part of the key.
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
        self._memo: dict[Any, Any] = {}
        self._texts = CanonicalTexts()

    def guard(self, key: str, by: str) -> None:
        """Whoever reads the output of the stage `key` from now on starts after the stage `by` has ended well."""
        known = self._guards.get(key, ())
        self._guards[key] = known if by in known else (*known, by)

    def enter(self, kind: str, params: Any, entry: Entry = NOTHING) -> str:
        """The key of a stage, which is entered into the plan where no equal one is there."""
        known = kind_of(kind)
        shared, own_params = self._shared(known, entry.plugins, entry.code), as_dict(params)
        own = [shared.before, canonical(entry.inputs), shared.between]
        own += ['"optional":', canonical(entry.optional), ","] if entry.optional else []
        key = key_of_text("".join([*own, '"params":', self._texts.of(own_params), shared.after]))
        if key not in self.plan.stages:
            title = known.title.format_map({**own_params, **entry.words})
            after = entry.after
            if self._guards:
                guards = (guard for other in entry.inputs.values() for guard in self._guards.get(other, ()))
                after = tuple(dict.fromkeys((*entry.after, *guards)))
            self.plan.stages[key] = Stage(
                key, known.name, title, params, entry.inputs, shared.value, entry.local, after, entry.optional
            )
        self.used[key] = tuple(entry.plugins)
        return key

    def _shared(self, kind: StageKind, plugins: Used, code: tuple[str, ...]) -> Shared:
        """The part of an identity that all stages of a kind share which run the same plugins."""
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

    def hashed(self, options: BaseModel) -> tuple[dict[str, Any], dict[str, str]]:
        """`split_paths` of a matrix entry's options, once for all stages that they are part of."""
        memo = ("options", id(options))
        if memo not in self._memo:
            self._memo[memo] = (split_paths(options), options)  # which keeps the id from being given anew
        return self._memo[memo][0]

    def depends_on(self, kind: str, name: str, options: Any) -> dict[str, Any]:
        """What a plugin says its numbers depend on beside options and code, asked once for all stages."""
        memo = ("depends_on", kind, name, id(options))
        if memo not in self._memo:
            path = self.plugins.get(kind, name).depends_on
            told = {"depends_on": load_object(path)(options)} if path else {}
            self._memo[memo] = (told, options)  # as in `hashed`
        return self._memo[memo][0]

    def told(self, model: BaseModel) -> dict[str, Any]:
        """A part of the matrix as stages are told of it: what is None left out. Read once for all stages."""
        memo = ("told", id(model))
        if memo not in self._memo:
            self._memo[memo] = (model.model_dump(exclude_none=True), model)  # as in `hashed`
        return self._memo[memo][0]

    def metric(self, name: str, options: Any) -> dict[str, Any]:
        """A metric as stages are told of it."""
        return {"name": name, "options": split_paths(options)[0]} | self.depends_on("metric", name, options)

    def transforms(self, uses: Sequence[TransformUse]) -> list[dict[str, Any]]:
        """Transforms as stages are told of them: files by their content. Read once for all stages."""
        memo = ("transforms", id(uses))
        if memo not in self._memo:
            told = [
                {"name": use.name, "options": split_paths(use.options)[0]}
                | self.depends_on("transform", use.name, use.options)
                for use in uses
            ]
            self._memo[memo] = (told, uses)  # as in `hashed`
        return self._memo[memo][0]

    def _code(self, kind: StageKind, plugins: Used, code: tuple[str, ...]) -> dict[str, Any]:
        used = [plugin_identity(self.plugins, of, name) for of, name in dict.fromkeys(plugins)]
        block: dict[str, Any] = {"stage": source_closure(kind.function, *BENEATH).digest, "plugins": used}
        if code:
            block["called"] = {path: source_closure(path).digest for path in code}
        return block

    def _numerics(self, kind: StageKind, plugins: Used, code: tuple[str, ...]) -> dict[str, Any]:
        paths = (path for of, plugin in plugins for path in plugin_code(self.plugins, of, plugin))
        block: dict[str, Any] = {"versions": imported_versions((kind.function, *paths, *code))}
        if kind.on_device:
            machine = self.plan.machine
            block |= {
                "device": machine.device,
                "precision": machine.precision,
                "threads": machine.threads,
            }
        return block


def transform_paths(uses: Sequence[TransformUse]) -> list[dict[str, str]]:
    """Where the files of each transform lie, by option."""
    return [split_paths(use.options)[1] for use in uses]
