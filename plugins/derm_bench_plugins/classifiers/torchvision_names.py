"""The classification networks of torchvision and the files of their published weights. Imports no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from derm_bench_plugins.classifiers.model_registry import check_registered, source_of


@dataclass(frozen=True)
class Published:
    """A published file of weights. Its name ends with the first digits of its SHA-256, `digest`."""

    name: str
    url: str

    @property
    def digest(self) -> str:
        return self.url.rpartition("-")[2].partition(".")[0]


def known_model(name: str) -> str:
    """Return the name. Raises ValueError unless torchvision has a classification network of that name."""
    check_registered("torchvision", name, "torchvision.models.list_models(module=torchvision.models)")
    return name


@lru_cache(maxsize=32)
def published(model: str) -> tuple[Published, ...]:
    """Return the published weights of `model` in torchvision's order; empty if there are none."""
    source = source_of("torchvision", model)
    enum = re.search(rf"^def {model}\([^)]*?weights: Optional\[(\w+)\]", source, re.MULTILINE)
    if enum is None:
        return ()
    body = re.search(rf"^class {enum[1]}\(WeightsEnum\):\n(.*?)(?=^\S|\Z)", source, re.MULTILINE | re.DOTALL)
    files = re.findall(
        r'^    (\w+) = Weights\((?:\s|#[^\n]*)*url="([^"]+)"', body[1] if body else "", re.MULTILINE
    )
    return tuple(Published(f"{enum[1]}.{name}", url) for name, url in files)
