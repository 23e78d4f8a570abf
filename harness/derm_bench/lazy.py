"""Lazy import paths `package.module:attribute`, which are imported only when they are needed."""

from __future__ import annotations

import importlib
from typing import Any


def load_object(path: str) -> Any:
    """Imports the module of `package.module:attribute` and returns the attribute."""
    module, _, attribute = path.partition(":")
    return getattr(importlib.import_module(module), attribute)


def create(spec: Any, options: Any, task: Any) -> Any:
    """Creates the object of a plugin: calls `create` of its spec with options and task."""
    return load_object(spec.create)(options, task)
