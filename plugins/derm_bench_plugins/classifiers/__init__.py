"""Classifiers. Specs and options are in `specs`, a module a family; networks in the modules that `create` names."""

from __future__ import annotations

from derm_bench.specs import ClassifierSpec
from derm_bench_plugins.classifiers.specs import built_on, dermagan, mobilenet_lstm, timm, torchvision

FAMILIES = (timm, torchvision, dermagan, mobilenet_lstm, built_on)


def specs() -> list[ClassifierSpec]:
    return [spec for family in FAMILIES for spec in family.specs()]
