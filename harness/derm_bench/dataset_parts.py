"""Creates the object of a data set, and before it those of the data sets that it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from derm_bench.lazy import create
from derm_bench.protocols import Task

if TYPE_CHECKING:
    from derm_bench.options.uses import DatasetUse


class Lookup(Protocol):
    """Access to specs by kind and name."""

    def get(self, kind: str, name: str) -> Any: ...


def create_dataset(spec: Any, options: Any, task: Task, plugins: Lookup) -> Any:
    """The object of a data set with its parts, which it gets as `task.inputs` by label."""
    inputs = {
        use.label: create_dataset(plugins.get("dataset", use.name), use.options, task, plugins)
        for use in _parts(spec, options)
    }
    return create(spec, options, replace(task, inputs=inputs) if inputs else task)


def parts_of(spec: Any, options: Any, plugins: Lookup) -> Iterator[str]:
    """The names of all plugins that a data set is made of, at any depth."""
    for use in _parts(spec, options):
        yield use.name
        yield from parts_of(plugins.get("dataset", use.name), use.options, plugins)


def _parts(spec: Any, options: Any) -> tuple[DatasetUse, ...]:
    return tuple(spec.parts(options)) if getattr(spec, "parts", None) else ()
