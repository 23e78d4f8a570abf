"""What a stage's plugin requires of other stages: how these become inputs, parameters and plugins of the stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from derm_bench.plan.book import Used
from derm_bench.stage_names import NEEDED


@dataclass(frozen=True)
class Need:
    """One thing that a plugin requires, as `name`. `inputs`: the stages that make it, as a stage's inputs are named;
    `plugins`: those that are made anew where it is taken up; `local`: where their files lie. `needed`: `always`, or
    `fit`: only while the plugin is fitted, so that whoever restores it later does without."""

    name: str
    kind: str
    part: str | None
    needed: str
    inputs: Mapping[str, str]
    plugins: Used = ()
    local: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Needs:
    """All that a plugin requires."""

    each: tuple[Need, ...] = ()

    @property
    def params(self) -> dict[str, Any]:
        return {need.name: {"kind": need.kind, "part": need.part} for need in self.each}

    @property
    def inputs(self) -> dict[str, str]:
        return {name: key for need in self.each for name, key in need.inputs.items()}

    @property
    def plugins(self) -> Used:
        return tuple(dict.fromkeys(used for need in self.each for used in need.plugins))

    @property
    def local(self) -> dict[str, Any]:
        made_anew = {need.name: need.local for need in self.each if need.kind != "samples"}
        return {"requires": made_anew} if self.each else {}

    def lasting(self) -> Needs:
        """What is still needed where the fitted plugin is restored."""
        return Needs(tuple(need for need in self.each if need.needed == "always"))


NONE = Needs()


def needed_plugins(used: Iterable[tuple[str, str]]) -> Used:
    """Those of a stage's plugins that are made anew where its output is taken up."""
    return tuple((kind, name) for kind, name in used if kind in ("generator", "classifier"))


def below(name: str, inputs: Mapping[str, str]) -> dict[str, str]:
    """What a required stage requires in turn, as inputs of the stage that requires it as `name`."""
    return {f"{NEEDED}{name}/{inner}": key for inner, key in inputs.items() if inner.startswith(NEEDED)}
