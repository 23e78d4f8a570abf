"""The models that a library registers. They are read from its source, because importing it would import torch."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from derm_bench.errors import did_you_mean

REGISTERED = re.compile(r"^@register_model(?:\(\))?\s*\n(?:@[^\n]*\n)*def (\w+)\(", re.MULTILINE)


def check_registered(library: str, name: str, lister: str) -> None:
    """Raise ValueError unless `library` has the model `name`. The message names `lister`, the call that lists all."""
    known = model_names(library)
    if name not in known:
        hint = did_you_mean(name, known)
        hint = hint if hint.startswith("did you mean") else f"{lister} lists its models"
        raise ValueError(f"{library} {version(library)} has no model '{name}'; {hint}")


def model_names(library: str) -> frozenset[str]:
    """Return the names of all models in the modules of `<library>.models`, without its subpackages."""
    return frozenset(_files(library, version(library)))


def source_of(library: str, name: str) -> str:
    """Return the source of the module that registers the model."""
    return _files(library, version(library))[name].read_text("utf-8")


@lru_cache(maxsize=4)
def _files(library: str, installed_version: str) -> dict[str, Path]:
    spec = find_spec(library)
    if spec is None or spec.origin is None:
        raise ValueError(f"{library} is not installed; pip install {library}")
    files = (Path(spec.origin).parent / "models").glob("*.py")
    return {name: file for file in files for name in REGISTERED.findall(file.read_text("utf-8"))}
