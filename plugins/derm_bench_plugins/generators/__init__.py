"""Generators. Specs and options are in `specs`, a module a family; networks in the modules that `create` names."""

from __future__ import annotations

from derm_bench.specs import GeneratorSpec
from derm_bench_plugins.generators.specs import adapters, conditional, conditioned, controls, dcgan, pyramid

FAMILIES = (dcgan, conditional, pyramid, conditioned, controls, adapters)


def specs() -> list[GeneratorSpec]:
    return [spec for family in FAMILIES for spec in family.specs()]
