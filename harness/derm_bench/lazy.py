"""Lazy import paths: `package.module:attribute`, followed when what they name is needed."""

from __future__ import annotations

import importlib
from typing import Any


def load_object(path: str) -> Any:
    """What an import path `package.module:attribute` names. Imports the module."""
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)


def create(spec: Any, options: Any, task: Any) -> Any:
    """The object of a plugin: what its spec's `create` names, called with its options and task."""
    return load_object(spec.create)(options, task)
