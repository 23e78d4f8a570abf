"""The book of a plan's stages: keys each stage and enters it, unless an equal one is there already."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel

from derm_bench.plan.closure import source_closure
from derm_bench.plan.keys import (
    PROTOCOL_VERSION,
    canonical,
    imported_versions,
    key_of,
    plugin_identity,
    split_paths,
)
from derm_bench.plan.model import Plan, Stage
from derm_bench.plugins import Plugins
from derm_bench.specs import TransformUse, load_object

PROTOCOL = canonical(PROTOCOL_VERSION)

# The plugins a stage runs, as (kind, name).
Used = Sequence[tuple[str, str]]


class Block(NamedTuple):
    """A part of an identity that many stages share, with its canonical text."""

    value: dict[str, Any]
    canonical: str


class StageBook:
    """Enters stages into a plan. Equal work gets an equal key and is entered once."""

    def __init__(self, plan: Plan, plugins: Plugins) -> None:
        self.plan = plan
        self.plugins = plugins
        # The plugins that each stage runs, by its key.
        self.used: dict[str, Used] = {}
        self._memo: dict[Any, Any] = {}

    def enter(
        self,
        kind: str,
        function: str,
        title: str,
        params: Mapping[str, Any],
        inputs: Mapping[str, str],
        plugins: Used = (),
        *,
        on_device: bool = True,
        local: Mapping[str, Any] | None = None,
        cost: float = 1.0,
    ) -> str:
        """The key of a stage. `local` (paths) is not part of it; without `on_device` neither are device, precision
        and threads."""
        code, numerics = self._code(function, plugins), self._numerics(function, plugins, on_device)
        identity = {
            "protocol": PROTOCOL_VERSION,
            "kind": kind,
            "params": params,
            "inputs": inputs,
            "code": code.value,
            "numerics": numerics.value,
        }
        known = {"code": code.canonical, "numerics": numerics.canonical, "protocol": PROTOCOL}
        key = key_of(identity, known)
        if key not in self.plan.stages:
            self.plan.stages[key] = Stage(
                key, kind, function, title, params, inputs, identity, local or {}, cost
            )
        self.used[key] = tuple(plugins)
        return key

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

    def _code(self, function: str, plugins: Used) -> Block:
        memo = ("code", function, tuple(plugins))
        if memo not in self._memo:
            used = [plugin_identity(self.plugins, kind, name) for kind, name in dict.fromkeys(plugins)]
            block = {"stage": source_closure(function).digest, "plugins": used}
            self._memo[memo] = Block(block, canonical(block))
        return self._memo[memo]

    def _numerics(self, function: str, plugins: Used, on_device: bool) -> Block:
        memo = ("numerics", function, tuple(plugins), on_device)
        if memo not in self._memo:
            targets = (function, *(self.plugins.get(kind, name).create for kind, name in plugins))
            block: dict[str, Any] = {"versions": imported_versions(targets)}
            if on_device:
                machine = self.plan.machine
                block |= {
                    "device": machine.device,
                    "precision": machine.precision,
                    "threads": machine.threads,
                }
            self._memo[memo] = Block(block, canonical(block))
        return self._memo[memo]


def transform_paths(uses: Sequence[TransformUse]) -> list[dict[str, str]]:
    """Where the files of each transform lie, by option."""
    return [split_paths(use.options)[1] for use in uses]
