"""The requirements of plugins, and how they become inputs, parameters and plugins of a stage."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from derm_bench.plan.book import Used
from derm_bench.stage_names import NEEDED


@dataclass(frozen=True)
class Need:
    """One requirement of a plugin, called `name` by the plugin.

    inputs: the stages that make it, by the name of the input. plugins: the plugins that are created again when it is
    restored; local: the paths of their files. needed: `always`, or `fit` if it is needed only while the plugin is
    fitted and not when the plugin is restored.
    """

    name: str
    kind: str
    part: str | None
    needed: str
    inputs: Mapping[str, str]
    plugins: Used = ()
    local: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Needs:
    """All requirements of a plugin."""

    each: tuple[Need, ...] = ()

    @functools.cached_property
    def params(self) -> dict[str, Any]:
        return {need.name: {"kind": need.kind, "part": need.part} for need in self.each}

    @functools.cached_property
    def inputs(self) -> dict[str, str]:
        return {name: key for need in self.each for name, key in need.inputs.items()}

    @functools.cached_property
    def plugins(self) -> Used:
        return tuple(dict.fromkeys(used for need in self.each for used in need.plugins))

    @functools.cached_property
    def local(self) -> dict[str, Any]:
        restored = {need.name: need.local for need in self.each if need.kind != "samples"}
        return {"requires": restored} if self.each else {}

    def lasting(self) -> Needs:
        """The requirements that are still needed when the fitted plugin is restored."""
        if all(need.needed == "always" for need in self.each):
            return self
        return Needs(tuple(need for need in self.each if need.needed == "always"))


NONE = Needs()


def needed_plugins(used: Iterable[tuple[str, str]]) -> Used:
    """The plugins of a stage that are created again when its output is restored."""
    return tuple((kind, name) for kind, name in used if kind in ("generator", "classifier"))


def below(name: str, inputs: Mapping[str, str]) -> dict[str, str]:
    """The inputs that a required stage itself requires, named as inputs of the stage that requires it as `name`."""
    return {f"{NEEDED}{name}/{inner}": key for inner, key in inputs.items() if inner.startswith(NEEDED)}
